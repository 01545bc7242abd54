// The SDK in a process that is no worker.
import assert from "node:assert/strict";
import {spawn, spawnSync} from "node:child_process";
import {once} from "node:events";
import fs from "node:fs";
import {createRequire} from "node:module";
import os from "node:os";
import path from "node:path";
import {test} from "node:test";
import {fileURLToPath, pathToFileURL} from "node:url";
import "../sdk/sabir/register.mjs";
import {LANGUAGE} from "./peer.mjs";

const sabir = await import("sabir");
const require = createRequire(import.meta.url);
const {Client} = require("../sdk/sabir/client.cjs");
const {paging} = require("../sdk/sabir/memory.cjs");
const FAKE = fileURLToPath(new URL("fake_engine.mjs", import.meta.url));
const NAMES = ["SABIR_BIN", "FAKE_ENGINE_LOG", "FAKE_ENGINE_SILENT", "SABIR_PROJECT", "SABIR_ENV", "SABIR_USER", "PATH"];

/** A project folder whose engine is the stand-in; lines(word) are what it noted. */
async function project(t, {yml = true} = {}) {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "sabir-sdk-")));
  const log = path.join(folder, "engine.log");
  const before = {...process.env};
  const cwd = process.cwd();
  if (yml) fs.writeFileSync(path.join(folder, "sabir.yml"), "engine: 0.1.0\n");
  fs.mkdirSync(path.join(folder, "deep", "er"), {recursive: true});
  const engine = path.join(folder, "sabir");
  fs.writeFileSync(engine, `#!/bin/sh\nexec "${process.execPath}" "${FAKE}" "$@"\n`, {mode: 0o755});
  process.chdir(path.join(folder, "deep", "er"));
  for (const name of NAMES.slice(0, -1)) delete process.env[name];
  Object.assign(process.env, {SABIR_BIN: engine, FAKE_ENGINE_LOG: log});
  t.after(async () => {
    await sabir.close();
    process.chdir(cwd);
    for (const name of NAMES) if (before[name] === undefined) delete process.env[name]; else process.env[name] = before[name];
    fs.rmSync(folder, {recursive: true, force: true});
  });
  await sabir.close();
  return {folder, engine, lines: (word) => (fs.existsSync(log) ? fs.readFileSync(log, "utf8").split("\n").filter((line) => line.startsWith(word)) : [])};
}

const fails = async (promise) => {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof sabir.SabirError, String(error?.stack));
    return error;
  }
  return assert.fail("it did not fail");
};

test("a call starts one private engine for the project", async (t) => {
  const {folder, lines} = await project(t);
  process.env.SABIR_USER = "ada";
  assert.deepEqual((await sabir.call("slugify", {text: "Été"})).arguments, {text: "Été"});
  await Promise.all([sabir.call("slugify", {text: "again"}), sabir.functions()]);
  assert.deepEqual(lines("start"), [`start attach --project ${folder} --env development`]);
  const hello = JSON.parse(lines("hello")[0].replace(/^hello 0 /, ""));
  assert.deepEqual([hello.role, hello.language, hello.project, hello.context], ["client", "node", folder, {user: "ada"}]);
});

test("closing ends the private engine", async (t) => {
  const {lines} = await project(t);
  await sabir.functions();
  await sabir.close();
  assert.deepEqual(lines("end"), ["end"]);
});

test("memory round trip", async (t) => {
  await project(t);
  const {memory} = sabir;
  assert.equal(await memory.put("colour", {name: "red"}), 1);
  assert.equal(await memory.put("colour", {name: "blue"}, {ifVersion: 1}), 2);
  assert.deepEqual(await memory.get("colour"), {name: "blue"});
  assert.equal(await memory.get("absent", {default: 7}), 7);
  assert.equal(await memory.get("absent"), null);
  assert.equal(await memory.get("colour", {namespace: "other"}), null);
  assert.equal((await fails(memory.put("colour", 1, {ifVersion: 1}))).type, "conflict");
  assert.equal(await memory.delete("colour"), true);
  assert.equal(await memory.delete("colour"), false);
});

test("memory.list reads every page", async (t) => {
  await project(t);
  const {size} = paging;
  t.after(() => (paging.size = size));
  paging.size = 3;
  for (let n = 0; n < 7; ++n) await sabir.memory.put(`n${n}`, n);
  const items = await sabir.memory.list("n");
  assert.deepEqual(items.map((item) => item.key), ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
  assert.deepEqual([items.get("n4"), items.has("n4"), items.has("x"), items.length, items[0].version, items.toObject().n6], [4, true, false, 7, 1, 6]);
});

test("conversation log", async (t) => {
  await project(t);
  assert.equal(await sabir.memory.append("c", {role: "user", content: "hi"}), 1);
  assert.equal(await sabir.memory.append("c", {role: "assistant", content: "hello"}), 2);
  assert.deepEqual((await sabir.memory.messages("c")).map((message) => message.role), ["user", "assistant"]);
});

test("prompts, models, assistants and secrets", async (t) => {
  await project(t);
  assert.equal(await sabir.render("greeting", {name: "Ada"}), "Hello Ada");
  const reply = await sabir.complete("hi", {temperature: 0});
  assert.deepEqual([reply.content, `${reply}`, reply.provider, reply.usage, reply.finishReason], ["HI", "HI", "scripted", {input_tokens: 0}, "stop"]);
  const answer = await sabir.ask("support", "a parcel");
  assert.deepEqual([`${answer}`, answer.conversation, answer.calls, JSON.stringify({answer})], ["about a parcel", "c1", [], '{"answer":"about a parcel"}']);
  assert.equal(await sabir.secret("key"), "s3cret");
});

test("an error keeps type, hint, place and particulars, and names the caller's line", async (t) => {
  await project(t);
  const error = await fails(sabir.call("fail"));
  assert.deepEqual([error.name, error.type, error.message, error.hint, error.file, error.line, error.data.city],
    ["SabirError", "function_error", "no such city", "try another", "functions/x.py", 3, "Ur"]);
  assert.equal(String(error), "functions/x.py:3: no such city (try another)");
  try {
    await sabir.call("fail");
  } catch (caught) {
    assert.match(caught.stack, /sdk\.test\.mjs/);
  }
});

test("large arguments travel as blobs", async (t) => {
  const {lines} = await project(t);
  const text = "é".repeat(50_000);
  assert.deepEqual((await sabir.call("echo", {text})).arguments, {text});
  assert.match(lines("functions.call")[0], /^functions\.call 1/);
});

test("what JSON cannot carry is said before it is sent", async (t) => {
  await project(t);
  assert.match((await fails(sabir.memory.put("k", {a: NaN}))).message, /\/value\/a: NaN is not a JSON number/);
  assert.match((await fails(sabir.call("echo", {value: () => 1}))).message, /type function has no JSON form/);
  assert.deepEqual((await sabir.call("echo", {value: 1})).arguments, {value: 1});
});

test("a slow call does not hold up another", async (t) => {
  await project(t);
  const order = [];
  await Promise.all([sabir.call("slow").then(() => order.push("slow")), sabir.call("quick").then(() => order.push("quick"))]);
  assert.deepEqual(order, ["quick", "slow"]);
});

test("an engine that dies in a call leaves its outcome unknown", async (t) => {
  await project(t);
  assert.equal((await fails(sabir.call("die"))).type, "outcome_unknown");
  assert.equal((await sabir.call("f")).address, "f");
});

test("a running engine is joined, and a stale file passed over", async (t) => {
  const {folder, lines} = await project(t);
  const socket = path.join(folder, "e.sock");
  const engine = spawn(process.execPath, [FAKE, "listen", socket], {stdio: ["ignore", "pipe", "inherit"]});
  await once(engine.stdout, "data");
  fs.mkdirSync(path.join(folder, ".sabir", "development"), {recursive: true});
  fs.writeFileSync(path.join(folder, ".sabir", "development", "engine.json"), JSON.stringify({format: 1, socket, pid: engine.pid, engine: "0.1.0"}));
  assert.equal((await sabir.call("f")).pid, engine.pid);
  await sabir.close();
  engine.kill("SIGKILL");
  await once(engine, "exit");
  assert.notEqual((await sabir.call("f")).pid, engine.pid);
  assert.equal(lines("start attach").length, 1);
});

for (const content of ["", "{", "[]", "null", '{"format": 2, "socket": "/x"}', '{"format": 1}', '{"format": 1, "socket": "/no/such"}']) {
  test(`an unusable engine file is passed over: ${content}`, async (t) => {
    const {folder} = await project(t);
    fs.mkdirSync(path.join(folder, ".sabir", "development"), {recursive: true});
    fs.writeFileSync(path.join(folder, ".sabir", "development", "engine.json"), content);
    assert.equal((await sabir.call("f")).address, "f");
  });
}

test("a silent engine is given up", async (t) => {
  await project(t);
  const {deadline} = Client;
  t.after(() => (Client.deadline = deadline));
  Client.deadline = 1000;
  process.env.FAKE_ENGINE_SILENT = "1";
  assert.match((await fails(sabir.functions())).message, /did not answer within 1 seconds/);
});

test("a missing engine is said in one line", async (t) => {
  await project(t);
  process.env.SABIR_BIN = "/no/such/sabir";
  assert.ok(String(await fails(sabir.functions())).startsWith("the engine `sabir` was not found: SABIR_BIN names /no/such/sabir"));
  delete process.env.SABIR_BIN;
  process.env.PATH = "/no/such";
  const error = await fails(sabir.functions());
  assert.equal(error.type, "unavailable");
  assert.ok(String(error).startsWith("the engine `sabir` was not found (put it") && !String(error).includes("\n"));
});

test("no project is said", async (t) => {
  const {folder} = await project(t, {yml: false});
  assert.equal((await fails(sabir.functions())).type, "no_project");
  process.env.SABIR_PROJECT = path.join(folder, "none");
  assert.match((await fails(sabir.functions())).message, /none/);
});

test("an idle connection does not keep a process alive; import and require share one", async (t) => {
  const {folder, lines} = await project(t);
  fs.writeFileSync(path.join(folder, "script.mjs"), `import * as sabir from "sabir";
    import {createRequire} from "node:module";
    const same = createRequire(import.meta.url)("sabir");
    sabir.progress(1, 2, "half");
    sabir.log("a line", "warning");
    console.log((await sabir.call("f")).address, same.call === sabir.call, new sabir.Context({user: "u"}).user, sabir.signal().aborted);`);
  const register = pathToFileURL(path.join(LANGUAGE, "sdk/sabir/register.mjs")).href;
  const result = spawnSync(process.execPath, ["--import", register, path.join(folder, "script.mjs")], {timeout: 20_000, cwd: folder});
  assert.equal(result.stdout.toString(), "f true u false\n", result.stderr.toString());
  assert.equal(result.stderr.toString(), "warning: a line\n");
  assert.equal(result.status, 0);
  for (let i = 0; i < 100 && lines("end").length === 0; ++i) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(lines("end"), ["end"]);
});
