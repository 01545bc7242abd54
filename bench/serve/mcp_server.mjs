// One tool, served over streamable HTTP by the official TypeScript SDK. Prints its port.
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(process.argv[2] + '/'));
const load = (path) => import(pathToFileURL(require.resolve(path)).href);
const { McpServer } = await load('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = await load('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { z } = await load('zod');

const sessions = new Map();

async function open() {
  const server = new McpServer({ name: 'bench', version: '1' });
  server.registerTool('add', { description: 'Adds.', inputSchema: { a: z.number().int(), b: z.number().int() } }, ({ a, b }) => ({
    content: [{ type: 'text', text: String(a + b) }],
  }));
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    enableJsonResponse: true,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await server.connect(transport);
  return transport;
}

const server = http.createServer(async (request, response) => {
  const known = sessions.get(request.headers['mcp-session-id']);
  await (known ?? (await open())).handleRequest(request, response);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
