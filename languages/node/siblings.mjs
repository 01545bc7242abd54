// The files that a source's types come from: files beside it, packages in node_modules, the SDK. They are read and never run.
import {isBuiltin} from "node:module";
import path from "node:path";
import {fileURLToPath} from "node:url";

// An import of it would load its streams as well.
const fs = process.getBuiltinModule("node:fs");

const MAX_BYTES = 1024 * 1024;
const MAX_FILES = 200;
const SDK = fileURLToPath(new URL("sdk/sabir/index.d.ts", import.meta.url));
// What an import names, and what may lie there: TypeScript is imported by its own name or by that of what it becomes.
const REPLACED = {".js": [".ts", ".d.ts"], ".mjs": [".mts", ".d.mts"], ".cjs": [".cts", ".d.cts"], ".jsx": [".tsx"]};
const ADDED = [".ts", ".mts", ".cts", ".d.ts", ".js", ".mjs", ".cjs", "/index.ts", "/index.d.ts", "/index.js"];

function isFile(file) {
  try {
    const found = fs.statSync(file);
    return found.isFile() && found.size <= MAX_BYTES;
  } catch {
    return false;
  }
}

function withExtension(file) {
  const extension = path.extname(file);
  const instead = (REPLACED[extension] ?? []).map((other) => file.slice(0, -extension.length) + other);
  return [...(extension in REPLACED ? [] : [file]), ...instead, file, ...ADDED.map((other) => file + other)].find(isFile) ?? null;
}

// The declarations of a package, as its package.json names them.
function ofPackage(name, from) {
  for (let folder = path.dirname(from); ; folder = path.dirname(folder)) {
    for (const one of [name, `@types/${name.replace(/^@/, "").replace("/", "__")}`]) {
      const root = path.join(folder, "node_modules", one);
      const told = path.join(root, "package.json");
      if (!isFile(told)) continue;
      try {
        const parsed = JSON.parse(fs.readFileSync(told, "utf8"));
        const main = parsed.exports?.["."] ?? parsed.exports;
        const types = main?.import?.types ?? main?.types ?? parsed.types ?? parsed.typings ?? main?.import ?? parsed.main ?? "index.d.ts";
        const file = typeof types === "string" ? withExtension(path.join(root, types)) : null;
        if (file !== null) return file;
      } catch {
        // A package.json that cannot be read names nothing.
      }
    }
    if (path.dirname(folder) === folder) return null;
  }
}

const isRelative = (specifier) => /^\.{1,2}(?:\/|$)/.test(specifier);
const isPackage = (specifier) => /^(?:@[\w.-]+\/)?[\w.-]+$/.test(specifier) && !isBuiltin(specifier);

/** The file that `specifier` means in the file `from`; null where there is none. */
export function resolve(specifier, from) {
  if (specifier === "sabir") return SDK;
  if (isRelative(specifier)) return withExtension(path.resolve(path.dirname(from), specifier));
  return isPackage(specifier) ? ofPackage(specifier, from) : null;
}

// Where a file that is not there may come to lie: in the project's folder this program runs.
function awaited(specifier, from) {
  if (isPackage(specifier)) return [path.resolve("node_modules", specifier, "package.json")];
  if (!isRelative(specifier)) return [];
  const file = path.resolve(path.dirname(from), specifier);
  const extension = path.extname(file);
  if (extension in REPLACED) return [file.slice(0, -extension.length) + REPLACED[extension][0], file];
  return extension === "" ? [`${file}.ts`, `${file}/index.ts`] : [file];
}

/** Reads files for the types of one source. used: the files that were read, but for the SDK's own, or looked for. */
export class Siblings {
  /** make(path, source) reads one: what `find` gives. Errors of it count as a file that cannot be read. */
  constructor(make) {
    this.make = make;
    this.known = new Map();
    this.used = new Set();
  }

  /** What `make` gave for the file that `specifier` means in `from`; null where there is none. */
  find(specifier, from) {
    const file = resolve(specifier, path.resolve(from));
    if (file === null) {
      for (const one of awaited(specifier, path.resolve(from))) this.used.add(one);
      return null;
    }
    if (!this.known.has(file)) {
      if (this.known.size >= MAX_FILES) return null;
      let found = null;
      try {
        found = this.make(file, fs.readFileSync(file, "utf8"));
      } catch {
        // Its own listing tells what is wrong with it.
      }
      this.known.set(file, found);
    }
    if (file !== SDK) this.used.add(file);
    return this.known.get(file);
  }
}
