"use strict";
// Who is calling.

const FIELDS = ["user", "tenant", "conversation", "run"];
const text = (value) => (typeof value === "string" ? value : "");

/**
 * The caller's context: set by the caller, never by a model and never by the called function.
 *
 * A parameter of type Context is filled in by the engine and absent from the function's schema.
 * user, tenant, conversation, run: strings, "" for nobody in particular. signal: aborted when the call is cancelled.
 */
class Context {
  #signal;

  constructor({user = "", tenant = "", conversation = "", run = ""} = {}, signal = undefined) {
    this.user = user;
    this.tenant = tenant;
    this.conversation = conversation;
    this.run = run;
    this.#signal = signal;
  }

  get signal() {
    if (this.#signal === undefined) this.#signal = new AbortController().signal;
    if (typeof this.#signal === "function") this.#signal = this.#signal();
    return this.#signal;
  }

  toJSON() {
    return Object.fromEntries(FIELDS.map((name) => [name, this[name]]));
  }

  // signal: an AbortSignal, or a function that makes it when it is first asked for.
  static fromWire(fields, signal) {
    const given = fields !== null && typeof fields === "object" ? fields : {};
    return new Context(Object.fromEntries(FIELDS.map((name) => [name, text(given[name])])), signal);
  }
}

module.exports = {Context};
