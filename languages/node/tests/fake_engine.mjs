#!/usr/bin/env node
// A stand-in for the engine in SDK tests: `attach` on an inherited socket, or `listen PATH`.
//
// It keeps memory in a map, answers functions.call by echoing, and notes its starts and requests in $FAKE_ENGINE_LOG.
// Addresses do something: "fail" answers with an error, "die" ends the process, "slow" waits 0.2 s.
import fs from "node:fs";
import net from "node:net";

const memory = new Map();
const logs = new Map();

function note(text) {
  if (process.env.FAKE_ENGINE_LOG) fs.appendFileSync(process.env.FAKE_ENGINE_LOG, `${text}\n`);
}

const failure = (type, message, data = {}) => Object.assign(new Error(message), {answer: {code: -32000, message, data: {type, ...data}}});

const methods = {
  async hello(params) {
    if (process.env.FAKE_ENGINE_SILENT) await new Promise((resolve) => setTimeout(resolve, 60_000));
    return {protocol: 1, engine: "0.1.0", project: params.project, environment: "test"};
  },
  async "functions.call"({address, arguments: args}) {
    if (address === "fail") throw failure("function_error", "no such city", {hint: "try another", file: "functions/x.py", line: 3, city: "Ur"});
    if (address === "die") process.exit(3);
    if (address === "slow") await new Promise((resolve) => setTimeout(resolve, 200));
    return {value: {address, arguments: args, pid: process.pid}};
  },
  "functions.list": () => ({functions: [{address: "text.slugify"}]}),
  "memory.put"({namespace, key, value, if_version: wanted}) {
    const name = JSON.stringify([namespace, key]);
    const version = memory.get(name)?.version ?? 0;
    if (wanted !== undefined && wanted !== version) throw failure("conflict", "another version");
    memory.set(name, {namespace, key, value, version: version + 1, updated_ms: 1});
    return {version: version + 1};
  },
  "memory.get": ({namespace, key}) => ({found: memory.has(JSON.stringify([namespace, key])), ...memory.get(JSON.stringify([namespace, key]))}),
  "memory.list"({namespace, prefix = "", after = "", limit = 100}) {
    const items = [...memory.values()].filter((item) => item.namespace === namespace && item.key.startsWith(prefix) && item.key > after);
    return {items: items.sort((a, b) => (a.key < b.key ? -1 : 1)).slice(0, limit)};
  },
  "memory.delete": ({namespace, key}) => ({deleted: memory.delete(JSON.stringify([namespace, key]))}),
  "memory.append"({conversation, message}) {
    const all = logs.get(conversation) ?? [];
    logs.set(conversation, all);
    return {seq: all.push(message)};
  },
  "memory.messages": ({conversation, limit}) => ({messages: (logs.get(conversation) ?? []).map((message, i) => ({seq: i + 1, message, created_ms: 1})).slice(-limit)}),
  "completions.render": ({variables}) => ({text: `Hello ${variables.name}`, messages: []}),
  "models.complete": ({messages, parameters}) => ({content: messages.at(-1).content.toUpperCase(), tool_calls: [], finish_reason: "stop", model: "m",
    provider: "scripted", usage: {input_tokens: parameters?.temperature ?? 1}}),
  "assistants.run": ({message}) => ({content: `about ${message}`, conversation: "c1", model: "m", calls: []}),
  "secrets.get": () => ({value: "s3cret"}),
};

function setAt(value, pointer, blob) {
  const keys = pointer.slice(1).split("/");
  for (const key of keys.slice(0, -1)) value = value[key];
  value[keys.at(-1)] = blob;
}

function serve(socket) {
  let rest = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const sizes = rest.subarray(0, end).toString().split(" ").map(Number);
      const total = sizes.reduce((a, b) => a + b, 0);
      if (rest.length < end + 1 + total) return;
      let at = end + 1;
      const parts = sizes.map((size) => rest.subarray(at, (at += size)));
      rest = rest.subarray(at);
      void answer(socket, JSON.parse(parts[0]), parts.slice(1));
    }
  });
  socket.on("error", () => {});
}

async function answer(socket, message, blobs) {
  const {method, params} = message;
  (params.blobs ?? []).forEach((entry, index) => setAt(params, entry.at, blobs[index].toString()));
  note(`${method} ${blobs.length} ${method === "hello" ? JSON.stringify(params) : ""}`);
  const response = {jsonrpc: "2.0", id: message.id};
  try {
    response.result = await methods[method](params);
  } catch (error) {
    response.error = error.answer ?? {code: -32601, message: "unknown method", data: {type: "unknown_method"}};
  }
  const body = Buffer.from(JSON.stringify(response));
  socket.write(Buffer.concat([Buffer.from(`${body.length}\n`), body]));
}

note(`start ${process.argv.slice(2).join(" ")}`);
if (process.argv[2] === "attach") {
  const socket = new net.Socket({fd: Number(process.env.SABIR_FD), readable: true, writable: true});
  serve(socket);
  socket.on("close", () => {
    note("end");
    process.exit(0);
  });
} else {
  net.createServer(serve).listen(process.argv[3], () => console.log("ready"));
}
