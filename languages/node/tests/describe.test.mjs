// What describe.mjs tells of sources: cases/*.json, each a source and its whole answer.
//
// `node languages/node/tests/describe.test.mjs --write` writes the answers anew; read the difference before you keep it.
import assert from "node:assert/strict";
import {spawnSync} from "node:child_process";
import fs from "node:fs";
import Module from "node:module";
import os from "node:os";
import path from "node:path";
import {test} from "node:test";
import {fileURLToPath} from "node:url";
import {describe} from "../describe.mjs";
import {LANGUAGE} from "./peer.mjs";

const FOLDER = fileURLToPath(new URL("cases", import.meta.url));
const plain = (value) => JSON.parse(JSON.stringify(value));
const sourceOf = ({source}) => source.join("\n");
const files = fs.readdirSync(FOLDER).filter((name) => name.endsWith(".json")).sort();
const all = files.flatMap((name) => JSON.parse(fs.readFileSync(path.join(FOLDER, name), "utf8")));

if (process.argv.includes("--write")) {
  for (const name of files) {
    const file = path.join(FOLDER, name);
    const cases = JSON.parse(fs.readFileSync(file, "utf8"));
    for (const one of cases) one.expected = plain(describe(one.path, sourceOf(one)));
    fs.writeFileSync(file, `${JSON.stringify(cases, null, 1)}\n`);
  }
} else {
  for (const one of all) {
    const skip = one.needs === "parser" && Module.stripTypeScriptTypes === undefined ? "this Node has no TypeScript parser to ask" : false;
    test(one.name, {skip}, () => assert.deepEqual(plain(describe(one.path, sourceOf(one))), one.expected));
  }

  test("types that double at every step are cut off", () => {
    const types = Array.from({length: 40}, (_, i) => `type T${i} = {a: T${i + 1}; b: T${i + 1}};`).join("\n");
    const {functions} = describe("p.ts", `${types}\ntype T40 = string;\nexport function f(t: T0) {}`);
    assert.match(functions[0].warnings[0], /too large to describe/);
  });

  test("types come from siblings, in circles and from files that cannot be read, and the siblings are told", (context) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sabir-describe-"));
    const before = process.cwd();
    process.chdir(folder);
    context.after(() => {
      process.chdir(before);
      fs.rmSync(folder, {recursive: true});
    });
    const write = (name, ...lines) => {
      fs.mkdirSync(path.dirname(name), {recursive: true});
      fs.writeFileSync(name, lines.join("\n"));
    };
    write("a.ts", 'export * from "./b.ts";', 'export {Lost} from "./b.ts";', 'import type {Down} from "./b.ts";', "export interface Up { down?: Down }");
    write("b.ts", 'export * from "./a.ts";', 'export {Lost} from "./a.ts";', 'import type {Up} from "./a.ts";', "export interface Down { up: Up; n: number }");
    write("broken.ts", "export type Broken = {");
    write("kinds/index.ts", 'export type Kind = "x" | "y";', "export default interface Whole { kind: Kind }");
    const source = ['import type {Up, Lost, Never} from "./a.js";', 'import type {Broken} from "./broken.ts";', 'import type Whole from "./kinds";',
      'import type {Kind as K} from "./kinds/index.ts";', 'import * as kinds from "./kinds";',
      "export function f(up: Up, lost: Lost, never: Never, broken: Broken, whole: Whole, k: K, all: kinds.Kind[]) {}"].join("\n");
    const told = describe("main.ts", source);
    const [{parameters, warnings}] = told.functions;
    const schemas = Object.fromEntries(parameters.map(({name, schema}) => [name, plain(schema)]));
    assert.deepEqual(schemas.up.properties.down.properties.n, {type: "number"});
    assert.deepEqual([schemas.lost, schemas.never, schemas.broken], [{}, {}, {}]);
    assert.deepEqual(schemas.whole.properties.kind, {type: "string", enum: ["x", "y"]});
    assert.deepEqual([schemas.k, schemas.all], [{type: "string", enum: ["x", "y"]}, {type: "array", items: {type: "string", enum: ["x", "y"]}}]);
    assert.equal(warnings.length, 3);
    assert.deepEqual(told.depends, ["a.ts", "b.ts", "broken.ts", "kinds/index.ts"]);
    assert.equal(describe("other.ts", "export function g(a: string) {}").depends, undefined);
  });

  test("deep nesting is an answer, not a crash", () => {
    for (const [open, close] of [["(", ")"], ["[", "]"], ["{a:", "}"], ["`${", "}`"], ["Array<", ">"], ["readonly ", ""]]) {
      for (const depth of [90, 5000, 20_000]) {
        const type = describe("p.ts", `export function f(a: ${open.repeat(depth)}string${close.repeat(depth)}) {}`);
        const value = describe("p.js", `export const a = ${open.repeat(depth)}1${close.repeat(depth)};`);
        assert.ok(type.error ?? type.functions);
        assert.ok(value.error ?? value.functions);
      }
    }
  });

  test("damaged sources are read or refused, and never more", () => {
    let seed = 1;
    const random = (below) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    const pieces = ["(", ")", "{", "}", "[", "]", "<", ">", "`", "${", "'", '"', "/", "/*", "*/", "=>", "=", ":", ",", ";", "\n", "export ", "async ", "function ",
      "type ", "interface ", "enum ", "...", "?", "@", "#", "\\", "\u2028", "class ", "module.exports", "as ", "is "];
    for (let turn = 0; turn < 3000; ++turn) {
      const one = all[random(all.length)];
      let source = sourceOf(one);
      for (let i = random(4); i >= 0; --i) {
        const at = random(source.length + 1);
        source = random(2) ? source.slice(0, at) + source.slice(at + random(6)) : source.slice(0, at) + pieces[random(pieces.length)] + source.slice(at);
      }
      const answer = describe(one.path, source);
      assert.ok(answer.error?.line >= 1 || answer.functions.every((found) => found.name && found.parameters.every((parameter) => parameter.name)), source);
    }
  });

  test("the program answers in order, and says what it cannot read", () => {
    const run = (input) => spawnSync(process.execPath, [path.join(LANGUAGE, "describe.mjs")], {input, timeout: 20_000});
    const answer = run(JSON.stringify({version: 1, files: [{path: "a.js", source: "export const f = (n = 10n ** 0n) => n; export const BIG = 18446744073709551615n;"},
      {path: "b.ts", source: "export function g(: {}"}, {path: "c.ts", source: "throw new Error('it ran'); export function h() {}"}]}));
    assert.equal(answer.stderr.toString(), "");
    const told = JSON.parse(answer.stdout);
    assert.equal(told.version, 1);
    assert.deepEqual(told.files.map((file) => [file.path, file.functions?.map((one) => one.name) ?? file.error.line]), [["a.js", ["f"]], ["b.ts", 1], ["c.ts", ["h"]]]);
    assert.match(answer.stdout.toString(), /"big":18446744073709551615/);
    assert.deepEqual(JSON.parse(run('{"version":1,"files":[]}').stdout), {version: 1, files: []});
    for (const input of ["", "{", "[]", '{"version":2,"files":[]}', '{"version":1,"files":[{"path":1}]}']) {
      const refused = run(input);
      assert.equal(refused.status, 1);
      assert.match(refused.stderr.toString(), /^describe\.mjs: standard input/);
    }
  });
}
