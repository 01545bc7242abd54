"use strict";
// JavaScript values to JSON text, and back.

const {types} = require("node:util");

const BLOB = 65536;
const MAX_DEPTH = 200;
// A string of BLOB bytes has at least this many UTF-16 units.
const BLOB_UNITS = Math.ceil(BLOB / 3);

/** A value that JSON cannot carry; `at` is a JSON Pointer to it. */
class Unfit extends Error {
  constructor(at, why) {
    super(at ? `${at}: ${why}` : why);
    this.at = at;
  }
}

const LONG_NUMBER = /[0-9]{16}/;
const INTEGER = /^-?[0-9]+$/;

// Integers that a number cannot hold become BigInt.
function exact(_key, value, context) {
  if (typeof value === "number" && !Number.isSafeInteger(value) && INTEGER.test(context.source)) return BigInt(context.source);
  return value;
}

/** One JSON text to JavaScript values; integers beyond 2^53 as BigInt. Errors: SyntaxError, RangeError. */
function decode(text) {
  return LONG_NUMBER.test(text) ? JSON.parse(text, exact) : JSON.parse(text);
}

// Whether JSON.stringify writes the value as it stands: no conversion, no blob, nothing that it would drop or change.
function fits(value, depth) {
  switch (typeof value) {
    case "string":
      return value.length < BLOB_UNITS && value.isWellFormed();
    case "number":
      return Number.isFinite(value);
    case "boolean":
    case "undefined":
      return true;
    case "object": {
      if (value === null) return true;
      if (depth > MAX_DEPTH) return false;
      const prototype = Object.getPrototypeOf(value);
      if (prototype === Array.prototype) {
        if (value.toJSON !== undefined) return false;
        for (let i = 0; i < value.length; ++i) if (!fits(value[i], depth + 1)) return false;
        return true;
      }
      if (prototype !== Object.prototype && prototype !== null) return false;
      if (value.toJSON !== undefined) return false;
      for (const key of Object.keys(value)) if (!key.isWellFormed() || !fits(value[key], depth + 1)) return false;
      return true;
    }
    default:
      return false;
  }
}

function bytesOf(value) {
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array || value instanceof Uint8ClampedArray || value instanceof DataView) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  return types.isAnyArrayBuffer(value) ? Buffer.from(value) : null;
}

const kindOf = (value) => (typeof value === "object" ? value.constructor?.name || "object" : typeof value);

function keyOf(key, at) {
  if (typeof key === "string") {
    if (!key.isWellFormed()) throw new Unfit(at, "a member's name has a lone surrogate, which UTF-8 cannot carry");
    return key;
  }
  if (key === null || key === undefined) return "null";
  if (typeof key === "number" || typeof key === "bigint" || typeof key === "boolean") return String(key);
  throw new Unfit(at, `a key of type ${kindOf(key)} cannot be a JSON member's name`);
}

const pointer = (at, key) => `${at}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;

/**
 * A copy of `value` in JSON's own types, its large strings and byte sequences moved to `blobs`.
 *
 * at: the value's JSON Pointer; listed receives the entries {at, type}. Errors: Unfit.
 */
function plain(value, at, blobs, listed, depth = 0) {
  if (depth > MAX_DEPTH) throw new Unfit(at.slice(0, 100), `nested deeper than ${MAX_DEPTH} levels, or it contains itself`);
  switch (typeof value) {
    case "undefined":
      return null;
    case "boolean":
      return value;
    case "string":
      if (!value.isWellFormed()) throw new Unfit(at, "the string has a lone surrogate, which UTF-8 cannot carry");
      if (value.length >= BLOB_UNITS && Buffer.byteLength(value) >= BLOB) {
        blobs.push(Buffer.from(value));
        listed.push({at, type: "string"});
        return null;
      }
      return value;
    case "number":
      if (!Number.isFinite(value)) throw new Unfit(at, `${value} is not a JSON number`);
      return value;
    case "bigint":
      return JSON.rawJSON(value.toString());
    case "object":
      break;
    default:
      throw new Unfit(at, `a value of type ${typeof value} has no JSON form`);
  }
  if (value === null || JSON.isRawJSON(value)) return value;
  const bytes = bytesOf(value);
  if (bytes !== null) {
    if (bytes.length < BLOB) return bytes.toString("base64");
    blobs.push(bytes);
    listed.push({at, type: "bytes"});
    return null;
  }
  if (types.isDate(value)) {
    if (Number.isNaN(value.getTime())) throw new Unfit(at, "an invalid Date has no JSON form");
    return value.toISOString();
  }
  if (types.isBoxedPrimitive(value)) return plain(value.valueOf(), at, blobs, listed, depth + 1);
  if (typeof value.toJSON === "function") return plain(value.toJSON(""), at, blobs, listed, depth + 1);
  if (Array.isArray(value)) return Array.from(value, (item, index) => plain(item, `${at}/${index}`, blobs, listed, depth + 1));
  if (types.isMap(value)) return members(value.entries(), at, blobs, listed, depth);
  if (types.isPromise(value)) throw new Unfit(at, "a value of type Promise has no JSON form: await it");
  if (types.isRegExp(value) || types.isWeakMap(value) || types.isWeakSet(value) || types.isNativeError(value) || value instanceof WeakRef) {
    throw new Unfit(at, `a value of type ${kindOf(value)} has no JSON form`);
  }
  if (typeof value[Symbol.iterator] === "function") return plain([...value], at, blobs, listed, depth + 1);
  return members(Object.entries(value).filter(([, item]) => item !== undefined), at, blobs, listed, depth);
}

function members(entries, at, blobs, listed, depth) {
  const out = {};
  for (const [key, item] of entries) {
    const name = keyOf(key, at);
    const converted = plain(item, pointer(at, name), blobs, listed, depth + 1);
    if (name === "__proto__") Object.defineProperty(out, name, {value: converted, enumerable: true, configurable: true, writable: true});
    else out[name] = converted;
  }
  return out;
}

module.exports = {BLOB, BLOB_UNITS, Unfit, decode, fits, plain};
