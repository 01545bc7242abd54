"use strict";
// Frames and messages of the worker protocol (spec/worker-protocol.md) over a stream, or a pair of streams.

const {isUtf8} = require("node:buffer");
const {SabirError} = require("./error.cjs");
const {Unfit, decode, fits, plain} = require("./plain.cjs");

const MAX_FRAME = 64 << 20;
const MAX_BLOBS = 1024;
const MAX_HEAD = 16384;
const ZERO = 48;
const SPACE = 32;

/** The peer's bytes are no frames; nothing after them can be read. */
class FrameError extends Error {}

/** The connection has ended; `sent` tells whether the frame had left. */
class Closed extends Error {
  constructor(sent) {
    super("the connection has ended");
    this.sent = sent;
  }
}

// The numbers of the head in bytes[from, to). Errors: FrameError.
function sizesOf(bytes, from, to) {
  const sizes = [];
  let total = 0;
  let at = from;
  while (true) {
    const start = at;
    let number = 0;
    while (at < to && bytes[at] >= ZERO && bytes[at] <= ZERO + 9) number = number * 10 + bytes[at++] - ZERO;
    if (at === start || at - start > 8 || (bytes[start] === ZERO && at - start > 1)) throw new FrameError("malformed frame head");
    sizes.push(number);
    total += number;
    if (at === to) break;
    if (bytes[at++] !== SPACE) throw new FrameError("malformed frame head");
  }
  if (sizes.length - 1 > MAX_BLOBS) throw new FrameError(`more than ${MAX_BLOBS} blobs in a frame`);
  if (total > MAX_FRAME) throw new FrameError(`frame larger than ${MAX_FRAME} bytes`);
  return sizes;
}

/**
 * Cuts a byte stream into frames: push() calls take(text, blobs) for each whole one; text is null where it is not UTF-8.
 *
 * The pushed bytes may be overwritten after push(); blobs are copies.
 */
class FrameReader {
  constructor(take) {
    this.take = take;
    this.rest = null; // a head that is not whole yet
    this.whole = null; // a frame whose head is known
    this.have = 0;
    this.sizes = null;
  }

  /** Whether the stream may end here. */
  get between() {
    return this.rest === null && this.whole === null;
  }

  /** Errors: FrameError. */
  push(bytes) {
    let at = 0;
    if (this.whole !== null) {
      const count = Math.min(this.whole.length - this.have, bytes.length);
      bytes.copy(this.whole, this.have, 0, count);
      this.have += count;
      if (this.have < this.whole.length) return;
      const whole = this.whole;
      this.whole = null;
      this._emit(whole, 0, this.sizes);
      at = count;
    } else if (this.rest !== null) {
      bytes = Buffer.concat([this.rest, bytes]);
      this.rest = null;
    }
    const end = bytes.length;
    while (at < end) {
      const cut = bytes.indexOf(10, at);
      if (cut < 0 || cut - at > MAX_HEAD) {
        if (end - at > MAX_HEAD) throw new FrameError(`frame head longer than ${MAX_HEAD} bytes`);
        if (bytes[at] < ZERO || bytes[at] > ZERO + 9) throw new FrameError("malformed frame head");
        this.rest = Buffer.from(bytes.subarray(at));
        return;
      }
      const sizes = sizesOf(bytes, at, cut);
      let total = sizes[0];
      for (let i = 1; i < sizes.length; ++i) total += sizes[i];
      const body = cut + 1;
      if (body + total > end) {
        this.whole = Buffer.allocUnsafeSlow(total);
        this.have = bytes.copy(this.whole, 0, body, end);
        this.sizes = sizes;
        return;
      }
      at = body + total;
      this._emit(bytes, body, sizes);
    }
  }

  _emit(bytes, from, sizes) {
    let at = from + sizes[0];
    let text = bytes.utf8Slice(from, at);
    if (text.includes("\ufffd") && !isUtf8(bytes.subarray(from, at))) text = null;
    const blobs = [];
    for (let i = 1; i < sizes.length; ++i) {
      blobs.push(Buffer.from(bytes.subarray(at, at + sizes[i])));
      at += sizes[i];
    }
    this.take(text, blobs);
  }
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function place(root, pointer, blob) {
  if (typeof pointer !== "string" || !pointer.startsWith("/")) throw new RangeError("a blob's place is a JSON Pointer");
  const keys = pointer.slice(1).split("/").map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  let at = root;
  keys.forEach((key, index) => {
    if (Array.isArray(at)) {
      if (!/^(0|[1-9][0-9]*)$/.test(key) || Number(key) >= at.length) throw new RangeError(`no element ${pointer} for the blob`);
    } else if (!isObject(at) || !Object.hasOwn(at, key)) {
      throw new RangeError(`no member ${pointer} for the blob`);
    }
    if (index < keys.length - 1) {
      at = at[key];
      return;
    }
    if (at[key] !== null) throw new RangeError(`the blob's place ${pointer} does not hold null`);
    Object.defineProperty(at, key, {value: blob, enumerable: true, configurable: true, writable: true});
  });
}

/** Moves a frame's blobs into `value` (params or result) as value.blobs says. Errors: RangeError. */
function placeBlobs(value, blobs) {
  const listed = (isObject(value) && Object.hasOwn(value, "blobs") ? value.blobs : null) ?? [];
  if (!Array.isArray(listed) || listed.length !== blobs.length) {
    throw new RangeError(`the frame has ${blobs.length} blobs, its JSON lists ${Array.isArray(listed) ? listed.length : "no array"}`);
  }
  if (listed.length === 0) return;
  delete value.blobs;
  listed.forEach((entry, index) => {
    if (!isObject(entry) || (entry.type !== "string" && entry.type !== "bytes")) {
      throw new RangeError("a blob's entry has `at` and a `type` of string or bytes");
    }
    if (entry.type === "string" && !isUtf8(blobs[index])) throw new RangeError("a blob of type string is not UTF-8");
    place(value, entry.at, entry.type === "string" ? blobs[index].toString() : blobs[index]);
  });
}

// How the engine begins a call: what differs from call to call, then its arguments. What follows them is the same for each call of
// a function, and is parsed once (spec/worker-protocol.md).
const CALL = /^\{"jsonrpc":"2\.0","id":([0-9]{1,15}),"method":"call","params":\{"deadline_ms":([0-9]{1,15}),(?:"idempotency_key":"([ !#-[\]-~]*)",)?"context":(\{[^{}\\]*\}),"arguments":/;
const AFTER_ARGUMENTS = ',"module":';
const MOST_KNOWN = 1000;

/** Calls whose ends are known. */
class KnownCalls {
  constructor() {
    this.ends = new Map();
    this.contexts = new Map();
  }

  /**
   * A call with only its arguments parsed; null: it is to be looked at as a whole. The split is right if both sides are JSON by
   * themselves, since an object ends where its brace does.
   */
  read(text) {
    const head = CALL.exec(text);
    if (head === null) return null;
    const start = head[0].length;
    const cut = text.lastIndexOf(AFTER_ARGUMENTS);
    if (cut <= start || text[start] !== "{") return null;
    try {
      const end = text.slice(cut);
      const rest = this.ends.get(end) ?? this._learn(end);
      if (rest === null) return null;
      const given = decode(text.slice(start, cut));
      let context = this.contexts.get(head[4]);
      if (context === undefined) this.contexts.set(head[4], (context = JSON.parse(head[4])));
      // A clone of the same shape: adding members to one costs more than all the rest.
      const params = {...rest};
      params.deadline_ms = Number(head[2]);
      params.context = context;
      params.arguments = given;
      if (head[3] !== undefined) params.idempotency_key = head[3];
      return {jsonrpc: "2.0", id: Number(head[1]), method: "call", params};
    } catch (error) {
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  }

  _learn(end) {
    if (!end.endsWith("}}")) return null;
    const rest = decode(`{${end.slice(1, -1)}`);
    if (["arguments", "context", "deadline_ms", "idempotency_key", "blobs"].some((name) => Object.hasOwn(rest, name))) return null;
    if (this.ends.size >= MOST_KNOWN) this.ends.clear();
    if (this.contexts.size >= MOST_KNOWN) this.contexts.clear();
    const whole = {deadline_ms: 0, context: null, arguments: null, ...rest};
    this.ends.set(end, whole);
    return whole;
  }
}

const MESSAGE_START = '{"jsonrpc":"2.0",';
const idText = (id) => (typeof id === "number" ? String(id) : typeof id === "bigint" ? id.toString() : (JSON.stringify(id, big) ?? "null"));
const big = (_key, value) => (typeof value === "bigint" ? JSON.rawJSON(value.toString()) : value);

/**
 * One protocol connection.
 *
 * onMessage(message) is called with every request and notification of the peer, its blobs in place; onBatch() after all
 * of one read; onEnd(error) once, when the connection ends. Bad messages are answered here.
 */
class Connection {
  constructor(reader, writer, {onMessage, onBatch, onEnd} = {}) {
    this.reader = reader;
    this.writer = writer;
    this.onMessage = onMessage ?? ((message) => this._refuse(message));
    this.onBatch = onBatch ?? (() => {});
    this.onEnd = onEnd ?? (() => {});
    this.closed = false;
    this.out = [];
    this.pending = new Map();
    this.nextId = 1;
    this.known = new KnownCalls();
    this.frames = new FrameReader((text, blobs) => this._take(text, blobs));
    const ended = () => this._ended();
    reader.on("end", ended).on("close", ended).on("error", ended);
    if (writer !== reader) writer.on("close", ended).on("error", ended);
  }

  /** A read's bytes. */
  push(bytes) {
    if (this.closed) return;
    try {
      this.frames.push(bytes);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.answerError(null, -32600, "protocol", error.message);
      this.flush();
      this._ended(error);
      return;
    }
    this.onBatch();
    if (this.out.length > 0) this.flush();
  }

  _take(text, blobs) {
    if (text === null) {
      this.answerError(null, -32700, "protocol", "a frame's JSON text is not UTF-8");
      return;
    }
    if (blobs.length === 0) {
      const call = this.known.read(text);
      if (call !== null) return this.onMessage(call);
    }
    let message;
    try {
      message = decode(text);
    } catch (error) {
      this.answerError(null, -32700, "protocol", `a frame's JSON text does not parse: ${error.message}`);
      return;
    }
    const hasMethod = isObject(message) && Object.hasOwn(message, "method");
    if (!isObject(message) || message.jsonrpc !== "2.0" || !(hasMethod ? typeof message.method === "string"
      : Object.hasOwn(message, "id") && (Object.hasOwn(message, "result") || Object.hasOwn(message, "error")))) {
      this.answerError(null, -32600, "protocol", "a frame's JSON is not a JSON-RPC 2.0 object");
      return;
    }
    if (blobs.length > 0 || (text.length > 100 && text.includes('"blobs"'))) {
      try {
        placeBlobs(hasMethod ? message.params : message.result, blobs);
      } catch (error) {
        if (!hasMethod) {
          message = {id: message.id, error: {code: -32602, message: error.message, data: {type: "protocol"}}};
        } else {
          if (Object.hasOwn(message, "id")) this.answerError(message.id, -32602, "invalid_arguments", error.message);
          return;
        }
      }
    }
    if (hasMethod) {
      if (message.method === "chunk") {
        const onChunk = this.pending.get(message.params?.id)?.onChunk;
        if (onChunk) return onChunk(message.params.value ?? null);
      }
      this.onMessage(message);
    } else {
      const waiting = this.pending.get(message.id);
      if (waiting !== undefined) {
        this.pending.delete(message.id);
        waiting.settle(message);
      }
    }
  }

  _ended(error) {
    if (this.closed) return;
    this.closed = true;
    for (const waiting of this.pending.values()) waiting.settle(null);
    this.pending.clear();
    this.onEnd(error);
  }

  // Writing

  /** Writes what is queued. False when the peer reads more slowly than this side writes: await drained(). */
  flush() {
    const out = this.out;
    if (out.length === 0) return true;
    this.out = [];
    if (this.writer.destroyed || this.writer.writableEnded) return true;
    if (out.length === 1) return this.writer.write(out[0]);
    if (out.every((part) => typeof part === "string")) return this.writer.write(out.join(""));
    this.writer.cork();
    let room = true;
    for (const part of out) room = this.writer.write(part);
    this.writer.uncork();
    return room;
  }

  drained() {
    return new Promise((resolve) => {
      if (this.closed || !this.writer.writableNeedDrain) resolve();
      else this.writer.once("drain", resolve).once("close", resolve);
    });
  }

  // Errors: Unfit for a frame that is too large; nothing is queued then.
  _put(body, blobs) {
    const length = Buffer.byteLength(body);
    let total = length;
    let head = String(length);
    for (const blob of blobs) {
      head += ` ${blob.length}`;
      total += blob.length;
    }
    if (total > MAX_FRAME) throw new Unfit("", `it is larger than ${MAX_FRAME} bytes`);
    if (blobs.length > MAX_BLOBS) throw new Unfit("", `it has more than ${MAX_BLOBS} strings or byte sequences of 65536 bytes or more`);
    this.out.push(`${head}\n${body}`);
    this.out.push(...blobs);
  }

  // Queues `start` + {…content, those in `large` converted or beside the JSON} + "}".
  _putContent(start, content, large) {
    const blobs = [];
    let body;
    if (large.every((name) => fits(content[name], 0))) {
      body = JSON.stringify(content, (_key, value) => (value === undefined ? null : value));
    } else {
      const listed = [];
      const copy = {...content};
      for (const name of large) if (name in copy) copy[name] = plain(copy[name], `/${name}`, blobs, listed);
      if (listed.length > 0) copy.blobs = listed;
      body = JSON.stringify(copy);
    }
    this._put(`${start}${body}}`, blobs);
  }

  /** Queues {"value": value} as the answer to `id`. Errors: Unfit for what JSON cannot carry. */
  answerValue(id, value) {
    if (fits(value, 0)) {
      const body = `${MESSAGE_START}"id":${idText(id)},"result":{"value":${JSON.stringify(value) ?? "null"}}}`;
      const length = Buffer.byteLength(body);
      if (length <= MAX_FRAME) {
        this.out.push(`${length}\n${body}`);
        return;
      }
    }
    this._putContent(`${MESSAGE_START}"id":${idText(id)},"result":`, {value}, ["value"]);
  }

  /** Queues a result without large values. */
  answerResult(id, result) {
    this._put(`${MESSAGE_START}"id":${idText(id)},"result":${JSON.stringify(result)}}`, []);
  }

  /** Queues an error answer; null and undefined in `data` are left out. */
  answerError(id, code, type, message, data = {}) {
    const fields = {type};
    for (const [key, value] of Object.entries(data)) if (value !== undefined && value !== null) fields[key] = value;
    const error = {code, message: message.toWellFormed(), data: fields};
    this._put(`${MESSAGE_START}"id":${idText(id)},"error":${JSON.stringify(error, wellFormed)}}`, []);
  }

  /** Sends a notification; params[large] may hold any size. Errors: Unfit. */
  notify(method, params, large) {
    const start = `${MESSAGE_START}"method":"${method}","params":`;
    if (large === undefined) this._put(`${start}${JSON.stringify(params, wellFormed)}}`, []);
    else this._putContent(start, params, [large]);
    return this.flush();
  }

  /**
   * Sends a request; the promise gives the answer's result. `owner` is what cancel() names; onChunk(value) is called with
   * each chunk that comes before the answer, and onSent(id) once.
   *
   * Errors: SabirError as the peer answered; Closed when the connection ends first.
   */
  async request(method, params, large = [], owner = null, onChunk = null, onSent = null) {
    if (this.closed) throw new Closed(false);
    const id = this.nextId++;
    try {
      this._putContent(`${MESSAGE_START}"id":${id},"method":"${method}","params":`, params, large);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      throw new SabirError("invalid_arguments", `${method} cannot be sent: ${error.message}`);
    }
    const message = await new Promise((settle) => {
      this.pending.set(id, {settle, owner, onChunk});
      onSent?.(id);
      this.flush();
    });
    if (message === null) throw new Closed(true);
    if (message.error !== undefined) throw SabirError.fromWire(message.error);
    return message.result;
  }

  /** Ends the requests of `owner` that wait, with the error `cancelled`. */
  cancel(owner) {
    for (const [id, waiting] of this.pending) {
      if (waiting.owner !== owner) continue;
      this.pending.delete(id);
      waiting.settle({error: {code: -32000, message: "the call was cancelled", data: {type: "cancelled"}}});
    }
  }

  _refuse(message) {
    if (!Object.hasOwn(message, "id")) return;
    if (message.method === "ping") this.answerResult(message.id, {});
    else this.answerError(message.id, -32601, "unknown_method", `unknown method ${message.method}`);
  }

  close() {
    this._ended();
    this.reader.destroy();
    this.writer.destroy();
  }
}

function wellFormed(_key, value) {
  if (typeof value === "string") return value.toWellFormed();
  return typeof value === "bigint" ? JSON.rawJSON(value.toString()) : value;
}

module.exports = {Closed, Connection, FrameError, FrameReader, KnownCalls, MAX_BLOBS, MAX_FRAME, MAX_HEAD, placeBlobs};
