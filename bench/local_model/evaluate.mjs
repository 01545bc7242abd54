// Asks a local model questions that need functions, runs what it calls, and counts right choices and right arguments.
//
//   node evaluate.mjs --model FILE.gguf [--worker WORKER.mjs] [--questions FILE.json] [--only ID,ID] [--cache DIR]
//                     [--threads N] [--json FILE] [--verbose]
//
// A question is right in its choice when the names of the calls made, over all steps, are those expected, each as often
// as expected and in any order; right in its arguments when each call made also equals an expected one: equal JSON
// values, with strings trimmed and the schema's defaults filled in. A call too many is a wrong choice. The calls are really run, and their results are
// given back, until the model answers in words or four steps are over.

import {spawn} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';

const here = path.dirname(fileURLToPath(import.meta.url));
const {values: options} = parseArgs({options: {
  model: {type: 'string'}, worker: {type: 'string', default: path.join(here, '../../models/local/worker.mjs')},
  questions: {type: 'string', default: path.join(here, 'questions.json')}, only: {type: 'string'},
  cache: {type: 'string'}, threads: {type: 'string'}, json: {type: 'string'}, verbose: {type: 'boolean', default: false},
}});
const kMaxSteps = 4;
const kInstructions = 'You are a helpful assistant. Use the functions to answer.';

const words = (text) => text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
const kScale = {celsius: [1, 273.15], fahrenheit: [5 / 9, 459.67 * 5 / 9], kelvin: [1, 0]};
const functions = {
  slugify: ({text}) => words(text).join('-'),
  word_count: ({text}) => words(text).length,
  top_words({text, n = 3}) {
    const counts = new Map();
    for (const word of words(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
    return [...counts].sort(([, a], [, b]) => b - a).slice(0, n).map(([word]) => word);
  },
  mean: ({values}) => values.reduce((a, b) => a + b, 0) / values.length,
  convert_temperature({value, from_unit, to_unit}) {
    const [a, b] = kScale[from_unit];
    const [c, d] = kScale[to_unit];
    return Math.round((value * a + b - d) / c * 100) / 100;
  },
  days_between: ({start, end}) => Math.round((Date.parse(end) - Date.parse(start)) / 86400000),
  lookup_order: ({order_id}) => ({order_id, status: 'shipped', items: 2, delivery: '2024-06-03'}),
  store_result: ({value}) => ({stored: value}),
};

class Client {
  #child;
  #id = 0;
  #waiting = new Map();
  #buffer = Buffer.alloc(0);

  constructor(worker) {
    this.#child = spawn(process.execPath, [worker], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      env: {...process.env, SABIR_FD: '3', NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true'},
    });
    this.#child.stdio[3].on('data', (bytes) => this.#receive(bytes));
    this.#child.on('exit', () => this.#waiting.forEach(({reject}) => reject(new Error('the worker ended'))));
  }

  #receive(bytes) {
    this.#buffer = Buffer.concat([this.#buffer, bytes]);
    for (;;) {
      const end = this.#buffer.indexOf(10);
      if (end < 0) return;
      const length = Number(this.#buffer.toString('latin1', 0, end));
      if (this.#buffer.length < end + 1 + length) return;
      const message = JSON.parse(this.#buffer.toString('utf8', end + 1, end + 1 + length));
      this.#buffer = this.#buffer.subarray(end + 1 + length);
      const waiter = this.#waiting.get(message.id);
      if (message.method || !waiter) continue;
      this.#waiting.delete(message.id);
      if (message.error) waiter.reject(new Error(message.error.message));
      else waiter.resolve(message.result);
    }
  }

  request(method, params) {
    const id = ++this.#id;
    const json = Buffer.from(JSON.stringify({jsonrpc: '2.0', id, method, params}));
    this.#child.stdio[3].write(Buffer.concat([Buffer.from(`${json.length}\n`), json]));
    return new Promise((resolve, reject) => this.#waiting.set(id, {resolve, reject}));
  }

  async call(name, args) {
    return (await this.request('call', {module: '', receiver: '', function: name, arguments: args})).value;
  }

  close() {
    this.#child.stdio[3].end();
  }
}

function normal(value) {
  if (typeof value === 'string') return value.trim();
  if (Array.isArray(value)) return value.map(normal);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.keys(value).sort().map((key) => [key, normal(value[key])]));
  }
  return value;
}
function filled({name, arguments: given}) {
  const properties = tools.find((t) => t.function.name === name)?.function.parameters.properties ?? {};
  const defaults = Object.entries(properties).filter(([, s]) => 'default' in s).map(([key, s]) => [key, s.default]);
  return {...Object.fromEntries(defaults), ...given};
}
const spelling = (value) => JSON.stringify(normal(value));
const sameSet = (a, b) => spelling([...a].sort()) === spelling([...b].sort());

async function ask(client, tools, {question}) {
  const messages = [{role: 'system', content: kInstructions}, {role: 'user', content: question}];
  const made = [];
  const started = performance.now();
  let tokens = 0;
  for (let step = 0; step < kMaxSteps; ++step) {
    const reply = await client.call('complete', {messages, tools, temperature: 0, seed: 0, max_tokens: 256});
    tokens += reply.usage.completion_tokens;
    messages.push(reply.message);
    const calls = reply.message.tool_calls ?? [];
    if (calls.length === 0) {
      return {made, answer: reply.message.content, ms: performance.now() - started, steps: step + 1, tokens};
    }
    for (const call of calls) {
      let result;
      const entry = {name: call.function.name, arguments: null};
      try {
        entry.arguments = JSON.parse(call.function.arguments);
        result = functions[call.function.name](entry.arguments);
      } catch (error) {
        result = {error: error.message};
      }
      made.push({...entry, arguments: filled(entry)});
      messages.push({role: 'tool', tool_call_id: call.id, content: JSON.stringify(result ?? null)});
    }
  }
  return {made, answer: null, ms: performance.now() - started, steps: kMaxSteps, tokens};
}

const tools = JSON.parse(readFileSync(path.join(here, 'functions.json'))).map((f) => ({type: 'function', function: f}));
const file = JSON.parse(readFileSync(options.questions));
const wanted = options.only?.split(',');
const client = new Client(options.worker);
await client.request('hello', {protocol: {min: 1, max: 1}, engine: '0.1.0'});
const loading = performance.now();
const loaded = await client.call('load', {path: path.resolve(options.model), cache: options.cache,
  threads: options.threads && Number(options.threads)});
const loadMs = performance.now() - loading;

const rows = [];
for (const [group, questions] of [['functions', file.questions], ['without', file.without_functions ?? []]]) {
  for (const item of questions) {
    if (wanted && !wanted.includes(String(item.id))) continue;
    const outcome = await ask(client, tools, item);
    const choice = sameSet(outcome.made.map((c) => c.name), item.calls.map((c) => c.name));
    const args = choice && sameSet(outcome.made.map(spelling), item.calls.map(spelling));
    rows.push({id: item.id, group, question: item.question, choice, arguments: args, ...outcome, ms: Math.round(outcome.ms)});
    const mark = args ? 'right' : choice ? 'wrong arguments' : 'wrong choice';
    process.stderr.write(`${String(item.id).padStart(4)}  ${mark.padEnd(15)} ${(outcome.ms / 1000).toFixed(1).padStart(6)} s  ${item.question}\n`);
    if (options.verbose || !args) {
      for (const c of outcome.made) process.stderr.write(`        ${c.name} ${JSON.stringify(c.arguments)}\n`);
    }
    if (options.verbose) process.stderr.write(`        → ${JSON.stringify(outcome.answer)}\n`);
  }
}
client.close();

const asked = rows.filter((r) => r.group === 'functions');
const without = rows.filter((r) => r.group === 'without');
const count = (list, key) => list.filter((r) => r[key]).length;
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? null;
const summary = {
  model: loaded.model, questions: asked.length, right_choice: count(asked, 'choice'), right_arguments: count(asked, 'arguments'),
  without_functions: without.length, right_without_functions: count(without, 'choice'), load_ms: Math.round(loadMs),
  median_ms: median(asked.map((r) => r.ms)),
  median_two_calls_ms: median(rows.filter((r) => r.made.length === 2).map((r) => r.ms)),
};
const share = (n, of) => `${n} of ${of}`;
process.stderr.write(`
model                  ${summary.model}
right functions        ${share(summary.right_choice, asked.length)}
and right arguments    ${share(summary.right_arguments, asked.length)}
no function needed     ${share(summary.right_without_functions, without.length)}
seconds a question     ${(summary.median_ms / 1000).toFixed(1)} (median), with two calls ${((summary.median_two_calls_ms ?? 0) / 1000).toFixed(1)}
`);
const report = JSON.stringify({...summary, rows}, null, 1);
if (options.json) writeFileSync(options.json, report + '\n');
else process.stdout.write(report + '\n');
