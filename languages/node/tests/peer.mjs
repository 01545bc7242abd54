// The engine's side of a connection, for tests: a worker process and frames over a socket.
import {spawn} from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import {fileURLToPath} from "node:url";

export const LANGUAGE = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
export const FLAGS = ["--experimental-strip-types", "--disable-warning=ExperimentalWarning", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON"];
const LONGEST = 20_000;

export function frame(message, ...blobs) {
  const body = Buffer.isBuffer(message) ? message : Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from(`${[body, ...blobs].map((part) => part.length).join(" ")}\n`), body, ...blobs]);
}

/** Reads and writes frames; every wait ends after 20 seconds. */
export class Peer {
  constructor(stream) {
    this.stream = stream;
    this.nextId = 1;
    this.received = [];
    this.rest = Buffer.alloc(0);
    this.ended = false;
    this.wake = () => {};
    stream.on("data", (bytes) => {
      this.rest = Buffer.concat([this.rest, bytes]);
      this.cut();
      this.wake();
    });
    for (const event of ["end", "close", "error"]) {
      stream.on(event, () => {
        this.ended = true;
        this.wake();
      });
    }
  }

  cut() {
    for (let end = this.rest.indexOf(10); end >= 0; end = this.rest.indexOf(10)) {
      const sizes = this.rest.subarray(0, end).toString().split(" ").map(Number);
      const total = sizes.reduce((a, b) => a + b, 0);
      if (this.rest.length < end + 1 + total) return;
      let at = end + 1;
      const parts = sizes.map((size) => this.rest.subarray(at, (at += size)));
      this.rest = this.rest.subarray(at);
      this.received.push({text: parts[0].toString(), ...JSON.parse(parts[0]), blobs: parts.slice(1)});
    }
  }

  send(message, ...blobs) {
    this.stream.write(frame({jsonrpc: "2.0", ...message}, ...blobs));
  }

  async receive() {
    const until = Date.now() + LONGEST;
    while (this.received.length === 0) {
      if (this.ended) throw new Error("the connection has ended");
      if (Date.now() > until) throw new Error("no message within 20 s");
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, LONGEST);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.received.shift();
  }

  /** The response, and what came before it. */
  async request(method, params, ...blobs) {
    const id = this.nextId++;
    this.send({id, method, params}, ...blobs);
    const before = [];
    while (true) {
      const message = await this.receive();
      if (message.method === undefined && message.id === id) return {answer: message, before};
      before.push(message);
    }
  }
}

/** A worker of a project folder of its own. file(path, source) writes one of its files. */
export class Worker extends Peer {
  static async start(t, {env = {}} = {}) {
    const project = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "sabir-node-")));
    const child = spawn(process.execPath, [...FLAGS, path.join(LANGUAGE, "worker.mjs")],
      {stdio: ["ignore", "pipe", "pipe", "pipe"], env: {...process.env, SABIR_FD: "3", NODE_OPTIONS: "", ...env}});
    const worker = new Worker(child.stdio[3]);
    Object.assign(worker, {child, project, log: ""});
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (worker.log += bytes));
    worker.exited = new Promise((resolve) => child.once("close", (status) => resolve(status)));
    t.after(async () => {
      worker.stream.destroy();
      child.kill("SIGKILL");
      await worker.exited;
      fs.rmSync(project, {recursive: true, force: true});
    });
    await worker.request("hello", {protocol: {min: 1, max: 1}});
    await worker.request("start", {project, environment: "test"});
    return worker;
  }

  file(name, source) {
    const target = path.join(this.project, name);
    fs.mkdirSync(path.dirname(target), {recursive: true});
    fs.writeFileSync(target, source);
  }

  params(name, args, {file = "functions/node/x.mjs", ...more} = {}) {
    return {module: path.join(this.project, file), receiver: "", function: name, arguments: args, positional: Object.keys(args),
      context: {user: "u"}, context_parameter: "", ...more};
  }

  call(name, args = {}, more = {}) {
    return this.request("call", this.params(name, args, more));
  }

  async value(...args) {
    const {answer} = await this.call(...args);
    if (answer.error !== undefined) throw new Error(`${answer.error.message} ${JSON.stringify(answer.error.data)}`);
    return answer.result.value;
  }

  async error(...args) {
    const {answer} = await this.call(...args);
    if (answer.error === undefined) throw new Error(`a value came: ${answer.text}`);
    return answer.error;
  }
}
