// One client of the npm packages visits a server and prints, as JSON, what it was given.
//
//   node visit.mjs sdk|client stdio|http COMMAND-OR-URL FOLDER
//
// The packages are those below $MCP_PACKAGES; this file lies elsewhere.
import { createRequire } from "node:module";

const [generation, transportKind, target, folder] = process.argv.slice(2);
const require = createRequire(process.env.MCP_PACKAGES + "/");
const isOld = generation === "sdk";
const { Client } = isOld ? require("@modelcontextprotocol/sdk/client/index.js") : require("@modelcontextprotocol/client");
const { StdioClientTransport } = isOld ? require("@modelcontextprotocol/sdk/client/stdio.js") : require("@modelcontextprotocol/client/stdio");
const { StreamableHTTPClientTransport } = isOld ? require("@modelcontextprotocol/sdk/client/streamableHttp.js") : require("@modelcontextprotocol/client");

const transport = transportKind === "stdio"
  ? new StdioClientTransport({ command: target, args: ["mcp"], cwd: folder, env: process.env, stderr: "ignore" })
  : new StreamableHTTPClientTransport(new URL(target));
const capabilities = { elicitation: {}, sampling: {} };
const client = new Client({ name: "visitor", version: "1" }, { capabilities, ...(isOld ? {} : { versionNegotiation: { mode: "auto" } }) });
const answers = {
  "elicitation/create": async () => ({ action: "accept", content: { username: "ana", email: "ana@example.org", name: "Ana", color: "red" } }),
  "sampling/createMessage": async () => ({ role: "assistant", model: "test", content: { type: "text", text: "Paris" } }),
};
if (isOld) {
  const types = require("@modelcontextprotocol/sdk/types.js");
  client.setRequestHandler(types.ElicitRequestSchema, answers["elicitation/create"]);
  client.setRequestHandler(types.CreateMessageRequestSchema, answers["sampling/createMessage"]);
} else {
  for (const [method, answer] of Object.entries(answers)) client.setRequestHandler(method, answer);
}

await client.connect(transport);
const out = { server: client.getServerVersion()?.name, instructions: client.getInstructions() };
if (!isOld) out.revision = client.getNegotiatedProtocolVersion?.();
const { tools } = await client.listTools();
out.tools = tools.map((tool) => tool.name);
out.text = await client.callTool({ name: "test_simple_text", arguments: {} });
out.image = (await client.callTool({ name: "test_image_content", arguments: {} })).content[0].mimeType;
out.failure = (await client.callTool({ name: "test_error_handling", arguments: {} })).isError;
out.progress = [];
const onprogress = (progress) => out.progress.push(progress.progress);
const call = { name: "test_tool_with_progress", arguments: {} };
await (isOld ? client.callTool(call, undefined, { onprogress }) : client.callTool(call, { onprogress }));
out.asked = (await client.callTool({ name: "test_elicitation", arguments: { message: "Who?" } })).content[0].text;
out.sampled = (await client.callTool({ name: "test_sampling", arguments: { prompt: "Capital?" } })).content[0].text;
out.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
out.prompt = (await client.getPrompt({ name: "test_prompt_with_arguments", arguments: { arg1: "a", arg2: "b" } })).messages[0].content.text;
out.resources = (await client.listResources()).resources.map((resource) => resource.uri);
out.resource = (await client.readResource({ uri: "test://template/7/data" })).contents[0].text;
out.completed = (await client.complete({ ref: { type: "ref/prompt", name: "test_prompt_with_arguments" }, argument: { name: "arg1", value: "h" } })).completion.values;
await client.close();
console.log(JSON.stringify(out));
