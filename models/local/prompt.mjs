// How a conversation and its functions become a prompt, and how a reply becomes text or calls.
//
// A prompt is a list of segments {text, control}: control text may hold the model's special tokens, other text never
// does, so that a function's result cannot forge a turn.

import {readFileSync} from 'node:fs';
import {GrammarBuilder, literal, spelled} from './grammar.mjs';

const kPlan = 'plan: ';
const kCall = 'call: ';
const kSay = 'say: ';
const kMaxPlanned = 6;

// Turn markers by a string that the model's own chat template holds. The engine counts tokens by the same file.
const kTurns = JSON.parse(readFileSync(new URL('turns.json', import.meta.url), 'utf8'));

export function turnStyle(chatTemplate) {
  const style = kTurns.styles.find(({sign}) => (chatTemplate ?? '').includes(sign));
  return {...style, open: (role) => style.open.replace('{role}', () => role)};
}

// A schema as a type expression in the notation that models know from TypeScript.
function typeOf(schema, root) {
  if (schema === true || schema === undefined || schema === null) return 'any';
  if (schema.$ref?.startsWith('#/')) {
    const target = schema.$ref.slice(2).split('/').reduce((node, key) => node?.[key], root);
    return target && !JSON.stringify(target).includes('"$ref"') ? typeOf(target, root) : 'object';
  }
  if (schema.const !== undefined) return spelled(schema.const);
  if (schema.enum) return schema.enum.map(spelled).join(' | ');
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((s) => typeOf(s, root)).join(' | ');
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({...schema, type}, root)).join(' | ');
  switch (schema.type ?? (schema.properties ? 'object' : undefined)) {
    case 'array': {
      const item = typeOf(schema.items ?? true, root);
      return item.includes('|') ? `(${item})[]` : `${item}[]`;
    }
    case 'object': return schema.properties ? `{${parameters(schema, root)}}` : 'object';
    case 'string': return schema.format === 'date' ? 'string "YYYY-MM-DD"' : 'string';
    case undefined: return 'any';
    default: return schema.type;
  }
}

function parameters(schema, root) {
  const required = new Set(schema.required ?? []);
  const entries = Object.entries(schema.properties ?? {});
  return [...entries.filter(([key]) => required.has(key)), ...entries.filter(([key]) => !required.has(key))]
    .map(([key, s]) => `${key}${required.has(key) ? '' : '?'}: ${typeOf(s, root)}${s?.default === undefined ? '' : ` = ${spelled(s.default)}`}`).join(', ');
}

function described(tool) {
  const {name, description, parameters: schema = {}} = tool.function;
  const lines = [`${name}(${parameters(schema, schema)}): ${(description ?? '').replace(/\s+/g, ' ').trim()}`];
  for (const [key, s] of Object.entries(schema.properties ?? {})) {
    if (s?.description && !s.format) lines.push(`  ${key}: ${s.description.replace(/\s+/g, ' ').trim()}`);
  }
  return lines.join('\n');
}

function systemText(instructions, tools) {
  return `${instructions}

You can call these functions:
${tools.map(described).join('\n')}

To use functions, first name all that the request needs, in order, then call them with arguments as JSON:
${kPlan}function, other_function
${kCall}function({"parameter": value})
When no function is needed, or no call is left, answer the user in plain words:
${kSay}text`;
}

// The names of the functions that the plan of `message` still holds after its calls. They travel as indices into
// `tools` at the end of the last call's id, the one member of a message that every caller hands back unchanged.
function leftAfter(message, tools) {
  if (message.left) return message.left;
  const indices = /^call_\d+((?:-\d+)*)$/.exec(message.tool_calls?.at(-1)?.id ?? '')?.[1].split('-').slice(1) ?? [];
  return indices.map((i) => tools[i]?.function.name).filter(Boolean);
}

export function callIds(calls, first, left, tools) {
  const suffix = left.map((name) => `-${tools.findIndex((t) => t.function.name === name)}`).join('');
  return calls.map((_, i) => `call_${first + i}${i === calls.length - 1 ? suffix : ''}`);
}

const isError = (content) => /^\s*\{\s*"error"\s*:/.test(content);

// What a reply looks like, shown with functions that no project is likely to have.
const call = (name, args) => ({function: {name, arguments: spelled(args)}});
const kExamples = [
  {role: 'user', content: 'How late is it in Lima?'},
  {role: 'assistant', tool_calls: [call('time_in', {city: 'Lima'})], left: []},
  {role: 'tool', content: '"09:30"'},
  {role: 'assistant', content: 'It is 09:30 in Lima.'},
  {role: 'user', content: 'Add 2.5 and 4, then write the sum down.'},
  {role: 'assistant', tool_calls: [call('add', {numbers: [2.5, 4]})], left: ['write_down']},
  {role: 'tool', content: '6.5'},
  {role: 'assistant', tool_calls: [call('write_down', {number: 6.5})], left: []},
  {role: 'tool', content: '{"written": true}'},
  {role: 'assistant', content: 'The sum is 6.5, and I wrote it down.'},
  {role: 'user', content: 'Tell me a riddle.'},
  {role: 'assistant', content: 'What has keys but opens no door? A piano.'},
  {role: 'user', content: 'Hi, how are things?'},
  {role: 'assistant', content: 'Fine, thank you. How can I help?'},
  {role: 'user', content: 'Put "good day, my friend" into French.'},
  {role: 'assistant', tool_calls: [call('translate', {text: 'good day, my friend', language: 'French'})], left: []},
  {role: 'tool', content: '"bonjour, mon ami"'},
  {role: 'assistant', content: 'It is "bonjour, mon ami".'},
  {role: 'user', content: 'What is the weather in Oslo and in Rome?'},
  {role: 'assistant', tool_calls: [call('get_weather', {city: 'Oslo'}), call('get_weather', {city: 'Rome'})], left: []},
  {role: 'tool', content: '"rain"'},
  {role: 'tool', content: '"sun"'},
  {role: 'assistant', content: 'It rains in Oslo, and the sun shines in Rome.'},
  {role: 'user', content: 'I have 3 cats of 4, 5 and 6 kg. How heavy is the heaviest?'},
  {role: 'assistant', tool_calls: [call('largest', {numbers: [4, 5, 6]})], left: []},
  {role: 'tool', content: '6'},
  {role: 'assistant', content: 'The heaviest weighs 6 kg.'},
  {role: 'user', content: 'Who painted the Mona Lisa?'},
  {role: 'assistant', content: 'Leonardo da Vinci.'},
];

// Returns the prompt's segments, the number of those at its head that do not depend on the conversation, and the names
// of the functions that the model has planned and not called yet.
export function render(messages, tools, style) {
  const segments = [];
  const control = (text) => segments.push({text, control: true});
  const plain = (text) => segments.push({text, control: false});
  const hasTools = tools.length > 0;
  let left = [];

  const turns = (list) => {
    left = [];
    let made = [];
    for (const [i, message] of list.entries()) {
      const {role} = message;
      if (role === 'system' || role === 'developer') continue;
      if (role !== 'tool' || list[i - 1]?.role !== 'tool') control(style.open(style.roles[role]));
      if (role === 'tool') {
        const content = textOf(message.content);
        if (isError(content)) left = [];
        plain(`${made.shift() ?? 'result'} = ${content}\n`);
        if (list[i + 1]?.role === 'tool') continue;
        plain(`left: ${left.join(', ') || 'nothing'}`);
      } else if (message.tool_calls?.length) {
        made = message.tool_calls.map(({function: f}) => `${f.name}(${f.arguments})`);
        const planned = left.length > 0;
        left = leftAfter(message, tools);
        const names = [...message.tool_calls.map((c) => c.function.name), ...left];
        plain((planned ? '' : `${kPlan}${names.join(', ')}\n`) + made.map((text) => kCall + text).join('\n'));
      } else {
        left = [];
        plain((role === 'assistant' && hasTools ? kSay : '') + textOf(message.content));
      }
      control(style.close);
    }
  };

  const instructions = messages.filter(({role}) => role === 'system' || role === 'developer').map((m) => textOf(m.content));
  control(style.begin + style.open(style.roles.system));
  const given = instructions.join('\n\n') || kTurns.default_instructions;
  plain(hasTools ? systemText(given, tools) : given);
  control(style.close);
  if (hasTools) turns(kExamples);
  const prefix = segments.length;
  turns(messages);
  control(style.open(style.roles.assistant));
  return {segments, prefix, left};
}

function textOf(content) {
  if (Array.isArray(content)) return content.map((part) => part.text ?? '').join('');
  return typeof content === 'string' ? content : spelled(content ?? '');
}

// The grammar of a reply's first part: an answer, or a plan, which ends with a newline. Null lets anything through.
export function openingGrammar(tools, choice, answerSchema) {
  const b = new GrammarBuilder();
  if (tools.length === 0) {
    if (!answerSchema) return null;
    b.rule(b.schema(answerSchema), 'root');
    return b.text();
  }
  const options = [];
  if (choice !== 'none') {
    const name = b.rule(tools.map((t) => literal(t.function.name)).join(' | '), 'name');
    options.push(`${literal(kPlan)} ${name} (", " ${name}){0,${kMaxPlanned - 1}} "\\n"`);
  }
  if (choice !== 'required') {
    options.push(`${literal(kSay)} ${answerSchema ? b.schema(answerSchema) : '[^\\x00-\\x20] [^\\x00]*'}`);
  }
  b.rule(options.join(' | '), 'root');
  return b.text();
}

// The grammar of calls: the first of `names`, and as many of the others, in order, as need no result. Each may be called
// more than once.
export function callsGrammar(names, tools) {
  const b = new GrammarBuilder();
  const calls = names.map((name) => {
    const {parameters} = tools.find((t) => t.function.name === name).function;
    const one = b.rule(`${literal(`${kCall}${name}(`)} ${b.schema(parameters ?? {type: 'object', additionalProperties: false})} ")"`);
    return `${one} ("\\n" ${one}){0,${kMaxPlanned - 1}}`;
  });
  b.rule(calls.reduceRight((rest, one) => (rest ? `${one} ("\\n" ${rest})?` : one), ''), 'root');
  return b.text();
}

export const isPlan = (text) => text.startsWith(kPlan);
export const plannedNames = (text) => text.slice(kPlan.length).trim().split(', ');
export const answerOf = (text) => text.slice(kSay.length);

// REQUIRES: `text` came whole out of `callsGrammar`. JSON in it holds no newline.
export function parseCalls(text) {
  return text.split('\n').map((line) => {
    const open = line.indexOf('(');
    return {name: line.slice(kCall.length, open), arguments: line.slice(open + 1, -1)};
  });
}

// What is left of a plan after `calls`, which follow its order and may repeat a function.
export function stillPlanned(planned, calls) {
  const left = [...planned];
  calls.forEach((call, i) => {
    if (left[0] === call.name && (calls[i - 1]?.name !== call.name || planned.filter((n) => n === call.name).length > 1)) left.shift();
  });
  return left;
}
