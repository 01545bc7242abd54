// The worker of the `local` model provider: the worker protocol on the outside, one Model inside.
// Functions: load, complete, embed, tokenize. Calls run one at a time, in order; cancel and ping are taken at any time.

import net from 'node:net';
import {encodeFrame, FrameReader, placeBlobs, ProtocolError} from './channel.mjs';

const kVersion = '0.1.0';
const kProtocol = 1;

class Fault extends Error {
  constructor(code, type, message, more = {}) {
    super(message);
    this.code = code;
    this.data = {type, ...more};
  }
}

class Worker {
  #output;
  #reader = new FrameReader();
  #queue = [];
  #running = null;
  #draining = null;
  #model = null;

  constructor(input, output) {
    this.#output = output;
    input.on('data', (bytes) => this.#receive(bytes));
    input.on('close', () => process.exit(0));
    input.on('end', () => process.exit(0));
    input.on('error', () => process.exit(0));
    output.on('error', () => process.exit(0));
  }

  #send(message) {
    this.#output.write(encodeFrame({jsonrpc: '2.0', ...message}));
  }

  #fail(id, {code = -32000, message, data = {type: 'internal'}}) {
    this.#send({id, error: {code, message, data}});
  }

  #receive(bytes) {
    let frames;
    try {
      frames = this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail(null, new Fault(-32600, 'protocol', error.message));
      this.#output.end(() => process.exit(1));
      return;
    }
    for (const frame of frames) this.#dispatch(frame);
  }

  #dispatch({json, blobs}) {
    let message;
    try {
      message = JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(json));
    } catch {
      this.#fail(null, new Fault(-32700, 'protocol', 'the frame is not JSON'));
      return;
    }
    if (message === null || typeof message !== 'object' || message.jsonrpc !== '2.0') {
      this.#fail(null, new Fault(-32600, 'protocol', 'the frame is not a JSON-RPC object'));
      return;
    }
    const {id, method, params = {}} = message;
    if (typeof method !== 'string') {
      // This worker makes no requests, so that it awaits no response.
      if (!('result' in message || 'error' in message)) {
        this.#fail(null, new Fault(-32600, 'protocol', 'the frame is neither a request nor a response'));
      }
      return;
    }
    try {
      if (blobs.length > 0 || params?.blobs) placeBlobs(params, blobs);
    } catch (error) {
      if (id !== undefined) this.#fail(id, new Fault(-32602, 'invalid_arguments', error.message));
      return;
    }
    if (id === undefined) {
      if (method === 'cancel') this.#cancel(params);
      return;
    }
    switch (method) {
      case 'hello': return this.#hello(id, params);
      case 'start': return this.#send({id, result: {}});
      case 'ping': return this.#send({id, result: {}});
      case 'drain':
        this.#draining = id;
        return this.#next();
      case 'call':
        this.#queue.push({id, params, abort: new AbortController()});
        return this.#next();
      default: return this.#fail(id, new Fault(-32601, 'unknown_method', `no method "${method}"`));
    }
  }

  #hello(id, {protocol = {}}) {
    if (!(protocol.min <= kProtocol && protocol.max >= kProtocol)) {
      this.#fail(id, new Fault(-32001, 'protocol', `this worker speaks protocol ${kProtocol}`));
      this.#output.end(() => process.exit(1));
      return;
    }
    this.#send({id, result: {protocol: kProtocol, language: 'model', runtime: process.versions.node, sdk: kVersion,
      capabilities: {blobs: true, chunks: true, cancel: true}}});
  }

  #cancel({id, reason = 'cancelled'}) {
    if (this.#running?.id === id) {
      this.#running.abort.abort(new Fault(-32000, 'cancelled', `cancelled: ${reason}`));
      return;
    }
    const at = this.#queue.findIndex((call) => call.id === id);
    if (at >= 0) {
      this.#queue.splice(at, 1);
      this.#fail(id, new Fault(-32000, 'cancelled', `cancelled: ${reason}`));
    }
  }

  async #next() {
    if (this.#running) return;
    const call = this.#queue.shift();
    if (!call) {
      if (this.#draining !== null) {
        this.#send({id: this.#draining, result: {}});
        this.#output.end(() => process.exit(0));
      }
      return;
    }
    this.#running = call;
    try {
      const value = await this.#run(call);
      this.#send({id: call.id, result: {value}});
    } catch (error) {
      this.#fail(call.id, error instanceof Fault ? error : new Fault(-32000, error.type ?? 'function_error', error.message,
        {error_class: error.constructor.name, ...(error.hint && {hint: error.hint})}));
    }
    this.#running = null;
    this.#next();
  }

  async #run({id, params, abort}) {
    const args = params.arguments ?? {};
    switch (params.function) {
      case 'load': return this.#load(id, args);
      case 'tokenize': {
        const tokens = this.#loaded().tokenize(String(args.text ?? ''));
        return args.count_only ? {count: tokens.length} : {count: tokens.length, tokens};
      }
      case 'complete': {
        if (!Array.isArray(args.messages)) throw new Fault(-32602, 'invalid_arguments', 'messages: expected an array');
        const onText = (content) => this.#send({method: 'chunk', params: {id, value: {delta: {content}}}});
        return this.#loaded().complete(args, onText, abort.signal);
      }
      case 'embed': {
        if (!Array.isArray(args.texts) || args.texts.some((text) => typeof text !== 'string')) {
          throw new Fault(-32602, 'invalid_arguments', 'texts: expected an array of strings');
        }
        return this.#loaded().embed(args.texts, abort.signal);
      }
      default: throw new Fault(-32000, 'unknown_function', `no function "${params.function}" here; there are load, complete, embed, tokenize`);
    }
  }

  #loaded() {
    if (!this.#model) throw new Fault(-32000, 'model_not_loaded', 'no model is loaded', {hint: 'Call "load" with the path of a GGUF file first.'});
    return this.#model;
  }

  async #load(id, args) {
    if (this.#model) throw new Fault(-32000, 'model_loaded', `this worker already runs ${this.#model.name}`, {hint: 'Start another worker for another model.'});
    if (typeof args.path !== 'string') throw new Fault(-32602, 'invalid_arguments', 'path: expected a string');
    const {Model} = await import('./model.mjs');
    let shown = -1;
    const onProgress = (share) => {
      const percent = Math.floor(share * 20) * 5;
      if (percent > shown) this.#send({method: 'progress', params: {id, done: shown = percent, total: 100, message: 'loading the model'}});
    };
    const log = (message) => process.stderr.write(`${message}\n`);
    this.#model = await Model.load(args, onProgress, log);
    return {model: this.#model.name, context: this.#model.contextTokens};
  }
}

const [readFd, writeFd] = (process.env.SABIR_FD ?? '').split(',').map((text) => (/^\d+$/.test(text) ? Number(text) : NaN));
if (Number.isNaN(readFd) || Number.isNaN(writeFd)) {
  process.stderr.write('SABIR_FD must name a connected socket, or two pipes as "R,W"\n');
  process.exit(2);
}
const input = new net.Socket({fd: readFd, readable: true, writable: writeFd === undefined});
new Worker(input, writeFd === undefined ? input : new net.Socket({fd: writeFd, readable: false, writable: true}));
