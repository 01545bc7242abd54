"use strict";
// An SDK outside a worker: joins the project's running engine or starts a private one (spec/worker-protocol.md, 9).

const childProcess = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const {SabirError} = require("./error.cjs");
const {Closed, Connection} = require("./wire.cjs");
const {version} = require("./package.json");

const DEADLINE = 10_000;

/** $SABIR_PROJECT, or the nearest folder upward that has sabir.yml. Errors: SabirError no_project. */
function findProject() {
  const given = process.env.SABIR_PROJECT;
  const start = path.resolve(given || process.cwd());
  for (let folder = start; ; folder = path.dirname(folder)) {
    if (fs.existsSync(path.join(folder, "sabir.yml"))) return folder;
    if (given || path.dirname(folder) === folder) {
      throw new SabirError("no_project", `no Sabir project at ${start}${given ? "" : " or above it"}: there is no sabir.yml`,
        "change into the project's folder, set SABIR_PROJECT, or make one with `sabir new`");
    }
  }
}

function isProgram(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function which(name) {
  if (name.includes("/")) return isProgram(path.resolve(name)) ? path.resolve(name) : null;
  return (process.env.PATH ?? "").split(path.delimiter).filter(Boolean).map((folder) => path.join(folder, name)).find(isProgram) ?? null;
}

/** The engine's binary: $SABIR_BIN, beside this package, on PATH. Errors: SabirError unavailable. */
function findEngine() {
  const given = process.env.SABIR_BIN;
  if (given) {
    const found = which(given);
    if (found !== null) return found;
    throw new SabirError("unavailable", `the engine \`sabir\` was not found: SABIR_BIN names ${given}, which is no program`,
      "set SABIR_BIN to the engine's path, or unset it");
  }
  const beside = path.join(__dirname, "bin", "sabir");
  const found = isProgram(beside) ? beside : which("sabir");
  if (found !== null) return found;
  throw new SabirError("unavailable", "the engine `sabir` was not found", "put it on PATH, or set SABIR_BIN to its path");
}

/** A connection to an engine, and the process when the engine is our own. An idle one does not keep this process alive. */
class Client {
  constructor(socket, child = null) {
    this.socket = socket;
    this.child = child;
    this.waiting = 0;
    this.connection = new Connection(socket, socket, {onEnd: () => socket.destroy()});
    socket.on("data", (bytes) => this.connection.push(bytes));
    socket.unref();
  }

  static async connect() {
    const root = findProject();
    const environment = process.env.SABIR_ENV || "development";
    const socket = await Client.running(root, environment);
    if (socket !== null) {
      const client = new Client(socket);
      try {
        await client.hello(root);
        return client;
      } catch (error) {
        if (!(error instanceof SabirError)) throw error;
        // Another version, or an engine that is ending: a private one serves as well.
        await client.close();
      }
    }
    return await Client.attach(root, environment);
  }

  static running(root, environment) {
    return new Promise((resolve) => {
      if (process.env.SABIR_RECORD || process.env.SABIR_REPLAY || process.env.SABIR_STATE_DIR || process.env.SABIR_ENGINE) {
        // What is recorded or replayed, has a store of its own or goes to an engine elsewhere is this process's own.
        resolve(null);
        return;
      }
      let published;
      try {
        published = JSON.parse(fs.readFileSync(path.join(root, ".sabir", environment, "engine.json"), "utf8"));
      } catch {
        resolve(null);
        return;
      }
      if (published?.format !== 1 || typeof published.socket !== "string") {
        resolve(null);
        return;
      }
      const socket = net.connect(published.socket);
      const failed = () => {
        socket.destroy();
        resolve(null);
      };
      socket.setTimeout(DEADLINE, failed);
      socket.once("error", failed);
      socket.once("connect", () => {
        socket.setTimeout(0);
        socket.off("error", failed);
        resolve(socket);
      });
    });
  }

  static async attach(root, environment) {
    const binary = findEngine();
    // Node makes an extra pipe of a child's a connected pair of Unix stream sockets.
    const child = childProcess.spawn(binary, ["attach", "--project", root, "--env", environment],
      {stdio: ["ignore", "ignore", "inherit", "pipe"], env: {...process.env, SABIR_FD: "3"}, detached: true});
    const failed = new Promise((resolve) => child.once("error", resolve));
    if (child.pid === undefined) {
      throw new SabirError("unavailable", `the engine ${binary} does not start: ${(await failed).message}`, "set SABIR_BIN to the engine's path");
    }
    child.unref();
    const client = new Client(child.stdio[3], child);
    try {
      await client.hello(root);
    } catch (error) {
      await client.close();
      throw error;
    }
    return client;
  }

  async hello(root) {
    const params = {protocol: {min: 1, max: 1}, role: "client", sdk: version, language: "node", project: root};
    if (process.env.SABIR_USER) params.context = {user: process.env.SABIR_USER};
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Closed(true)), Client.deadline)));
    const asked = this.request("hello", params);
    asked.catch(() => {});
    try {
      await Promise.race([asked, late]);
    } catch (error) {
      if (!(error instanceof Closed)) throw error;
      const ended = this.child !== null && this.child.exitCode !== null ? `; it ended with status ${this.child.exitCode}` : "";
      throw new SabirError("protocol", `the engine did not answer within ${Client.deadline / 1000} seconds${ended}`,
        "`sabir doctor` looks for the cause; its messages are on standard error");
    } finally {
      clearTimeout(timer);
    }
  }

  async request(method, params, large, owner = null, onChunk = null, onSent = null) {
    if (this.waiting++ === 0) this.socket.ref();
    try {
      return await this.connection.request(method, params, large, owner, onChunk, onSent);
    } finally {
      if (--this.waiting === 0) this.socket.unref();
    }
  }

  /** Ends the connection, and with it an engine of our own. */
  async close() {
    this.connection.close();
    const child = this.child;
    this.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => {
      const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
      child.ref();
      child.once("exit", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
Client.deadline = DEADLINE;

module.exports = {Client, findEngine, findProject};
