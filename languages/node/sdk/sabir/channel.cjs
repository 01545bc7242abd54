"use strict";
// Which connection the SDK's requests take: the worker's own, or this process's to an engine.

const {AsyncLocalStorage} = require("node:async_hooks");
const {SabirError} = require("./error.cjs");
const {Closed} = require("./wire.cjs");

// The running call: {id, done, signal()}. Each call's own code sees its own, however it interleaves with what others left running.
const calls = new AsyncLocalStorage();
const state = {worker: null, client: null};

/** One request to the engine. again: it may be repeated when the engine went away in between. Errors: SabirError. */
async function request(method, params, large = [], again = false) {
  if (state.worker !== null) return await ofWorker(method, params, large);
  for (let last = false; ; last = true) {
    const client = await connected();
    try {
      return await client.request(method, params, large);
    } catch (error) {
      if (!(error instanceof Closed)) throw error;
      drop(client);
      if (!last && (!error.sent || again)) continue;
      throw new SabirError(error.sent ? "outcome_unknown" : "protocol",
        `the engine went away during ${method}${error.sent ? "; it may or may not have happened" : ""}`,
        "try again; `sabir engine status` tells whether an engine runs");
    }
  }
}

/**
 * What comes before the answer of one request, as it comes; the answer's own value when nothing did. Errors: SabirError.
 *
 * Leaving early ends what a plain process has asked for.
 */
async function* stream(method, params, large) {
  const chunks = [];
  let wake = () => {};
  let result;
  let failure = null;
  let answered = false;
  let leave = () => {};
  const take = (value) => {
    chunks.push(value);
    wake();
  };
  const settled = (async () => {
    try {
      if (state.worker !== null) {
        result = await ofWorker(method, params, large, take);
      } else {
        const client = await connected();
        result = await client.request(method, params, large, null, take, (id) => {
          leave = () => client.connection.notify("cancel", {id, reason: "the stream was left"});
        });
      }
    } catch (error) {
      failure = error instanceof Closed
        ? new SabirError("outcome_unknown", `the engine went away during ${method}; it may or may not have happened`) : error;
    }
    answered = true;
    wake();
  })();
  let any = false;
  try {
    for (;;) {
      while (chunks.length > 0) {
        any = true;
        yield chunks.shift();
      }
      if (answered) break;
      await new Promise((next) => {
        wake = next;
        if (answered || chunks.length > 0) next();
      });
    }
    await settled;
  } finally {
    if (!answered) leave();
  }
  if (failure !== null) throw failure;
  if (!any) yield result.value ?? null;
}

async function ofWorker(method, params, large, onChunk = null) {
  const call = calls.getStore() ?? null;
  if (call !== null) {
    if (call.done) throw new SabirError("cancelled", `${method} was called after its call had been answered`, "await it before the function returns");
    if (call.cancelled) throw new SabirError("cancelled", "the call was cancelled");
    params.parent = call.id;
  }
  try {
    return await state.worker.request(method, params, large, call, onChunk);
  } catch (error) {
    if (!(error instanceof Closed)) throw error;
    throw new SabirError("protocol", `the engine ended its connection during ${method}`);
  }
}

/** A notification for the running call; false outside a worker or when no call runs. */
function notify(method, params) {
  if (state.worker === null || state.worker.closed) return false;
  const call = calls.getStore() ?? null;
  if (call !== null && !call.done) params.id = call.id;
  else if (method === "progress") return false;
  state.worker.notify(method, params);
  return true;
}

function connected() {
  if (state.client === null) {
    const {Client} = require("./client.cjs");
    const opening = Client.connect();
    state.client = opening;
    // The next request tries anew.
    opening.catch(() => state.client === opening && (state.client = null));
  }
  return state.client;
}

function drop(client) {
  const opening = state.client;
  opening?.then((now) => now === client && state.client === opening && (state.client = null), () => {});
  return client.close();
}

/** Ends this process's connection; the next request makes another. */
async function close() {
  const opening = state.client;
  state.client = null;
  const client = await opening?.catch(() => null);
  await client?.close();
}

module.exports = {calls, close, notify, request, state, stream};
