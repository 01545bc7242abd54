// Makes `sabir` and `sabir/testing` importable and requirable by its name alone: node --import …/sdk/sabir/register.mjs --test
//
// Between TypeScript files `./models.js` may stand for `./models.ts`, as TypeScript has it.
import {existsSync} from "node:fs";
import Module from "node:module";
import {fileURLToPath} from "node:url";

const imported = new URL("index.mjs", import.meta.url).href;
const required = fileURLToPath(new URL("index.cjs", import.meta.url));

const testing = new URL("testing.mjs", import.meta.url).href;

const JAVASCRIPT = /\.([mc]?)js$/;

// What `next` finds, or else the TypeScript of that name.
function orTypeScript(specifier, context, next) {
  const mayBe = specifier.startsWith(".") && JAVASCRIPT.test(specifier) && /\.[mc]?ts(?:\?|$)/.test(context.parentURL ?? "");
  if (!mayBe) return next(specifier, context);
  const written = specifier.replace(JAVASCRIPT, ".$1ts");
  const isThere = (name) => existsSync(fileURLToPath(new URL(name, context.parentURL)));
  return next(!isThere(specifier) && isThere(written) ? written : specifier, context);
}

// For the thread that a Node without registerHooks resolves in.
export async function resolve(specifier, context, next) {
  if (specifier === "sabir/testing") return {url: testing, format: "module", shortCircuit: true};
  return specifier === "sabir" ? {url: imported, format: "module", shortCircuit: true} : orTypeScript(specifier, context, next);
}

if (!globalThis[Symbol.for("sabir.registered")]) {
  globalThis[Symbol.for("sabir.registered")] = true;
  if (Module.registerHooks) {
    Module.registerHooks({resolve: (specifier, context, next) => specifier === "sabir/testing" ? {url: testing, shortCircuit: true} : specifier === "sabir"
      ? {url: context.conditions?.includes("require") ? new URL("index.cjs", import.meta.url).href : imported, shortCircuit: true}
      : orTypeScript(specifier, context, next)});
  } else {
    const {isMainThread} = await import("node:worker_threads");
    const byNode = Module._resolveFilename;
    Module._resolveFilename = function (request, ...rest) {
      return request === "sabir" ? required : byNode.call(this, request, ...rest);
    };
    if (isMainThread) Module.register(import.meta.url);
  }
}
