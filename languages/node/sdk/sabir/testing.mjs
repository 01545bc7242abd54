// Fixtures for tests of a Sabir project (docs/testing.md): engine, sabir, memory, models, secrets, recording, deployed.
//
//   import {test} from "node:test";
//   import {fixtures} from "sabir/testing";
//   test("…", async (t) => {
//     const {sabir, models} = await fixtures(t);
//
// Each test that asks for them has an engine of its own with an empty store, scripted models and placeholders for secrets;
// nothing of it is there for the next test. `t` is node:test's context or Vitest's; without one, call close() of what is
// given back. One test of a process has fixtures at a time: they are in its environment.
import {execFile} from "node:child_process";
import {existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import path from "node:path";
import {promisify} from "node:util";
import client from "./client.cjs";
import sdk from "./index.cjs";

const {findEngine, findProject} = client;
const TIMEOUT = 120_000;
const run = promisify(execFile);
const names = new Map();
let inUse = false;

// The names of the project's secrets, asked for once in a process.
async function secretNames(root) {
  if (!names.has(root)) {
    let listed = [];
    try {
      const {stdout} = await run(findEngine(), ["secrets", "list", "--json"], {env: {...process.env, SABIR_TEST_SECRETS: "-"}, timeout: TIMEOUT});
      listed = JSON.parse(stdout);
    } catch {
      // A project whose secrets cannot be listed has none to hide.
    }
    names.set(root, (Array.isArray(listed) ? listed : listed.secrets ?? []).map((one) => one.name));
  }
  return names.get(root);
}

class Engine {
  constructor() {
    this.root = findProject();
    this.folder = mkdtempSync(path.join(tmpdir(), "sabir-test-"));
    this.before = new Map();
    this.secrets = path.join(this.folder, "secrets.json");
  }

  /** Runs a command, for instance run("functions"), and gives back what it printed as JSON. */
  async run(...words) {
    try {
      const {stdout} = await run(findEngine(), [...words.map(String), "--json"], {timeout: TIMEOUT, maxBuffer: 64 << 20});
      return JSON.parse(stdout);
    } catch (error) {
      throw new Error(`sabir ${words.join(" ")}: ${error.stdout ?? ""}${error.stderr ?? error.message}`);
    }
  }

  /** An environment variable for the rest of the test; null takes it away. The engine starts anew where one runs. */
  async set(name, value) {
    if (!this.before.has(name)) this.before.set(name, process.env[name]);
    if (value === null || value === undefined) delete process.env[name];
    else process.env[name] = value;
    await this.restart();
  }

  /** The next request starts a new engine on the same store. */
  restart() {
    return sdk.close();
  }

  async close() {
    await sdk.close();
    for (const [name, value] of this.before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(this.folder, {recursive: true, force: true});
    inUse = false;
  }
}

class Models {
  constructor(engine) {
    this.engine = engine;
    this.file = path.join(engine.folder, "replies.json");
    this.replies = [];
    this.chosen = false;
  }

  /** The model says `text` to what contains or matches something; without either, to whatever is asked next. */
  reply(text, {contains, matches, ...more} = {}) {
    return this.script([...this.replies, {...more, text, contains, matches}]);
  }

  /** A whole list of replies, as docs/models.md has it. */
  async script(replies) {
    this.replies = [...replies];
    writeFileSync(`${this.file}.new`, JSON.stringify({replies: this.replies}));
    renameSync(`${this.file}.new`, this.file);
    if (this.chosen) return;
    this.chosen = true;
    await this.engine.set("SABIR_SCRIPTED_REPLIES", this.file);
    await this.engine.set("SABIR_MODEL", "scripted");
    // What the test itself says is neither recorded nor replayed.
    for (const name of ["SABIR_RECORD", "SABIR_REPLAY"]) await this.engine.set(name, null);
  }
}

/**
 * The test's own engine and what belongs to it: {engine, sabir, memory, models, secrets, recording, deployed, close}. After
 * `await recording()` the test insists on its recording in tests/recordings; `sabir test --record` makes it. `await deployed()` is the SDK on the
 * engine that `sabir deploy` has just deployed, at SABIR_URL with the token in SABIR_TOKEN; null, with the test skipped, where nothing was.
 */
export async function fixtures(t) {
  if (inUse) throw new Error("another test of this process has fixtures now: they share its environment, so tests that use them run one after the other");
  inUse = true;
  const engine = new Engine();
  try {
    const recorded = Boolean(process.env.SABIR_RECORD);
    if (t?.name) await engine.set("SABIR_TEST_NAME", `${process.env.SABIR_TEST_NAME || "node"}::${t.fullName ?? t.name}`);
    await engine.set("SABIR_STATE_DIR", engine.folder);
    await engine.set("SABIR_ENGINE", null);
    if (!recorded) {
      await engine.set("SABIR_LIVE_MODELS", "0");
      for (const name of await secretNames(engine.root)) {
        if (process.env[name.toUpperCase()]) await engine.set(name.toUpperCase(), null);
      }
      await engine.set("SABIR_TEST_SECRETS", engine.secrets);
    }
    const recording = async () => {
      if (recorded) return engine;
      await engine.set("SABIR_REPLAY_WHERE_PRESENT", null);
      await engine.set("SABIR_REPLAY", process.env.SABIR_REPLAY || "tests/recordings");
      return engine;
    };
    const deployed = async () => {
      if (!process.env.SABIR_URL) {
        t?.skip?.("runs after a deployment alone, against its address");
        return null;
      }
      // What is asked elsewhere is neither recorded nor replayed.
      for (const [name, value] of [["SABIR_RECORD", null], ["SABIR_REPLAY", null], ["SABIR_ENGINE", process.env.SABIR_URL]]) await engine.set(name, value);
      return sdk;
    };
    const secrets = {
      async set(name, value) {
        const values = existsSync(engine.secrets) ? JSON.parse(readFileSync(engine.secrets, "utf8")) : {};
        writeFileSync(engine.secrets, JSON.stringify({...values, [name]: value}), {mode: 0o600});
        await engine.restart();
      },
    };
    const close = () => engine.close();
    if (typeof t?.after === "function") t.after(close);
    else if (typeof t?.onTestFinished === "function") t.onTestFinished(close);
    return {engine, sabir: sdk, memory: sdk.memory, models: new Models(engine), secrets, recording, deployed, close};
  } catch (error) {
    await engine.close();
    throw error;
  }
}
