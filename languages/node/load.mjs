// A user's files as modules, and where in them an error came from.
import {execFile} from "node:child_process";
import fs from "node:fs";
import Module from "node:module";
import path from "node:path";
import {fileURLToPath, pathToFileURL} from "node:url";

/** A user's file does not load. `error` is what it threw; file and line say where. */
export class LoadFailed extends Error {
  constructor(message, hint, file, line, error) {
    super(message);
    Object.assign(this, {hint, file, line, error});
  }
}

/** The path as its user would type it: relative to the project, where it lies inside. */
export function shown(file, root) {
  return root && file.startsWith(root + path.sep) ? file.slice(root.length + 1) : file;
}

const PLACE = /(?:\(|at (?:async )?|^)((?:file:\/\/)?\/[^\n]*?)(?::(\d+))(?::\d+)?\)?$/;

function pathOf(text) {
  if (!text.startsWith("file://")) return text;
  try {
    return fileURLToPath(text.replace(/[?#].*$/, ""));
  } catch {
    return text;
  }
}

function stackOf(error) {
  try {
    return typeof error?.stack === "string" ? error.stack : "";
  } catch {
    return "";
  }
}

/** [file, line] of the stack's innermost frame in the user's own code, or [null, null]. */
export function placeOf(error, root, file) {
  for (const text of stackOf(error).split("\n")) {
    if (!text.startsWith("    at ")) continue;
    const match = PLACE.exec(text.trim());
    if (match === null) continue;
    const at = pathOf(match[1]);
    if (at === file || isOwn(at, root)) return [at, Number(match[2])];
  }
  return [null, null];
}

function isOwn(file, root) {
  return Boolean(root) && file.startsWith(root + path.sep) && !/[\\/](node_modules|\.[^\\/]*)[\\/]/.test(file.slice(root.length));
}

// Node keeps a module that failed, and what it imported, as failed. Each new attempt therefore imports what is not known to
// be good under a new query; what once loaded keeps its name, so that its state is shared.
const attempt = {root: "", number: 0, running: false, good: new Map(), seen: new Map(), failed: null};

function resolve(specifier, context, next) {
  let found;
  try {
    found = next(specifier, context);
  } catch (error) {
    attempt.failed = {specifier, parent: context.parentURL};
    throw error;
  }
  if (context.conditions?.includes("require") || !found.url.startsWith("file:") || found.url.includes("?")) return found;
  const file = pathOf(found.url);
  if (!isOwn(file, attempt.root)) return found;
  let query = attempt.good.get(found.url);
  if (query === undefined) {
    query = attempt.number === 0 ? "" : `?sabir=${attempt.number}`;
    (attempt.running ? attempt.seen : attempt.good).set(found.url, query);
  }
  return query === "" ? found : {...found, url: found.url + query};
}

const BEYOND_STRIPPING = /\b(?:enum|namespace|module)\s+[\w$.]+\s*\{|\bconstructor\s*\([^)]*\b(?:public|private|protected|readonly)\b|\bimport\s+[\w$]+\s*=/;

// Node strips types; enums, parameter properties and namespaces need more than that.
function loadSource(url, context, next) {
  const extension = /\.([mc]?)ts(?:\?|$)/.exec(url);
  if (extension !== null && url.startsWith("file:") && Module.stripTypeScriptTypes) {
    const source = fs.readFileSync(fileURLToPath(url.replace(/\?.*$/, "")), "utf8");
    if (BEYOND_STRIPPING.test(source)) {
      try {
        Module.stripTypeScriptTypes(source);
      } catch (error) {
        if (error.code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
          process.setSourceMapsEnabled(true);
          const kind = extension[1] || (/^\s*(?:import|export)\b/m.test(source) ? "m" : "c");
          return {format: kind === "c" ? "commonjs" : "module", shortCircuit: true,
            source: Module.stripTypeScriptTypes(source, {mode: "transform", sourceMap: true, sourceUrl: url})};
        }
      }
    }
  }
  return next(url, context);
}

/** Before the first load. root: the project's folder. */
export function prepare(root) {
  if (attempt.root === "" && Module.registerHooks) Module.registerHooks({resolve, load: loadSource});
  attempt.root = root;
}

const loaded = new Map();

/** The exports of the file `file`. A file that failed is tried again. Errors: LoadFailed. */
export async function load(file, root) {
  const known = loaded.get(file);
  if (known !== undefined) return known;
  attempt.running = true;
  attempt.failed = null;
  attempt.seen = new Map();
  const url = pathToFileURL(file).href;
  try {
    // Without hooks at least the file itself is tried again.
    const exports = await import(Module.registerHooks || attempt.number === 0 ? url : `${url}?sabir=${attempt.number}`);
    for (const [name, query] of attempt.seen) attempt.good.set(name, query);
    loaded.set(file, exports);
    return exports;
  } catch (error) {
    ++attempt.number;
    throw await failure(error, file, root);
  } finally {
    attempt.running = false;
  }
}

async function failure(error, file, root) {
  const name = error?.name === undefined ? typeof error : error.constructor?.name || error.name;
  let text = String(error?.message ?? error);
  let [at, line] = headOf(error);
  let hint = "";
  if (error instanceof SyntaxError) {
    hint = "correct the syntax there";
    if (at === null) [at, line] = await checked([file, ...[...attempt.seen.keys()].map(pathOf)]);
  } else if (error?.code === "ERR_MODULE_NOT_FOUND" || error?.code === "MODULE_NOT_FOUND") {
    text = text.split("\n")[0];
    const match = /Cannot find (package|module) '([^']+)'(?: imported from (.+))?/.exec(text);
    const specifier = attempt.failed?.specifier ?? match?.[2] ?? "";
    const from = pathOf(attempt.failed?.parent ?? match?.[3] ?? "");
    if (match?.[2] === file) {
      hint = "the file is gone; restore it or call another function";
    } else {
      if (at === null) [at, line] = importPlace(from, specifier);
      if (specifier !== "" && !/^[./]|^file:/.test(specifier)) {
        const parts = specifier.split("/");
        hint = `add the package \`${parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/")}\` to package.json and run \`sabir setup\``;
      }
    }
  }
  if (at === null) [at, line] = placeOf(error, root, file);
  return new LoadFailed(`${shown(file, root)} does not load: ${name}: ${text}`, hint, shown(at ?? file, root), line ?? 1, error);
}

// The place that Node writes above a syntax error: "/a/b.cjs:3" or "file:///a/b.mjs:3" as the stack's first line.
function headOf(error) {
  const first = /^((?:file:\/\/)?\/.*?):(\d+)$/.exec(stackOf(error).split("\n")[0]);
  return first === null ? [null, null] : [pathOf(first[1]), Number(first[2])];
}

// An ES module's syntax error has no place; `node --check` tells it.
async function checked(files) {
  for (const file of [...new Set(files)].slice(0, 20)) {
    const errors = await new Promise((resolve) => {
      execFile(process.execPath, [...process.execArgv, "--check", file], {timeout: 10_000}, (error, _out, text) => resolve(error ? text : ""));
    });
    const match = /^((?:file:\/\/)?\/.*?):(\d+)$/m.exec(errors);
    if (match !== null) return [pathOf(match[1]), Number(match[2])];
  }
  return [null, null];
}

function importPlace(file, specifier) {
  try {
    const lines = fs.readFileSync(file, "utf8").split("\n");
    const quoted = [`"${specifier}"`, `'${specifier}'`, `\`${specifier}\``];
    // Without hooks, a relative import is known by its resolved path only.
    const short = path.parse(specifier).name;
    let at = lines.findIndex((line) => quoted.some((text) => line.includes(text)));
    if (at < 0) at = lines.findIndex((line) => /\b(?:import|from|require)\b/.test(line) && line.includes(short));
    return at < 0 ? [file, 1] : [file, at + 1];
  } catch {
    return [null, null];
  }
}
