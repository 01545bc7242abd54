// What the conformance runner calls. conformance/README.md describes each function.
import * as sabir from "sabir";

class Point {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }
}

class TesteeError extends Error {}

let runCount = 0;

/** Its argument. */
export function echo(value) {
  return value;
}

/**
 * a - b.
 * @param {number} a
 * @param {number} b
 */
export function subtract(a, b) {
  return a - b;
}

/**
 * greeting and the caller's user, joined by a space.
 * @param {string} greeting
 * @param {sabir.Context} context
 */
export function context_user(greeting, context) {
  return `${greeting} ${context.user}`;
}

/**
 * The whole context.
 * @param {sabir.Context} context
 */
export const context_fields = (context) => context;

/** Throws an error with that text. */
export function fail(message) {
  throw new TesteeError(message); // conformance: fail
}

/** NaN, which JSON cannot carry. */
export function not_a_number() {
  return {list: [1, NaN]};
}

/** A value without any JSON form. */
export function unfit() {
  return Symbol("unfit");
}

/** Yields 0 … n - 1. */
export function* count(n) {
  for (let number = 0; number < n; ++number) yield number;
}

/** `size` bytes of text. */
export function text_of(size) {
  return "é".repeat(size / 2) + "x".repeat(size % 2);
}

/** `size` bytes, each its index modulo 256. */
export function bytes_of(size) {
  return new Uint8Array(size).map((_, index) => index);
}

/** The argument's length: characters of a string, bytes of a byte sequence. */
export function length(value) {
  return typeof value === "string" ? [...value].length : value.length;
}

/** "bytes" for a byte sequence, "text" for a string, else "other". */
export function kind(value) {
  return value instanceof Uint8Array ? "bytes" : typeof value === "string" ? "text" : "other";
}

/** Writes to standard output and standard error, which are the log. */
export function print_line(text) {
  console.log(text);
  console.error(text);
  return text;
}

/** Waits, without talking to the engine. */
export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, milliseconds));
}

/** functions.call of the engine. */
export async function call_engine(address, args) {
  return await sabir.call(address, args);
}

/** The engine's error as a value. */
export async function call_engine_caught(address) {
  try {
    return {value: await sabir.call(address)};
  } catch (error) {
    return {type: error.type, message: error.message};
  }
}

/** One progress and one log notification before the answer. */
export function report(message) {
  sabir.progress(1, 2, message);
  sabir.log(message);
  return message;
}

/** How often this function ran in this worker. */
export function count_run() {
  return ++runCount;
}

/** How often count_run ran in this worker. */
export function runs() {
  return runCount;
}

/** Values of the language's own kinds as JSON: {"point": {"x": 1.5, "y": 2}, "colour": "red"}. */
export function structured() {
  return new Map(Object.entries({point: new Point(1.5, 2), colour: new String("red")}));
}

/**
 * The moment an hour later.
 *
 * @param {Date} moment
 * @returns {Date}
 */
export function an_hour_later(moment) {
  return new Date(moment.getTime() + 3600_000);
}
