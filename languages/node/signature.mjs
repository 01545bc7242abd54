// How the worker calls a function: its parameters as its source writes them, and what their types ask of the values.
import fs from "node:fs";
import {read, readFunction} from "./reader.mjs";
import {Unreadable} from "./syntax.mjs";
import {CONVERT} from "./types.mjs";

const files = new Map();

function functionsOf(file) {
  if (!files.has(file)) {
    let found = [];
    try {
      found = read(file, fs.readFileSync(file, "utf8")).functions;
    } catch (error) {
      // Its functions are then read one by one.
      if (!(error instanceof Unreadable || error instanceof RangeError) && error.code === undefined) throw error;
    }
    files.set(file, new Map(found.map((one) => [one.name, one])));
  }
  return files.get(file);
}

/**
 * {signature: {parameters, keywordsOptional} or null for native code, convert(name, value, at) or null where nothing is
 * converted}. convert throws an error with `at` for a value that does not fit.
 */
export function signatureOf(run, file, receiver, name) {
  let signature = receiver === "" ? functionsOf(file).get(name) : undefined;
  if (signature === undefined) {
    try {
      signature = readFunction(Function.prototype.toString.call(run));
    } catch (error) {
      if (!(error instanceof Unreadable || error instanceof RangeError)) throw error;
      signature = null;
    }
    // A parameter that TypeScript calls optional no longer looks so.
    if (signature !== null && /\.[mc]?ts$/.test(file)) for (const parameter of signature.parameters) parameter.required = false;
  }
  if (signature === null) return {signature, convert: null};
  const schemas = new Map();
  for (const {name: own, kind, schema, context, signal} of signature.parameters) {
    const asked = kind === "variadic" ? schema.items : schema;
    if (!context && !signal && asked !== undefined && converts(asked)) schemas.set(own, asked);
  }
  const convert = schemas.size === 0 ? null : (own, value, at) => (schemas.has(own) ? converted(schemas.get(own), value, at) : value);
  return {signature, convert};
}

const CHILDREN = ["items", "additionalProperties"];

function converts(schema) {
  if (schema[CONVERT] !== undefined) return true;
  const children = [...CHILDREN.map((key) => schema[key]), ...(schema.prefixItems ?? []), ...(schema.anyOf ?? []), ...Object.values(schema.properties ?? {})];
  return children.some((child) => child !== null && typeof child === "object" && converts(child));
}

function mismatch(at, why) {
  return Object.assign(new RangeError(why), {at});
}

function converted(schema, value, at) {
  if (value === null || value === undefined) return value;
  if (schema.anyOf !== undefined) return chosen(schema.anyOf, value, at);
  if (Array.isArray(value)) {
    const items = value.map((item, index) => {
      const one = schema.prefixItems?.[index] ?? schema.items;
      return one === undefined ? item : converted(one, item, `${at}/${index}`);
    });
    return schema[CONVERT] === "set" ? new Set(items) : items;
  }
  if (typeof value === "object" && !ArrayBuffer.isView(value)) {
    const out = {};
    for (const [key, item] of Object.entries(value)) {
      const one = schema.properties?.[key] ?? schema.additionalProperties;
      const inner = one !== null && typeof one === "object" ? converted(one, item, `${at}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`) : item;
      Object.defineProperty(out, key, {value: inner, enumerable: true, configurable: true, writable: true});
    }
    return schema[CONVERT] === "map" ? new Map(Object.entries(out)) : out;
  }
  return scalar(schema[CONVERT], value, at);
}

function chosen(choices, value, at) {
  let problem = null;
  for (const choice of choices.filter((one) => matches(one, value))) {
    try {
      return converted(choice, value, at);
    } catch (error) {
      if (typeof error.at !== "string") throw error;
      problem ??= error;
    }
  }
  if (problem !== null) throw problem;
  return value;
}

function matches(schema, value) {
  if (schema.enum !== undefined) return schema.enum.includes(value);
  const all = [schema.type].flat();
  if (all[0] === undefined) return true;
  const kind = Array.isArray(value) ? "array" : ArrayBuffer.isView(value) ? "string" : typeof value === "bigint" ? "integer" : typeof value;
  return all.includes(kind) || (kind === "number" && all.includes("integer") && Number.isInteger(value)) || (kind === "integer" && all.includes("number"));
}

function scalar(kind, value, at) {
  switch (kind) {
    case "date": {
      const date = new Date(value);
      if (typeof value !== "string" || Number.isNaN(date.getTime())) throw mismatch(at, `${JSON.stringify(value)} is not a date`);
      return date;
    }
    case "url":
      if (!URL.canParse(value)) throw mismatch(at, `${JSON.stringify(value)} is not a URL`);
      return new URL(value);
    case "bigint":
      if (typeof value !== "bigint" && !Number.isInteger(value)) throw mismatch(at, `${JSON.stringify(value)} is not an integer`);
      return BigInt(value);
    case "bytes":
    case "buffer": {
      let bytes = value;
      if (typeof value === "string") {
        if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)) throw mismatch(at, "the text is not base64");
        bytes = Buffer.from(value, "base64");
      }
      if (!ArrayBuffer.isView(bytes)) throw mismatch(at, "expected a byte sequence");
      return kind === "buffer" ? bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) : bytes;
    }
    default:
      return value;
  }
}
