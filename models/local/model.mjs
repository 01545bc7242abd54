// One loaded GGUF file and its evaluation state: the only module that knows llama.cpp.
//
// Not re-entrant: at most one `complete` or `embed` at a time. The state of the last prompt is kept, so that a conversation's next
// step evaluates only what is new. The fixed head of a prompt (instructions and functions) is also kept on disk, where
// a cache directory is given.

import {createHash} from 'node:crypto';
import {mkdir, readdir, rename, rm, stat, utimes} from 'node:fs/promises';
import {availableParallelism} from 'node:os';
import path from 'node:path';
import {getLlama, LlamaGrammarEvaluationState, LlamaLogLevel} from 'node-llama-cpp';
import {answerOf, callIds, callsGrammar, isPlan, openingGrammar, parseCalls, plannedNames, render, stillPlanned,
  turnStyle} from './prompt.mjs';

const kContextTokens = 8192;
const kMaxReplyTokens = 512;
const kKeptPrefixes = 8;
const kMinKeptPrefixTokens = 96;

export class ModelError extends Error {
  constructor(type, message, hint) {
    super(message);
    this.type = type;
    this.hint = hint;
  }
}

export class Model {
  #llama;
  #model;
  #sequence;
  #embedding;
  #style;
  #cache;
  #grammars = new Map();
  name;
  contextTokens;

  // Options: path; name, context (tokens), threads, cache (a directory).
  static async load(options, onProgress, log) {
    const self = new Model();
    const threads = options.threads ?? availableParallelism();
    try {
      self.#llama = await getLlama({
        gpu: false, build: 'never', skipDownload: true, progressLogs: false, maxThreads: threads,
        logLevel: LlamaLogLevel.error, logger: (_, message) => log(message.trimEnd()),
      });
    } catch (error) {
      throw new ModelError('unavailable', `llama.cpp does not run on this machine (${error.message})`,
        'Another Node.js (20 or newer) on PATH may help; or choose another provider in config/openai_config.yml.');
    }
    let info;
    try {
      info = await stat(options.path);
      self.#model = await self.#llama.loadModel({modelPath: options.path, gpuLayers: 0, onLoadProgress: onProgress});
    } catch (error) {
      throw new ModelError('model_unreadable', `cannot load ${options.path}: ${error.message}`,
        'Pull the model again, or name another GGUF file.');
    }
    self.contextTokens = Math.min(options.context ?? kContextTokens, self.#model.trainContextSize);
    const context = await self.#model.createContext({contextSize: self.contextTokens, sequences: 1, threads});
    self.#sequence = context.getSequence();
    self.#style = turnStyle(self.#model.fileInfo.metadata.tokenizer?.chat_template);
    self.name = options.name ?? path.basename(options.path, '.gguf');
    self.#cache = options.cache && {
      directory: options.cache,
      key: [path.basename(options.path), info.size, Math.trunc(info.mtimeMs), self.contextTokens, self.#llama.llamaCppRelease?.release],
    };
    return self;
  }

  tokenize(text) {
    return this.#model.tokenize(text, false);
  }

  // Returns {vectors, tokens, model}: one vector of length 1 for each text.
  async embed(texts, signal) {
    this.#embedding ??= await this.#model.createEmbeddingContext({contextSize: this.contextTokens});
    const vectors = [];
    let tokens = 0;
    for (const [i, text] of texts.entries()) {
      signal.throwIfAborted();
      const input = this.#model.tokenize(text, false);
      // One more, which begins or ends the text.
      if (input.length > this.contextTokens - 2) {
        throw new ModelError('context_overflow', `text ${i + 1} has ${input.length} tokens; the model's context holds ${this.contextTokens}`,
          'Split it, or raise the model\'s context.');
      }
      const {vector} = await this.#embedding.getEmbeddingFor(input);
      const length = Math.hypot(...vector) || 1;
      vectors.push(vector.map((x) => Math.fround(x / length)));
      tokens += input.length;
    }
    return {vectors, tokens, model: this.name};
  }

  // Returns {message, finish_reason, usage, model, timings}. `onText` gets the text of an answer as it grows, never that of calls.
  // Stops with the reason of `signal` soon after it is aborted; the model stays usable.
  async complete(request, onText, signal) {
    const tools = request.tools ?? [];
    const {segments, prefix, left} = render(request.messages, tools, this.#style);
    const parts = segments.map((s) => this.#model.tokenize(s.text, s.control));
    const prompt = parts.flat();
    const room = this.contextTokens - prompt.length - 1;
    if (room < 16) {
      throw new ModelError('context_overflow', `the prompt has ${prompt.length} tokens; the model's context holds ${this.contextTokens}`,
        'Shorten the conversation, offer fewer functions, or raise the model\'s context.');
    }
    const started = performance.now();
    const cached = await this.#evaluate(prompt, parts.slice(0, prefix).flat().length, signal);
    const evaluated = performance.now();
    const reply = {last: prompt.at(-1), count: 0, limit: Math.min(request.max_tokens ?? kMaxReplyTokens, room), request, signal};
    const message = {role: 'assistant', content: null};
    // What the model planned before stands, unless the caller wants words now.
    let planned = request.tool_choice === 'none' ? [] : left;
    let ended = true;
    if (planned.length === 0) {
      const mark = tools.length > 0 ? answerOf : (text) => text;
      const source = openingGrammar(tools, request.tool_choice, request.json_schema);
      let sent = 0;
      const opening = await this.#generate(reply, source, (text) => {
        if (tools.length > 0 && isPlan(text)) return text.endsWith('\n');
        const answer = mark(text);
        if (answer.length > sent) onText(answer.slice(sent));
        sent = Math.max(sent, answer.length);
        return false;
      });
      ended = opening.ended;
      if (tools.length > 0 && isPlan(opening.text)) planned = ended ? plannedNames(opening.text) : [];
      else message.content = mark(opening.text);
    }
    if (planned.length > 0) {
      const written = await this.#generate(reply, callsGrammar(planned, tools), () => false);
      ended = written.ended;
      // A call cut off by the limit is no call.
      const calls = ended ? parseCalls(written.text) : parseCalls(written.text).slice(0, -1);
      const before = request.messages.reduce((n, m) => n + (m.tool_calls?.length ?? 0), 0);
      const ids = callIds(calls, before + 1, stillPlanned(planned, calls), tools);
      if (calls.length > 0) message.tool_calls = calls.map((call, i) => ({id: ids[i], type: 'function', function: call}));
    }
    const usage = {prompt_tokens: prompt.length, completion_tokens: reply.count, total_tokens: prompt.length + reply.count,
      prompt_tokens_details: {cached_tokens: cached}};
    const timings = {prompt_ms: Math.round(evaluated - started), reply_ms: Math.round(performance.now() - evaluated)};
    return {message, finish_reason: !ended ? 'length' : message.tool_calls ? 'tool_calls' : 'stop', usage, model: this.name, timings};
  }

  // Brings the state to all of `prompt` but its last token; returns how many tokens needed no evaluation.
  async #evaluate(prompt, prefixLength, signal) {
    const prefix = prompt.slice(0, prefixLength);
    let same = this.#sequence.compareContextTokens(prompt).firstDifferentIndex;
    if (same < prefixLength && prefixLength >= kMinKeptPrefixTokens && this.#cache) {
      const file = this.#prefixFile(prefix);
      if (await this.#restore(file)) {
        same = this.#sequence.compareContextTokens(prompt).firstDifferentIndex;
      } else {
        await this.#extend(prefix, signal);
        await this.#keep(file);
      }
    }
    await this.#extend(prompt.slice(0, -1), signal);
    return Math.min(same, prompt.length - 1);
  }

  async #extend(tokens, signal) {
    const same = this.#sequence.compareContextTokens(tokens).firstDifferentIndex;
    await this.#sequence.adaptStateToTokens(tokens.slice(0, same), false);
    // Small steps, so that cancelling takes effect within seconds.
    for (let at = this.#sequence.nextTokenIndex; at < tokens.length; at += 128) {
      signal.throwIfAborted();
      await this.#sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + 128));
    }
  }

  #prefixFile(tokens) {
    const hash = createHash('sha256').update(JSON.stringify([this.#cache.key, tokens])).digest('hex').slice(0, 32);
    return path.join(this.#cache.directory, `${hash}.prefix`);
  }

  async #restore(file) {
    try {
      await stat(file);
      await this.#sequence.loadStateFromFile(file, {acceptRisk: true});
      await utimes(file, new Date(), new Date());
      return true;
    } catch {
      return false;
    }
  }

  // A failure to keep is no failure of the call.
  async #keep(file) {
    try {
      const {directory} = this.#cache;
      await mkdir(directory, {recursive: true, mode: 0o700});
      const part = `${file}.${process.pid}`;
      await this.#sequence.saveStateToFile(part);
      await rename(part, file);
      const kept = (await readdir(directory)).filter((name) => name.endsWith('.prefix'));
      const ages = await Promise.all(kept.map(async (name) => [(await stat(path.join(directory, name))).mtimeMs, name]));
      for (const [, name] of ages.sort(([a], [b]) => b - a).slice(kKeptPrefixes)) await rm(path.join(directory, name));
    } catch {
      // The next process evaluates the prefix again.
    }
  }

  async #grammar(source) {
    if (!source) return undefined;
    if (!this.#grammars.has(source)) {
      if (this.#grammars.size >= 16) this.#grammars.clear();
      this.#grammars.set(source, await this.#llama.createGrammar({grammar: source}));
    }
    return new LlamaGrammarEvaluationState({model: this.#model, grammar: this.#grammars.get(source)});
  }

  // Continues `reply` under a grammar until the model ends it, `onText` returns true, or the reply's limit is reached.
  // `onText` gets the whole text so far, at ends of characters only. Only after it has returned true can the reply be
  // continued: the last token then awaits evaluation.
  async #generate(reply, source, onText) {
    const {request, signal} = reply;
    const tokens = [];
    let text = '';
    const stream = this.#sequence.evaluate([reply.last], {
      temperature: request.temperature ?? 0, topP: request.top_p, seed: request.seed ?? 0,
      grammarEvaluationState: await this.#grammar(source),
    });
    for await (const token of stream) {
      signal.throwIfAborted();
      tokens.push(token);
      reply.last = token;
      text = this.#model.detokenize(tokens, true);
      ++reply.count;
      if (!text.endsWith('\uFFFD') && onText(text)) return {text, ended: true};
      if (reply.count >= reply.limit) return {text, ended: false};
    }
    return {text, ended: true};
  }
}
