// That plain.mjs takes nothing which Node's TypeScript parser refuses.
//
// V8's modules are there with a flag alone, so this file runs itself with it.
import assert from "node:assert/strict";
import {spawnSync} from "node:child_process";
import fs from "node:fs";
import Module from "node:module";
import path from "node:path";
import {test} from "node:test";
import {fileURLToPath} from "node:url";
import vm from "node:vm";
import {isRightForCertain} from "../plain.mjs";
import {tokensOf} from "../syntax.mjs";
import {LANGUAGE} from "./peer.mjs";

const takes = (source) => isRightForCertain(source, tokensOf(source).tokens);

function refuses(source) {
  try {
    Module.stripTypeScriptTypes(source, {mode: "strip"});
    return false;
  } catch (error) {
    return error.code === "ERR_INVALID_TYPESCRIPT_SYNTAX";
  }
}

const RIGHT = [
  "export function f(text: string, limit: number = 10): string { return text; }",
  "export async function* f(a?: string, {b, c}: D = {}, ...rest: E.F<G>[]): AsyncGenerator<string> { yield a; }",
  "const f = (a: string): string => a; let g = async (a?: string): Promise<void> => {};",
  "export default function (a: 'x' | 1 | null, b: (string | number)[], c: {d: string; readonly e?: 'f', type: 1}) {}",
  "import type {A} from './a.ts'; import {type B, c} from './b.ts';\nexport interface D { a: string\n b?: A[] }\ntype E = | 'x'\n | 'y';",
  "interface A {}\nexport interface B {};\ntype C = string\nconst x: Map<string, number> = new Map<string, number>();",
  "const data = await load(); for (let i = 0; i < 3; i++) data.count[i]++; export {data as default};",
  "#!/usr/bin/env node\nimport a, {b} from 'c'; export const x = a ? (b) : (c) => b / 2 >= 1;",
];
// Right or wrong, they are not for this reader to say.
const NOT_CERTAIN = [
  "f() = 1", "a.b() += 2", "f()++", "++f()", "--a.b()", "++a[b]()", "for (f() of x);", "for (f() in x);", "++\n new Foo<Bar>() [b]()", "`${f() = 1}`", "`${++f()}`", "class A { ...b }", "using x = y ,", "export using x = y ,", "`${class { ...a }}`", "class A extends B { c = 1\n ...d }", "f() **= 1",
  "f() >>>= 1", "f() <<= 1", "f() ??= 1", "namespace\nfoo", "switch (a) { case (b): c => d }", "try {}\ninterface A {}\ncatch {}",
  "if (a) {}\ninterface A {}\nelse {}", "do {}\ninterface A {}\nwhile (1)", "x = {}\ninterface A {}\n.foo", "x = {} interface A {}", "type A = string foo",
  "function f(: string) {}", "function f(a?: string = 'x') {}", "function f(...a?: string[]) {}", "const x: string<number> = 1",
  "const x: Array<> = 1", "const x: Array\n<string> = 1", "const x: Array<string>= 1", "const x: 'a\\u{zz}' = 1", "const x: 08 = 1", "const x: {a: string b: string} = 1", "const x: {,} = 1",
  "const x: keyof = 1", "const x: string", "do await {}\ninterface A {}\nwhile (1)", "++ /r/ ()", "++ 1 .b()", "a<b\n> /r/", "class A { in\nx }",
  "import a from 'c'\nwith {type: 'json'}", "x?.function(a: string)", "foo(a: string)", "import type {type A} from 'x'",
  "import type {A}, b from 'x'", "function f(a: string): string;", "enum A {}", "class A<T> {}", "x as string", "a!", "\ufeffexport const x = 1",
  "return", "export const x = ;",
];
const PIECES = [": string", "?: string", ": A<B>", "interface A {}", "type A = B;", "import type {A} from 'x';", "export", "=>", "(a: T) =>", "(a: T): U =>",
  "function f(a: T): U {}", "new Foo<Bar>()", "const x: T = 1", "?", ":", "(", ")", "{", "}", "[", "]", "<", ">", "=", "\n", ";", ",", "async", "await",
  "class A {}", "type", "interface", "of", "in", "as", "!", "...", "|", "readonly", "get", "`${a}`", "...", "...a", "/r/", "1", "x", "namespace", "case", "switch (a) {",
  "if (a)", "else", "try {} catch {}", "for (", "++", "+=", "() =>", "default", "import", "from 'x'", "/*c*/", "//c\n"];

// What is taken of `sources` with up to three changes each, and yet refused by the parser; how many were taken.
function astray(sources, rounds) {
  let seed = 20;
  const below = (limit) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % limit;
  };
  const wrong = [];
  let taken = 0;
  for (let round = 0; round < rounds; ++round) {
    const lines = sources[below(sources.length)].split("\n");
    const at = below(lines.length);
    let source = lines.slice(at, at + 1 + below(20)).join("\n");
    try {
      for (let changes = below(4); changes > 0; --changes) {
        const {tokens} = tokensOf(source);
        if (tokens.length === 0) break;
        const {start, end} = tokens[below(tokens.length)];
        const piece = [` ${PIECES[below(PIECES.length)]} `, "", "\n"][below(3)];
        source = source.slice(0, below(2) === 0 ? start : end) + piece + source.slice(end);
      }
      if (source.trim() === "" || !takes(source)) continue;
    } catch (error) {
      if (error.constructor.name !== "Unreadable") throw error;
      continue;
    }
    ++taken;
    if (refuses(source.replace(/^#!/, "//"))) wrong.push(source);
  }
  return {wrong, taken};
}

if (vm.SourceTextModule === undefined) {
  test("what is taken for certain, with V8's modules", () => {
    const environment = {...process.env};
    delete environment.NODE_TEST_CONTEXT;
    const done = spawnSync(process.execPath, ["--experimental-vm-modules", "--no-warnings", fileURLToPath(import.meta.url)], {env: environment, timeout: 120_000});
    assert.equal(done.status, 0, `${done.stdout}${done.stderr}`);
    assert.match(done.stdout.toString(), /pass [1-9]/);
  });

  test("without V8's modules nothing is certain", () => assert.equal(takes("export const x = 1;"), false));
} else {
  const skip = Module.stripTypeScriptTypes === undefined ? "this Node has no TypeScript parser to ask" : false;

  for (const source of RIGHT) {
    test(`taken: ${source}`, {skip}, () => {
      assert.equal(takes(source), true);
      assert.equal(refuses(source.replace(/^#!/, "//")), false);
    });
  }

  for (const source of NOT_CERTAIN) test(`not taken: ${source}`, () => assert.equal(takes(source), false));

  test("nothing is taken that the parser refuses", {skip}, () => {
    const cases = fs.readdirSync(path.join(LANGUAGE, "tests/cases")).flatMap((name) => JSON.parse(fs.readFileSync(path.join(LANGUAGE, "tests/cases", name), "utf8")));
    const {wrong, taken} = astray([...RIGHT, ...NOT_CERTAIN, ...cases.map(({source}) => source.join("\n"))], 20_000);
    assert.deepEqual(wrong, []);
    assert.ok(taken > 1000, `only ${taken} were taken`);
  });

  test("the program answers the same with them and without", {skip}, () => {
    const cases = fs.readdirSync(path.join(LANGUAGE, "tests/cases")).flatMap((name) => JSON.parse(fs.readFileSync(path.join(LANGUAGE, "tests/cases", name), "utf8")));
    const input = JSON.stringify({version: 1, files: cases.map((one) => ({path: one.path, source: one.source.join("\n")}))});
    const run = (...flags) => spawnSync(process.execPath, [...flags, path.join(LANGUAGE, "describe.mjs")], {input, timeout: 60_000});
    const [with_, without] = [run("--experimental-vm-modules"), run()];
    assert.equal(with_.stderr.toString(), "");
    assert.equal(without.stderr.toString(), "");
    assert.ok(JSON.parse(with_.stdout).files.length === cases.length && cases.length > 0);
    assert.equal(with_.stdout.toString(), without.stdout.toString());
  });
}
