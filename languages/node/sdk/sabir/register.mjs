// Makes `sabir` importable and requirable by its name alone: node --import …/sdk/sabir/register.mjs --test
import Module from "node:module";
import {fileURLToPath} from "node:url";

const imported = new URL("index.mjs", import.meta.url).href;
const required = fileURLToPath(new URL("index.cjs", import.meta.url));

// For the thread that a Node without registerHooks resolves in.
export async function resolve(specifier, context, next) {
  return specifier === "sabir" ? {url: imported, format: "module", shortCircuit: true} : next(specifier, context);
}

if (!globalThis[Symbol.for("sabir.registered")]) {
  globalThis[Symbol.for("sabir.registered")] = true;
  if (Module.registerHooks) {
    Module.registerHooks({resolve: (specifier, context, next) => specifier === "sabir"
      ? {url: context.conditions?.includes("require") ? new URL("index.cjs", import.meta.url).href : imported, shortCircuit: true}
      : next(specifier, context)});
  } else {
    const {isMainThread} = await import("node:worker_threads");
    const byNode = Module._resolveFilename;
    Module._resolveFilename = function (request, ...rest) {
      return request === "sabir" ? required : byNode.call(this, request, ...rest);
    };
    if (isMainThread) Module.register(import.meta.url);
  }
}
