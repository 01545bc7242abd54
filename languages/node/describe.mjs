// Tells the engine what functions source files have (docs/function-schema.md), without running them.
//
// Standard input: {"version": 1, "files": [{"path", "source"}]}. Standard output: {"version": 1, "files": […]}, in that order.
import Module from "node:module";
import {isAbsolute, relative} from "node:path";
import {fileURLToPath} from "node:url";
import vm from "node:vm";
import {isRightForCertain} from "./plain.mjs";
import {read} from "./reader.mjs";
import {Unreadable} from "./syntax.mjs";

// An import of it would load its streams as well.
const fs = process.getBuiltinModule("node:fs");

// Sources of which V8 has read the last before the code that it compiled for reading them has repaid itself. (Flags on the
// command line would cost more: V8 then leaves the code that Node carries along unused.)
const SHORT = 1 << 17;

/** One file's entry: {path, functions, unavailable, module_doc, constants, depends}, or {path, error: {message, line, column}}. */
export function describe(path, source) {
  try {
    const {functions, isModule, depends, tokens, ...rest} = read(path, source);
    checkSyntax(path, source, isModule, tokens);
    const out = {path, functions: functions.map(entryOf), ...rest};
    // From the project's folder, in which this program runs.
    if (depends.length > 0) out.depends = depends.map(shown);
    return out;
  } catch (error) {
    if (!(error instanceof Unreadable) && !(error instanceof RangeError)) throw error;
    return {path, error: {message: error instanceof Unreadable ? `syntax error: ${error.message}` : "it is nested too deeply to be read",
      line: error.line ?? 1, column: error.column ?? 1}};
  }
}

function entryOf({keywordsOptional, ...one}) {
  return {...one, parameters: one.parameters.filter((parameter) => !parameter.signal)};
}

function shown(file) {
  const inside = relative("", file);
  return inside.startsWith("..") || isAbsolute(inside) ? file : inside;
}

// Node's TypeScript parser runs out of its stack on some sources, and is of no use afterwards.
let parserIsUsable = Module.stripTypeScriptTypes !== undefined;

// What brackets and literals do not show, as far as this Node has a parser to ask. Nothing is run.
function checkSyntax(path, source, isModule, tokens) {
  if (source.trim() === "") return;
  const script = /\.cjs$/.test(path) || (/\.js$/.test(path) && !isModule);
  if (script) {
    try {
      new vm.Script(`(function (exports, require, module, __filename, __dirname) {${source.replace(/^#!/, "//")}\n})`, {filename: "source"});
      return;
    } catch (error) {
      // A file without import or export may still be a module that awaits at its top level.
      if (/\.cjs$/.test(path) || !/\bawait\b/.test(source) || !parserIsUsable) throw unreadable(error, /^source:(\d+)\n/, 1);
    }
  }
  if (!parserIsUsable || isRightForCertain(source, tokens)) return;
  try {
    Module.stripTypeScriptTypes(source.replace(/^#!/, "//"), {mode: "strip"});
  } catch (error) {
    if (error.code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") return;
    if (error.code !== "ERR_INVALID_TYPESCRIPT_SYNTAX") {
      parserIsUsable = false;
      return;
    }
    throw unreadable(error, /^[^\n]*:(\d+)\n/, 0);
  }
}

function unreadable(error, pattern, wrapped) {
  const stack = String(error.stack);
  const line = Number(pattern.exec(stack)?.[1] ?? 1);
  const marked = stack.split("\n").find((text) => /^\s*\^+\s*$/.test(text));
  const column = marked === undefined ? 1 : marked.indexOf("^") + 1;
  const prefix = wrapped && line === 1 ? "(function (exports, require, module, __filename, __dirname) {".length : 0;
  const place = wrapped ? line : lineOfSnippet(stack, line);
  return new Unreadable(error.message, place, Math.max(1, column - prefix));
}

// Node names the line of the snippet's end.
function lineOfSnippet(stack, line) {
  const snippet = stack.split("\n\n")[0].split("\n").slice(1);
  const marker = snippet.findIndex((text) => /^\s*\^+\s*$/.test(text));
  const after = marker < 0 ? 0 : snippet.length - 1 - marker;
  return Math.max(1, line - after);
}

// Standard input and output without their streams, which take longer to load than all is to read. Streams wait where the
// other side does not.
async function everything() {
  const parts = [];
  try {
    for (let size = -1; size !== 0;) {
      const part = Buffer.allocUnsafe(1 << 16);
      size = fs.readSync(0, part);
      parts.push(part.subarray(0, size));
    }
  } catch (error) {
    if (error.code !== "EAGAIN") throw error;
    for await (const part of process.stdin) parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function say(text) {
  let rest = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(fs.writeSync(1, rest));
  } catch (error) {
    if (error.code !== "EAGAIN") throw error;
    process.stdout.write(rest);
  }
}

async function main() {
  const text = await everything();
  if (text.length < SHORT) for (const flag of ["--no-opt", "--no-maglev", "--no-sparkplug"]) process.getBuiltinModule("node:v8").setFlagsFromString(flag);
  let asked;
  try {
    asked = JSON.parse(text);
  } catch (error) {
    return refuse(`standard input is no JSON: ${error.message}`);
  }
  if (asked?.version !== 1 || !Array.isArray(asked.files) || !asked.files.every((one) => typeof one?.path === "string" && typeof one.source === "string")) {
    return refuse('standard input has to be {"version": 1, "files": [{"path": "…", "source": "…"}]}');
  }
  const files = asked.files.map(({path, source}) => describe(path, source));
  say(JSON.stringify({version: 1, files}, (_key, value) => (typeof value === "bigint" ? JSON.rawJSON(value.toString()) : value)));
  return undefined;
}

function refuse(message) {
  process.stderr.write(`describe.mjs: ${message}\n`);
  process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Node warns that its TypeScript parser is new.
  process.removeAllListeners("warning");
  await main();
}
