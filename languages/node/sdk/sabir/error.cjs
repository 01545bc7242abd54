"use strict";
// The one error type of the SDK.

/**
 * What the engine, or a function it called, answered.
 *
 * type: the error's name in snake_case, as docs/errors.md lists them ("unknown_function", "timeout", …).
 * message: what failed, on which input. hint: what to do next, or "". data: particulars, an object.
 * file, line: the place in a user's file, or "" and 0.
 */
class SabirError extends Error {
  constructor(type, message = "", hint = "", data = {}) {
    super(message || type);
    this.type = type;
    this.hint = hint || "";
    this.data = data ?? {};
  }

  get file() {
    return this.data.file ?? "";
  }

  get line() {
    return this.data.line ?? 0;
  }

  toString() {
    const text = this.file ? `${this.file}:${this.line}: ${this.message}` : this.message;
    return this.hint ? `${text} (${this.hint})` : text;
  }

  static fromWire(error) {
    if (error === null || typeof error !== "object" || Array.isArray(error)) {
      return new SabirError("protocol", "the engine answered with a malformed error");
    }
    const given = error.data !== null && typeof error.data === "object" && !Array.isArray(error.data) ? error.data : {};
    const {type = "internal", hint = "", ...data} = given;
    return new SabirError(String(type), String(error.message ?? ""), String(hint ?? ""), data);
  }
}
Object.defineProperty(SabirError.prototype, "name", {value: "SabirError", writable: true, configurable: true});

module.exports = {SabirError};
