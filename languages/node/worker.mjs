// Sabir's Node worker: serves the functions of a project to the engine (spec/worker-protocol.md).
//
// Calls run one at a time, in the order of their arrival; while one awaits, the connection is read.
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import {performance} from "node:perf_hooks";
import "./sdk/sabir/register.mjs";
import channel from "./sdk/sabir/channel.cjs";
import sdk from "./sdk/sabir/index.cjs";
import plain from "./sdk/sabir/plain.cjs";
import wire from "./sdk/sabir/wire.cjs";
import {LoadFailed, load, placeOf, prepare, shown} from "./load.mjs";

const {Context, SabirError} = sdk;
const {calls} = channel;
const {Unfit} = plain;
// Answers wait for the others of the same read, unless the next call is known to take longer than this, in milliseconds.
const QUICK = 0.2;
const LAST_SECONDS = 30;

/** A call that cannot be run; becomes its error answer. */
class Refused extends Error {
  constructor(code, type, message, data = {}) {
    super(message);
    Object.assign(this, {code, type, data});
  }
}

/** process.exit in a user's function. */
class ExitError extends Error {}

/** A running call, as the SDK finds it. */
class Call {
  constructor(id) {
    this.id = id;
    this.done = false;
    this.cancelled = false;
    this.controller = null;
    this.fail = null;
  }

  signal() {
    if (this.controller === null) {
      this.controller = new AbortController();
      if (this.cancelled) this._abort();
    }
    return this.controller.signal;
  }

  cancel() {
    this.cancelled = true;
    if (this.controller !== null) this._abort();
  }

  _abort() {
    this.controller.abort(new SabirError("cancelled", "the call was cancelled"));
  }
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const has = (object, name) => Object.hasOwn(object, name);
const refuse = (message) => {
  throw new Refused(-32602, "invalid_arguments", message);
};

/** A function as the worker calls it. signature: what declarations.mjs reads of it, or null for native code. */
class Entry {
  constructor(run, self, file, signature, convert) {
    this.run = run;
    this.self = self;
    this.file = file;
    this.quick = false;
    this.signature = signature;
    this.convert = convert;
    const parameters = signature?.parameters ?? [];
    this.names = parameters.map((parameter) => parameter.name);
    this.signals = parameters.filter((parameter) => parameter.signal).map((parameter) => parameter.name);
    // Arguments that are all there go by position without a further look.
    this.simple = signature !== null && convert === null && parameters.every((parameter) => parameter.kind === "positional" && !parameter.context && !parameter.signal &&
      !(parameter.name in Object.prototype));
  }
}

class Worker {
  constructor(reader, writer) {
    this.connection = new wire.Connection(reader, writer, {
      onMessage: (message) => this.take(message), onBatch: () => this.pump(true), onEnd: (error) => this.ended(error)});
    this.queue = [];
    this.entries = new Map();
    this.root = "";
    this.running = null;
    this.leaving = null;
    this.slow = false;
  }

  // Messages

  take(message) {
    const {method} = message;
    if (method === "call") {
      if (has(message, "id")) this.queue.push(message);
    } else if (method === "drain" && has(message, "id")) {
      this.queue.push(message);
    } else {
      this.other(method, message);
    }
  }

  /** Everything but calls. */
  other(method, message) {
    const {connection} = this;
    const {params} = message;
    if (!has(message, "id")) {
      if (method === "cancel" && isObject(params)) this.cancel(params);
      return;
    }
    const {id} = message;
    switch (method) {
      case "ping":
        connection.answerResult(id, {});
        return;
      case "hello":
        this.hello(id, params);
        return;
      case "start":
        this.start(id, params);
        return;
      default:
        connection.answerError(id, -32601, "unknown_method", `unknown method ${method}`);
    }
  }

  hello(id, params) {
    const versions = isObject(params) ? params.protocol : null;
    const {min, max} = isObject(versions) ? versions : {};
    if (!Number.isInteger(min) || !Number.isInteger(max)) {
      this.connection.answerError(id, -32602, "invalid_arguments", "hello needs protocol.min and protocol.max");
    } else if (min > 1 || max < 1) {
      this.connection.answerError(id, -32001, "protocol", `this worker speaks protocol 1, the engine ${min} to ${max}`);
      this.leave(1);
    } else {
      this.connection.answerResult(id, {protocol: 1, language: "node", runtime: process.versions.node, sdk: sdk.version,
        capabilities: {blobs: true, chunks: true, cancel: false}});
    }
  }

  start(id, params) {
    const project = isObject(params) ? params.project : null;
    if (typeof project !== "string") {
      this.connection.answerError(id, -32602, "invalid_arguments", "start needs the project's folder");
      return;
    }
    this.root = path.resolve(project);
    prepare(this.root);
    process.env.SABIR_PROJECT ??= this.root;
    if (typeof params.boot === "string") this.boot = params.boot;
    if (typeof params.environment === "string") process.env.SABIR_ENV ??= params.environment;
    this.connection.answerResult(id, {});
  }

  cancel(params) {
    const {id} = params;
    if (id === undefined || id === null) return;
    if (this.running !== null && this.running.id === id) {
      this.running.cancel();
      this.connection.cancel(this.running);
      return;
    }
    const at = this.queue.findIndex((message) => message.method === "call" && message.id === id);
    if (at < 0) return;
    this.queue.splice(at, 1);
    this.connection.answerError(id, -32000, "cancelled", "the call was cancelled before it ran", {reason: params.reason});
  }

  ended(error) {
    this.queue = [];
    if (this.running === null) {
      this.leave(error === undefined ? 0 : 1);
      return;
    }
    // The call may finish what it does; nobody waits for its answer.
    this.leaving = error === undefined ? 0 : 1;
    this.running.cancel();
    setTimeout(() => exit(this.leaving), LAST_SECONDS * 1000).unref();
  }

  /** Ends the process as soon as what is queued has been written. */
  leave(status) {
    this.leaving = status;
    const {connection} = this;
    connection.flush();
    if (connection.closed && !connection.writer.writable) exit(status);
    connection.writer.end(() => exit(status));
    setTimeout(exit, 700, status);
  }

  // Calls

  /** Runs queued calls until one awaits. fresh: the connection has just been read. */
  pump(fresh = false) {
    const {connection} = this;
    if (fresh) this.slow = false;
    while (this.running === null && this.queue.length > 0 && this.leaving === null) {
      if (this.slow) {
        // Lets a cancel of what is queued in: the second one comes after a look at the connection.
        this.slow = false;
        connection.flush();
        setImmediate(() => setImmediate(() => this.pump()));
        return;
      }
      const message = this.queue.shift();
      if (message.method === "drain") {
        connection.answerResult(message.id, {});
        this.leave(0);
        return;
      }
      this.call(message.id, message.params);
    }
    connection.flush();
  }

  call(id, params) {
    const call = new Call(id);
    let entry;
    try {
      if (!isObject(params) || typeof params.module !== "string" || typeof params.function !== "string") {
        refuse("a call needs `module` and `function`");
      }
      entry = this.entries.get(`${params.module}\n${params.receiver || ""}\n${params.function}`);
    } catch (error) {
      this.refused(id, error);
      return;
    }
    if (entry !== undefined) {
      this.invoke(call, entry, params);
      return;
    }
    this.running = call;
    this.connection.flush();
    this.resolve(params).then((found) => this.invoke(call, found, params), (error) => this.refused(id, error)).finally(() => this.resume());
  }

  resume() {
    if (this.running?.done !== false) this.running = null;
    if (this.running === null && this.connection.closed) this.leave(this.leaving ?? 0);
    else this.pump();
  }

  refused(id, error) {
    this.running = null;
    if (error instanceof Refused) this.connection.answerError(id, error.code, error.type, error.message, error.data);
    else this.connection.answerError(id, -32000, "internal", `the worker failed: ${textOf(error)}`, {traceback: traceOf(error)});
  }

  async resolve(params) {
    const receiver = params.receiver || "";
    if (typeof receiver !== "string") refuse("`receiver` is a string");
    const name = params.function;
    const file = path.resolve(params.module);
    let exports;
    try {
      if (this.boot) await load(this.boot, this.root);
      exports = await load(file, this.root);
    } catch (failed) {
      if (!(failed instanceof LoadFailed)) throw failed;
      throw new Refused(-32000, "load_failed", failed.message, {hint: failed.hint || null, file: failed.file, line: failed.line,
        error_class: classOf(failed.error), traceback: traceOf(failed.error)});
    }
    let self;
    let found = exports;
    for (const part of [...(receiver === "" ? [] : receiver.split(".")), name]) {
      self = found;
      found = member(found, part);
      if (self === exports && found === undefined && has(exports, "default")) {
        self = exports.default;
        // A module.exports that Node sees no names in, or a function that is the default export.
        found = member(self, part) ?? (typeof self === "function" && self.name === part ? self : undefined);
      }
    }
    if (typeof found !== "function") {
      throw new Refused(-32000, "unknown_function", `${shown(file, this.root)} has no function ${receiver ? `${receiver}.` : ""}${name}`,
        {file: shown(file, this.root)});
    }
    const {signatureOf} = await import("./signature.mjs");
    const {signature, convert} = signatureOf(found, file, receiver, name);
    const entry = new Entry(found, receiver === "" ? undefined : self, file, signature, convert);
    this.entries.set(`${params.module}\n${params.receiver || ""}\n${name}`, entry);
    return entry;
  }

  /** The values to call with. Errors: Refused. */
  arrange(entry, params, call) {
    const given = params.arguments ?? {};
    if (!isObject(given)) refuse("`arguments` is an object, `positional` an array, `receiver` a string");
    const {names} = entry;
    if (entry.simple && Object.keys(given).length === names.length && !params.context_parameter) {
      const values = [];
      for (const name of names) {
        const value = given[name];
        if (value === undefined) break;
        values.push(value);
      }
      if (values.length === names.length) return values;
    }
    const named = {__proto__: null, ...given};
    if (params.context_parameter) named[params.context_parameter] = Context.fromWire(params.context, () => call.signal());
    for (const name of entry.signals) named[name] = call.signal();
    return entry.signature === null ? byPosition(named, params) : bySignature(entry, renamed(entry, named, params), params);
  }

  invoke(call, entry, params) {
    const {connection} = this;
    this.running = call;
    let values;
    try {
      values = this.arrange(entry, params, call);
    } catch (error) {
      this.refused(call.id, error);
      return;
    }
    if (connection.out.length > 0 && !entry.quick) connection.flush();
    let value;
    const began = performance.now();
    try {
      value = calls.run(call, invocation, entry, values);
    } catch (error) {
      this.failed(call, entry, params, error);
      this.slow = true;
      return;
    }
    if (value !== null && typeof value === "object") {
      if (typeof value.then === "function") {
        this.settle(call, entry, params, value);
        return;
      }
      if (isStream(value)) {
        this.settle(call, entry, params, calls.run(call, () => this.stream(call, value)));
        return;
      }
    }
    const took = performance.now() - began;
    entry.quick = took < QUICK;
    if (!entry.quick) this.slow = true;
    this.finished(call, params, value);
  }

  async settle(call, entry, params, promise) {
    // An exception that nobody can catch (a timer's callback, say) fails the call too.
    const thrown = new Promise((_, reject) => (call.fail = reject));
    try {
      let value = await Promise.race([promise, thrown]);
      if (value !== null && typeof value === "object" && isStream(value)) {
        value = await Promise.race([calls.run(call, () => this.stream(call, value)), thrown]);
      }
      this.finished(call, params, value);
    } catch (error) {
      this.failed(call, entry, params, error);
    }
    this.resume();
  }

  /** What an iterator yields, each sent as a chunk. */
  async stream(call, iterator) {
    const {connection} = this;
    const values = [];
    let turn = performance.now();
    const send = async (item) => {
      values.push(item);
      if (connection.closed) return;
      if (!connection.notify("chunk", {id: call.id, value: item}, "value")) await connection.drained();
      if (performance.now() - turn > 10) {
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        turn = performance.now();
      }
      if (call.cancelled) throw new SabirError("cancelled", "the call was cancelled");
    };
    if (typeof iterator[Symbol.asyncIterator] === "function") for await (const item of iterator) await send(item);
    else for (const item of iterator) await send(item);
    return values;
  }

  finished(call, params, value) {
    call.done = true;
    this.running = null;
    if (this.connection.closed) return;
    try {
      this.connection.answerValue(call.id, value);
    } catch (error) {
      this.unfit(call.id, params, error);
    }
  }

  unfit(id, params, error) {
    const what = error instanceof Unfit ? error.message : `it cannot be read: ${textOf(error)}`;
    this.connection.answerError(id, -32000, "invalid_result", `${params.function} returned a value that JSON cannot carry: ${what}`,
      {hint: "return strings, finite numbers, BigInt, booleans, null, arrays and plain objects"});
  }

  failed(call, entry, params, error) {
    call.done = true;
    this.running = null;
    const {connection} = this;
    const {id} = call;
    if (connection.closed) return;
    if (error instanceof Unfit) {
      this.unfit(id, params, error);
      return;
    }
    if (call.cancelled && (error?.name === "AbortError" || (error instanceof SabirError && error.type === "cancelled"))) {
      connection.answerError(id, -32000, "cancelled", "the call was cancelled");
      return;
    }
    const [file, line] = placeOf(error, this.root, entry.file);
    const data = {error_class: classOf(error), traceback: traceOf(error), line, file: file === null ? null : shown(file, this.root)};
    if (error instanceof SabirError) {
      data.hint = error.hint || null;
      data.cause = {type: error.type, data: error.data};
    }
    const message = textOf(error);
    try {
      connection.answerError(id, -32000, "function_error", message, data);
    } catch {
      delete data.cause;
      connection.answerError(id, -32000, "function_error", message.slice(0, 10_000), data);
    }
  }
}

function invocation(entry, values) {
  return Reflect.apply(entry.run, entry.self, values);
}

function member(object, name) {
  const isHolder = object !== null && (typeof object === "object" || typeof object === "function");
  return isHolder && has(object, name) ? object[name] : undefined;
}

function isStream(value) {
  return typeof value[Symbol.asyncIterator] === "function" || (typeof value.next === "function" && typeof value[Symbol.iterator] === "function");
}

// Where the call's positional names are not the source's, they are taken in their order.
function renamed(entry, named, {positional}) {
  if (!Array.isArray(positional)) return named;
  const own = entry.signature.parameters.filter((parameter) => parameter.kind === "positional" && !parameter.context && !parameter.signal);
  positional.slice(0, own.length).forEach((name, index) => {
    if (name === own[index].name || !(name in named) || entry.names.includes(name)) return;
    named[own[index].name] = named[name];
    delete named[name];
  });
  return named;
}

// Binds by the names of the source's parameters.
function bySignature(entry, named, params) {
  const values = [];
  let last = 0;
  let spread = [];
  let keywords = null;
  for (const parameter of entry.signature.parameters) {
    const {name, kind} = parameter;
    const here = name in named;
    let value = named[name];
    delete named[name];
    if (kind === "variadic") {
      if (here && !Array.isArray(value)) refuse(`argument /${name}: expected an array`);
      spread = value ?? [];
      if (entry.convert !== null) spread = spread.map((item, index) => converted(entry, name, item, `/${index}`));
      continue;
    }
    if (kind === "keyword_variadic") {
      if (here && name === params.keyword_variadic) {
        if (!isObject(value)) refuse(`argument /${name}: expected an object`);
        Object.assign(named, value);
      } else if (here) {
        named[name] = value;
      }
      keywords ??= {};
      Object.assign(keywords, named);
      for (const other of Object.keys(named)) delete named[other];
      continue;
    }
    if (!here && parameter.required && !parameter.context) refuse(`argument /${name} is missing`);
    if (here && entry.convert !== null) value = converted(entry, name, value, "");
    if (kind === "keyword") {
      keywords ??= {};
      if (here) keywords[name] = value;
    } else {
      values.push(value);
      if (here) last = values.length;
    }
  }
  const unknown = Object.keys(named);
  if (unknown.length > 0) refuse(`unknown argument '${unknown[0]}'`);
  if (spread.length > 0) return [...values, ...spread];
  if (keywords !== null && (Object.keys(keywords).length > 0 || !entry.signature.keywordsOptional)) return [...values, keywords];
  values.length = last;
  return values;
}

function converted(entry, name, value, at) {
  try {
    return entry.convert(name, value, at);
  } catch (error) {
    if (typeof error.at !== "string") throw error;
    return refuse(`argument /${name}${error.at}: ${error.message}`);
  }
}

// Native code and the like, whose parameters nothing tells.
function byPosition(named, params) {
  const positional = Array.isArray(params.positional) ? params.positional : [];
  const values = [];
  for (const name of positional) {
    if (!(name in named)) break;
    values.push(named[name]);
    delete named[name];
  }
  if (params.variadic && Array.isArray(named[params.variadic])) {
    values.push(...named[params.variadic]);
    delete named[params.variadic];
  }
  if (Object.keys(named).length > 0) refuse(`unknown argument '${Object.keys(named)[0]}'`);
  return values;
}

function classOf(error) {
  if (error === null || (typeof error !== "object" && typeof error !== "function")) return error === null ? "null" : typeof error;
  try {
    return String(error.constructor?.name || error.name || "Error");
  } catch {
    return "Error";
  }
}

function textOf(error) {
  try {
    const text = error instanceof Error ? error.message : typeof error?.message === "string" ? error.message : String(error);
    return String(text) || classOf(error);
  } catch {
    return classOf(error);
  }
}

function traceOf(error) {
  let text;
  try {
    text = String(error?.stack ?? error);
  } catch {
    return null;
  }
  // Without the worker's own frames.
  text = text.split("\n").filter((line) => !line.includes("/worker.mjs:") && !line.includes("(node:")).join("\n");
  return text.length < 20_000 ? text : `${text.slice(0, 4000)}\n…\n${text.slice(-12_000)}`;
}

const exit = process.exit.bind(process);

function descriptors() {
  const given = process.env.SABIR_FD ?? "";
  delete process.env.SABIR_FD;
  if (!/^[0-9]{1,9}(,[0-9]{1,9})?$/.test(given)) {
    process.stderr.write("sabir's Node worker is started by the engine: SABIR_FD has to name its connection\n");
    exit(1);
  }
  const fds = given.split(",").map(Number);
  for (const fd of fds) {
    let stat = null;
    try {
      stat = fs.fstatSync(fd);
    } catch {
      // Said below.
    }
    if (fd < 3 || stat === null || !(stat.isSocket() || stat.isFIFO())) {
      process.stderr.write(`sabir's Node worker: SABIR_FD names descriptor ${fd}, which is ${stat === null ? "not open" : "no connection"}\n`);
      exit(1);
    }
  }
  return fds;
}

function main() {
  const [readFd, writeFd] = descriptors();
  let worker = null;
  const room = Buffer.allocUnsafeSlow(65536);
  const onread = {buffer: room, callback: (count) => {
    worker.connection.push(count === room.length ? room : room.subarray(0, count));
    return true;
  }};
  const reader = new net.Socket({fd: readFd, readable: true, writable: writeFd === undefined, allowHalfOpen: true, onread});
  const writer = writeFd === undefined ? reader : new net.Socket({fd: writeFd, readable: false, writable: true});
  worker = new Worker(reader, writer);
  reader.resume();
  channel.state.worker = worker.connection;
  Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 30);
  process.exit = (status) => {
    throw new ExitError(`process.exit(${status ?? ""}) was called; a function returns or throws instead`);
  };
  process.on("uncaughtException", (error) => {
    const call = calls.getStore();
    if (call !== undefined && !call.done && call.fail !== null) {
      call.fail(error);
      return;
    }
    process.stderr.write(`uncaught: ${String(error?.stack ?? error)}\n`);
  });
}

main();
