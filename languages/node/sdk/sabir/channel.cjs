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

async function ofWorker(method, params, large) {
  const call = calls.getStore() ?? null;
  if (call !== null) {
    if (call.done) throw new SabirError("cancelled", `${method} was called after its call had been answered`, "await it before the function returns");
    if (call.cancelled) throw new SabirError("cancelled", "the call was cancelled");
    params.parent = call.id;
  }
  try {
    return await state.worker.request(method, params, large, call);
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

module.exports = {calls, close, notify, request, state};
