"use strict";
// Sabir's SDK: functions, memory, prompts, models and secrets of a Sabir project, from JavaScript and TypeScript.
//
// Inside a function that the engine calls, everything goes over the worker's own connection, under the caller's context.
// In any other process (node --test, a script, a web application) the SDK joins the project's running engine or starts a
// private one; there is one connection per process, which does not keep the process alive.
//
// Every function but progress and log returns a promise, and rejects with SabirError.

const {calls, close, notify, request, stream: streamOf} = require("./channel.cjs");
const {Context} = require("./context.cjs");
const {SabirError} = require("./error.cjs");
const store = require("./memory.cjs");
const {version} = require("./package.json");

/** A completion's or an assistant's answer: content, and the particulars. As a string, and as JSON, it is its content. */
class Reply {
  constructor(fields) {
    Object.assign(this, fields);
  }

  toString() {
    return this.content;
  }

  toJSON() {
    return this.content;
  }
}

/**
 * Calls a function of the project in whatever language it is written, and returns its value.
 *
 * address: "module.function", "function", or with a language in front: "ruby/module.function". args: by name.
 */
async function call(address, args = {}) {
  return (await request("functions.call", {address, arguments: args}, ["arguments"])).value ?? null;
}

/** Calls a function and yields what it yields, as it comes; a function that yields nothing gives its one value. */
function stream(address, args = {}) {
  return streamOf("functions.call", {address, arguments: args, stream: true}, ["arguments"]);
}

/** The project's functions: objects with address, language, summary, input_schema, output_schema and effect. */
async function functions() {
  return (await request("functions.list", {}, [], true)).functions;
}

/** A completion template's text with `variables` filled in; the same bytes as `sabir prompt render`. */
async function render(name, variables = {}) {
  return (await request("completions.render", {name, variables}, ["variables"], true)).text;
}

/**
 * A model's completion: content, model, provider, usage, toolCalls and finishReason.
 *
 * prompt: a string, or an array of messages {role, content}. options: model (an alias of config/openai_config.yml), tools,
 * outputSchema, and parameters as the provider names them (temperature, max_tokens, …).
 */
async function complete(prompt, {model, tools, outputSchema, ...parameters} = {}) {
  const params = {messages: typeof prompt === "string" ? [{role: "user", content: prompt}] : [...prompt]};
  const given = {model, tools, output_schema: outputSchema, parameters: Object.keys(parameters).length > 0 ? parameters : undefined};
  for (const [name, value] of Object.entries(given)) if (value !== undefined && value !== null) params[name] = value;
  const result = await request("models.complete", params, ["messages"]);
  return new Reply({content: result.content ?? "", model: result.model ?? "", provider: result.provider ?? "", usage: result.usage ?? {},
    toolCalls: result.tool_calls ?? [], finishReason: result.finish_reason ?? ""});
}

/** An assistant's answer: content, conversation (continues it), model and calls (the functions it called). */
async function ask(assistant, message, {conversation} = {}) {
  const params = {name: assistant, message};
  if (conversation !== undefined && conversation !== null) params.conversation = conversation;
  const result = await request("assistants.run", params, ["message"]);
  return new Reply({content: result.content ?? "", conversation: result.conversation ?? "", model: result.model ?? "", calls: result.calls ?? []});
}

/** A secret's value, if the running function is granted it. Keep it out of results and logs. */
async function secret(name) {
  return (await request("secrets.get", {name}, [], true)).value;
}

/** Tells the caller how far the running call is. Does nothing outside a worker. */
function progress(done, total = null, message = "") {
  const params = {done, message: String(message)};
  if (total !== null && total !== undefined) params.total = total;
  notify("progress", params);
}

/** One record in the engine's log; on standard error outside a worker. level: debug, info, warning or error. */
function log(message, level = "info") {
  if (!notify("log", {level, message: String(message)})) process.stderr.write(`${level}: ${message}\n`);
}

/** An AbortSignal that is aborted when the running call is cancelled; one that never is outside a call. */
function signal() {
  return calls.getStore()?.signal() ?? new AbortController().signal;
}

const memory = {put: store.put, get: store.get, list: store.list, delete: store.delete, append: store.append, messages: store.messages};

module.exports = {Context, SabirError, ask, call, close, complete, functions, log, memory, progress, render, secret, signal, stream, version};
