// The Node worker beyond what the protocol's conformance checks ask: Node's own ways.
import assert from "node:assert/strict";
import {spawnSync} from "node:child_process";
import Module from "node:module";
import path from "node:path";
import {test} from "node:test";
import {LANGUAGE, Worker} from "./peer.mjs";

const X = "functions/node/x.mjs";
const T = "functions/node/x.ts";
const inTypeScript = {file: T};

test("arguments become what the types say", async (t) => {
  const worker = await Worker.start(t);
  worker.file(T, `
    type Trip = {days: Date[]; by?: Map<string, Date>};
    interface Node { at: Date; next?: Node }
    export function kinds(a: Date, b: bigint, c: Uint8Array, d: Set<string>, e: Map<string, number>, f: Trip, g: URL, h: Date | number,
      i: ArrayBuffer, j: [Date, number], k: Node, l?: Date | null, m: unknown = 1) {
      const kind = (value: any) => value?.constructor?.name ?? String(value);
      return {a: kind(a), b: typeof b, c: kind(c), text: Buffer.from(c).toString(), d: kind(d), e: kind(e), f: kind(f.days[0]), by: kind(f.by!.get("x")),
        g: g.hostname, h: kind(h), i: kind(i), j: kind(j[0]), k: kind(k.at), l: kind(l), m};
    }`);
  const day = "2026-01-02T03:04:05Z";
  assert.deepEqual(await worker.value("kinds", {a: day, b: 3, c: "aGk=", d: ["x", "x"], e: {n: 1}, f: {days: [day], by: {x: day}}, g: "https://a.b/c",
    h: 5, i: "aGk=", j: [day, 1], k: {at: day}}, inTypeScript), {a: "Date", b: "bigint", c: "Buffer", text: "hi", d: "Set", e: "Map", f: "Date",
    by: "Date", g: "a.b", h: "Number", i: "ArrayBuffer", j: "Date", k: "Date", l: "undefined", m: 1});
});

test("JSDoc types convert too", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `
    /** @param {Date[]} days
     *  @param {number} [n=3] */
    export const year = (days, n) => [days[0].getUTCFullYear(), n ?? "left out"];`);
  assert.deepEqual(await worker.value("year", {days: ["2026-01-02"]}), [2026, "left out"]);
});

test("a value that does not convert names its path", async (t) => {
  const worker = await Worker.start(t);
  worker.file(T, "export function go(trip: {days: Date[]}, data?: Uint8Array) { return 1; }");
  const error = await worker.error("go", {trip: {days: ["2026-01-01", "tomorrow"]}}, inTypeScript);
  assert.equal(error.code, -32602);
  assert.equal(error.message, 'argument /trip/days/1: "tomorrow" is not a date');
  assert.match((await worker.error("go", {trip: {days: []}, data: "%"}, inTypeScript)).message, /\/data: the text is not base64/);
});

test("results become JSON", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `
    class Point { constructor() { this.x = 1; } get y() { return 2; } }
    class Money { toJSON() { return "1 EUR"; } }
    export const all = () => ({a: new Date(0), b: new Map([["x", 1], [2, new Set([1])]]), c: new Set([3, 1]), d: Buffer.from("hi"), e: new Point(),
      f: new Money(), g: 2n ** 64n, h: undefined, i: [undefined, , 1], j: new Uint8Array([1]).buffer, k: new Float64Array([1.5]), l: Object.create(null),
      m: new URL("https://a.b/"), n: [new Date(NaN)].length, o: -0, p: Object("boxed"), q: {__proto__: null, toString: 1}});
    export const nothing = () => {};`);
  const {answer} = await worker.call("all");
  assert.match(answer.text, /"g":18446744073709551616/);
  const {g, ...value} = answer.result.value;
  assert.deepEqual(value, {a: "1970-01-01T00:00:00.000Z", b: {x: 1, 2: [1]}, c: [3, 1], d: "aGk=", e: {x: 1}, f: "1 EUR", i: [null, null, 1], j: "AQ==",
    k: [1.5], l: {}, m: "https://a.b/", n: 1, o: 0, p: "boxed", q: {toString: 1}});
  assert.equal(await worker.value("nothing"), null);
});

test("integers beyond 2^53 pass unchanged", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, "export const echo = (value) => value; export const types = (all) => all.map((one) => typeof one);");
  const all = "[9007199254740991,9007199254740993,-9223372036854775808,18446744073709551615,123456789012345678901234567890,0.1,1e21]";
  const params = JSON.stringify(worker.params("echo", {value: 0})).replace('"value":0', `"value":${all}`);
  worker.stream.write(`${Buffer.byteLength(params) + 46}\n{"jsonrpc":"2.0","id":50,"method":"call","params":${params}}`.replace(/^\d+/, String(Buffer.byteLength(`{"jsonrpc":"2.0","id":50,"method":"call","params":${params}}`))));
  const answer = await worker.receive();
  assert.ok(answer.text.includes("9007199254740993,-9223372036854775808,18446744073709551615,123456789012345678901234567890,0.1,1e+21"), answer.text);
});

test("unfit results name their place", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `
    export function nested() { const value = []; value.push(value); return value; }
    export const surrogate = () => ({a: "\\ud800"});
    export const unknown = () => ({a: [1, () => 2]});
    export const infinite = () => ({"a/b": {n: Infinity}});
    export const promised = () => [Promise.resolve(1)];
    export const throwing = () => ({get x() { throw new Error("not now"); }});
    export const date = () => new Date(NaN);`);
  assert.match((await worker.error("surrogate")).message, /\/value\/a: the string has a lone surrogate/);
  assert.match((await worker.error("unknown")).message, /\/value\/a\/1: a value of type function has no JSON form/);
  assert.match((await worker.error("infinite")).message, /\/value\/a~1b\/n: Infinity is not a JSON number/);
  assert.match((await worker.error("promised")).message, /await it/);
  assert.match((await worker.error("throwing")).message, /not now/);
  assert.match((await worker.error("date")).message, /invalid Date/);
  assert.equal((await worker.error("nested")).data.type, "invalid_result");
});

test("async functions, generators and streams", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `
    import {setTimeout as wait} from "node:timers/promises";
    import {Readable} from "node:stream";
    export async function double(x) { await wait(5); return x * 2; }
    export async function* count(n) { for (let i = 0; i < n; ++i) { await wait(1); yield i; } }
    export function* sync(n) { for (let i = 0; i < n; ++i) yield {i}; }
    export const stream = async () => Readable.from(["a", "b"]);
    export async function* failing() { yield 1; throw new TypeError("after one"); }
    export function* unfit() { yield 1; yield NaN; }`);
  assert.equal(await worker.value("double", {x: 4}), 8);
  for (const [name, args, expected] of [["count", {n: 2}, [0, 1]], ["sync", {n: 2}, [{i: 0}, {i: 1}]], ["stream", {}, ["a", "b"]]]) {
    const {answer, before} = await worker.call(name, args);
    assert.deepEqual(answer.result.value, expected);
    assert.deepEqual(before.map((message) => message.params.value), expected);
  }
  const {answer, before} = await worker.call("failing");
  assert.equal(before.length, 1);
  assert.equal(answer.error.data.error_class, "TypeError");
  assert.equal((await worker.error("unfit")).data.type, "invalid_result");
});

test("arguments are bound by the source's parameters", async (t) => {
  const worker = await Worker.start(t);
  worker.file(T, `
    import type {Context} from "sabir";
    export function gap(a: number, b = 10, c = 3) { return [a, b, c]; }
    export function rest(a: number, ...others: string[]) { return [a, others]; }
    export function keywords({a, b = 2, ...more}: {a: number; b?: number; [name: string]: unknown}) { return [a, b, more]; }
    export function mixed(x: number, {limit = 5}: {limit?: number} = {limit: 9}) { return [x, limit]; }
    export const optional = (a: number, b?: string) => [a, b === undefined];
    export function middle(a: number, context: Context, b: number) { return [a, context.user, b, context.signal.aborted]; }
    export function inside({a, context}: {a: number; context: Context}) { return [a, context.user]; }`);
  const value = (name, args, more = {}) => worker.value(name, args, {...inTypeScript, ...more});
  assert.deepEqual(await value("gap", {first: 1, second: 2}), [1, 2, 3]);
  assert.deepEqual(await value("gap", {a: 1, c: 5}, {positional: ["a"]}), [1, 10, 5]);
  assert.deepEqual(await value("rest", {a: 1, others: ["x", "y"]}, {positional: ["a"], variadic: "others"}), [1, ["x", "y"]]);
  assert.deepEqual(await value("keywords", {a: 1, more: {z: 1}}, {positional: [], keyword_variadic: "more"}), [1, 2, {z: 1}]);
  assert.deepEqual(await value("keywords", {a: 1, z: 1}, {positional: []}), [1, 2, {z: 1}]);
  assert.deepEqual(await value("mixed", {x: 1}), [1, 9]);
  assert.deepEqual(await value("mixed", {x: 1, limit: 7}, {positional: ["x"]}), [1, 7]);
  assert.deepEqual(await value("optional", {a: 1}), [1, true]);
  assert.deepEqual(await value("middle", {a: 1, b: 2}, {context_parameter: "context"}), [1, "u", 2, false]);
  assert.deepEqual(await value("inside", {a: 1}, {positional: [], context_parameter: "context"}), [1, "u"]);
  for (const [name, args, message] of [["gap", {}, /\/a is missing/], ["gap", {a: 1, z: 2}, /unknown argument 'z'/], ["keywords", {b: 1}, /\/a is missing/]]) {
    const error = await worker.error(name, args, {...inTypeScript, positional: []});
    assert.equal(error.data.type, "invalid_arguments");
    assert.match(error.message, message);
  }
});

test("CommonJS, typeless files and default exports are found", async (t) => {
  const worker = await Worker.start(t);
  worker.file("f/a.cjs", "const sabir = require('sabir'); module.exports = {one: () => 1, async two(x) { return [x, typeof sabir.call]; }};");
  worker.file("f/b.js", "exports.one = function (x = 4) { return x; };");
  worker.file("f/c.js", "import {one} from './b.js'; export const two = () => one() + 1;");
  worker.file("f/d.mjs", "export default function named(x) { return x; }");
  worker.file("f/e.cjs", "module.exports = function only() { return this === undefined || this === globalThis; };");
  worker.file("f/g.ts", "import {call} from 'sabir'; const helper = (x: number): string => String(x); export {helper as shown}; export const kind = () => typeof call;");
  assert.equal(await worker.value("one", {}, {file: "f/a.cjs"}), 1);
  assert.deepEqual(await worker.value("two", {x: 2}, {file: "f/a.cjs"}), [2, "function"]);
  assert.equal(await worker.value("one", {}, {file: "f/b.js"}), 4);
  assert.equal(await worker.value("two", {}, {file: "f/c.js"}), 5);
  assert.equal(await worker.value("named", {x: 3}, {file: "f/d.mjs"}), 3);
  assert.equal(await worker.value("only", {}, {file: "f/e.cjs"}), true);
  assert.equal(await worker.value("shown", {x: 3}, {file: "f/g.ts"}), "3");
  assert.equal(await worker.value("kind", {}, {file: "f/g.ts"}), "function");
  assert.equal((await worker.error("toString", {}, {file: "f/b.js"})).data.type, "unknown_function");
  assert.doesNotMatch(worker.log, /Warning/);
});

test("enums and parameter properties run, and their errors keep their lines",
  {skip: Module.registerHooks ? false : "this Node can only strip types"}, async (t) => {
    const worker = await Worker.start(t);
    worker.file(T, `export enum Colour { Red = "red" }
class Box { constructor(public size: number) {} }
export function paint(colour: Colour): string { return colour === Colour.Red ? String(new Box(3).size) : "?"; }

export function fail(): never {
  throw new RangeError("here");
}`);
    assert.equal(await worker.value("paint", {colour: "red"}, inTypeScript), "3");
    const {data} = await worker.error("fail", {}, inTypeScript);
    assert.deepEqual([data.file, data.line, data.error_class], [T, 6, "RangeError"]);
  });

test("an error names the innermost line of the user's own code", async (t) => {
  const worker = await Worker.start(t);
  worker.file("functions/node/deep.mjs", "export function parse(text) {\n  return JSON.parse(text);\n}\n");
  worker.file("node_modules/lib/index.js", "module.exports = (f) => f();");
  worker.file(X, `import {parse} from "./deep.mjs";
import lib from "lib";
import {setTimeout as wait} from "node:timers/promises";
export const run = (text) => parse(text);
export const through = () => lib(() => lib(() => null.x));
export async function later() {
  await wait(1);
  throw new Error("late");
}`);
  let {data} = await worker.error("run", {text: "{"});
  assert.deepEqual([data.file, data.line, data.error_class], ["functions/node/deep.mjs", 2, "SyntaxError"]);
  ({data} = await worker.error("through"));
  assert.deepEqual([data.file, data.line], [X, 5]);
  ({data} = await worker.error("later"));
  assert.deepEqual([data.file, data.line], [X, 8]);
});

test("odd errors, process.exit and stray exceptions do not end the worker", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `
    export const leave = () => process.exit(3);
    export const deep = () => deep();
    export const text = () => { throw "only text"; };
    export const nothing = () => { throw undefined; };
    export const empty = () => { throw new TypeError(); };
    export const odd = () => { throw new Error("\\ud800 odd"); };
    export const stray = () => new Promise(() => setTimeout(() => { throw new RangeError("in a timer"); }, 1));
    export const rejected = () => { Promise.reject(new Error("nobody waits")); return 1; };
    export const hostile = () => { throw {get message() { throw 1; }, get stack() { throw 2; }}; };
    export const fine = () => 1;`);
  assert.equal((await worker.error("leave")).data.error_class, "ExitError");
  assert.equal((await worker.error("deep")).data.error_class, "RangeError");
  assert.deepEqual([(await worker.error("text")).message, (await worker.error("text")).data.error_class], ["only text", "string"]);
  assert.equal((await worker.error("nothing")).message, "undefined");
  assert.equal((await worker.error("empty")).message, "TypeError");
  assert.equal((await worker.error("odd")).message, "\ufffd odd");
  assert.deepEqual([(await worker.error("stray")).message, (await worker.error("stray")).data.error_class], ["in a timer", "RangeError"]);
  assert.equal((await worker.error("hostile")).data.type, "function_error");
  assert.equal(await worker.value("rejected"), 1);
  assert.equal(await worker.value("fine"), 1);
});

test("a corrected file is loaded at the next call", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, "export const a = 1;\nexport function f( {\n");
  const error = await worker.error("f");
  assert.deepEqual([error.data.type, error.data.file, error.data.line >= 2], ["load_failed", X, true]);
  assert.ok(error.message.startsWith(`${X} does not load: SyntaxError: `), error.message);
  worker.file(X, "export const f = () => 1;\n");
  assert.equal(await worker.value("f"), 1);
});

test("a corrected import is loaded at the next call, and what was good keeps its state", {skip: Module.registerHooks ? false : "this Node cannot"}, async (t) => {
  const worker = await Worker.start(t);
  worker.file("functions/node/state.mjs", "export const state = {n: 0};");
  worker.file("functions/node/y.mjs", 'import {state} from "./state.mjs"; export const up = () => ++state.n;');
  assert.equal(await worker.value("up", {}, {file: "functions/node/y.mjs"}), 1);
  worker.file("functions/node/part.mjs", "export const x = 1;\nnull.y;\n");
  worker.file(X, 'import "./part.mjs";\nimport {state} from "./state.mjs";\nexport const f = () => ++state.n;\n');
  const {data} = await worker.error("f");
  assert.deepEqual([data.file, data.line, data.error_class], ["functions/node/part.mjs", 2, "TypeError"]);
  worker.file("functions/node/part.mjs", "export const x = 1;\n");
  assert.equal(await worker.value("f"), 2);
});

test("a broken import is blamed where it stands", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, '\nimport x from "@scope/of_nobody/deep";\n');
  let {data} = await worker.error("f");
  assert.deepEqual([data.file, data.line], [X, 2]);
  assert.match(data.hint, /`@scope\/of_nobody` to package.json/);
  worker.file("functions/node/y.mjs", '// one\n\nimport {x} from "./gone.mjs";\n');
  ({data} = await worker.error("f", {}, {file: "functions/node/y.mjs"}));
  assert.deepEqual([data.file, data.line], ["functions/node/y.mjs", 3]);
  worker.file("functions/node/z.cjs", '\n\nrequire("of_nobody");\n');
  ({data} = await worker.error("f", {}, {file: "functions/node/z.cjs"}));
  assert.deepEqual([data.file, data.line], ["functions/node/z.cjs", 3]);
  assert.match(data.hint, /`of_nobody` to package.json/);
  worker.file("functions/node/w.mjs", 'import {absent} from "./good.mjs";');
  worker.file("functions/node/good.mjs", "export const here = 1;");
  const error = await worker.error("f", {}, {file: "functions/node/w.mjs"});
  assert.deepEqual([error.data.file, error.data.line], ["functions/node/w.mjs", 1]);
  assert.match((await worker.error("f", {}, {file: "functions/node/none.mjs"})).data.hint, /the file is gone/);
});

test("a function may ask the engine many things at once", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `import * as sabir from "sabir";
    export const fanOut = (n) => Promise.all(Array.from({length: n}, (_, i) => sabir.call("f", {i})));`);
  worker.send({id: "c", method: "call", params: worker.params("fanOut", {n: 8})});
  const held = [];
  for (let i = 0; i < 8; ++i) {
    const message = await worker.receive();
    assert.deepEqual([message.method, message.params.parent], ["functions.call", "c"]);
    held.push(message);
  }
  for (const message of held.reverse()) worker.send({id: message.id, result: {value: message.params.arguments.i * 10}});
  assert.deepEqual((await worker.receive()).result.value, [0, 10, 20, 30, 40, 50, 60, 70]);
});

test("work left running after the answer has no engine and says so", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `import * as sabir from "sabir";
    let told = "nothing yet";
    export function leave() { setTimeout(() => { sabir.progress(1); sabir.call("f").catch((error) => { told = error.type + ": " + error.message; }); }, 5); }
    export async function tell() { await new Promise((resolve) => setTimeout(resolve, 60)); return told; }`);
  await worker.value("leave");
  const {answer, before} = await worker.call("tell");
  assert.match(answer.result.value, /^cancelled: functions\.call was called after its call had been answered/);
  assert.deepEqual(before, []);
});

test("a cancelled wait for the engine ends, and so does one on the signal", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `import * as sabir from "sabir";
    import {setTimeout as wait} from "node:timers/promises";
    export const ask = () => sabir.call("f");
    export async function signal() { sabir.progress(0); await wait(15_000, null, {signal: sabir.signal()}); }
    export async function* stream() { for (let i = 0; ; ++i) { await wait(1); yield i; } }
    export function* endless() { for (let i = 0; ; ++i) yield i; }`);
  worker.send({id: 50, method: "call", params: worker.params("ask", {})});
  const inner = await worker.receive();
  worker.send({method: "cancel", params: {id: 50, reason: "deadline"}});
  let answer = await worker.receive();
  assert.deepEqual([answer.id, answer.error.data.type], [50, "cancelled"]);
  worker.send({id: inner.id, result: {value: "late"}});
  assert.deepEqual((await worker.request("ping", {})).answer.result, {});
  for (const name of ["signal", "stream", "endless"]) {
    worker.send({id: name, method: "call", params: worker.params(name, {})});
    await worker.receive();
    worker.send({method: "cancel", params: {id: name}});
    do answer = await worker.receive(); while (answer.method !== undefined);
    assert.deepEqual([answer.id, answer.error.data.type], [name, "cancelled"]);
  }
});

test("a parameter of type AbortSignal is filled in, and aborted when the call is cancelled", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `
    /**
     * @param {number} a
     * @param {AbortSignal} signal
     * @param {number} [b]
     */
    export const arrives = (a, signal, b = 3) => [a, signal instanceof AbortSignal, signal.aborted, b];
    /** @param {{a: number, signal?: AbortSignal}} options */
    export const inside = ({a, signal}) => [a, signal instanceof AbortSignal];
    /** @param {AbortSignal} signal */
    export async function waits(signal) {
      const sabir = await import("sabir");
      sabir.progress(0);
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }`);
  assert.deepEqual(await worker.value("arrives", {a: 1, b: 2}), [1, true, false, 2]);
  assert.deepEqual(await worker.value("arrives", {a: 1}), [1, true, false, 3]);
  assert.deepEqual(await worker.value("inside", {a: 1}), [1, true]);
  worker.send({id: 60, method: "call", params: worker.params("waits", {})});
  await worker.receive();
  worker.send({method: "cancel", params: {id: 60, reason: "deadline"}});
  const answer = await worker.receive();
  assert.deepEqual([answer.id, answer.error.data.type], [60, "cancelled"]);
});

test("an error of the engine that is not caught names its cause", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `import * as sabir from "sabir";
export async function key() {
  return await sabir.secret("weather");
}`);
  worker.send({id: 50, method: "call", params: worker.params("key", {})});
  const inner = await worker.receive();
  worker.send({id: inner.id, error: {code: -32000, message: "not granted", data: {type: "not_granted", hint: "add it to config/grants.yml"}}});
  const {error} = await worker.receive();
  assert.deepEqual([error.message, error.data.type, error.data.cause.type, error.data.hint, error.data.line],
    ["not granted", "function_error", "not_granted", "add it to config/grants.yml", 3]);
});

test("many calls sent at once are answered in order", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, "export const f = (n) => (n % 50 === 0 ? Promise.resolve(n) : n);");
  for (let n = 0; n < 2000; ++n) worker.send({id: n + 1000, method: "call", params: worker.params("f", {n})});
  for (let n = 0; n < 2000; ++n) assert.equal((await worker.receive()).result.value, n);
});

test("a queued call that is cancelled while another computes is not run", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `let runs = 0;
    export function compute() { const until = Date.now() + 200; while (Date.now() < until); return ++runs; }
    export const count = () => runs;`);
  await worker.value("count");
  worker.send({id: 50, method: "call", params: worker.params("compute", {})});
  worker.send({id: 51, method: "call", params: worker.params("compute", {})});
  setTimeout(() => worker.send({method: "cancel", params: {id: 51}}), 60);
  const answers = [await worker.receive(), await worker.receive()];
  assert.deepEqual(answers.map((one) => one.error?.data.type ?? one.result.value).sort(), [1, "cancelled"].sort());
  assert.equal(await worker.value("count"), 1);
});

test("output is log and the environment names the project", async (t) => {
  const worker = await Worker.start(t);
  worker.file(X, `import {execFileSync, spawnSync} from "node:child_process";
    import fs from "node:fs";
    export function speak() {
      console.log("from console.log");
      execFileSync("echo", ["from a child"], {stdio: "inherit"});
      const own = fs.readlinkSync("/proc/self/fd/3");
      const theirs = spawnSync("sh", ["-c", "ls -l /proc/self/fd"]).stdout.toString();
      return [process.env.SABIR_FD ?? null, process.env.SABIR_PROJECT, own.startsWith("socket:"), theirs.includes(own)];
    }`);
  assert.deepEqual(await worker.value("speak"), [null, worker.project, true, false]);
  worker.stream.destroy();
  assert.equal(await worker.exited, 0);
  assert.match(worker.log, /from console\.log/);
  assert.match(worker.log, /from a child/);
});

test("the worker says how it is started", () => {
  for (const fd of [undefined, "", "x", "1,2,3", "77", "1"]) {
    const {SABIR_FD, ...env} = process.env;
    const result = spawnSync(process.execPath, [path.join(LANGUAGE, "worker.mjs")], {env: fd === undefined ? env : {...env, SABIR_FD: fd}, timeout: 20_000});
    assert.equal(result.status, 1);
    assert.match(result.stderr.toString(), /SABIR_FD/);
  }
});
