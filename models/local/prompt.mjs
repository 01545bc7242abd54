// How a conversation and its functions become a prompt, and how a reply becomes text or calls.
//
// A prompt is a list of segments {text, control}: control text may hold the model's special tokens, other text never
// does, so that a function's result cannot forge a turn.

import {GrammarBuilder, literal, spelled} from './grammar.mjs';

const kCall = 'call: ';
const kSay = 'say: ';

// Turn markers by a string that the model's own chat template holds.
const kTurnStyles = [
  {sign: '<|im_start|>', begin: '', open: (role) => `<|im_start|>${role}\n`, close: '<|im_end|>\n',
    roles: {system: 'system', user: 'user', assistant: 'assistant', tool: 'user'}},
  {sign: '<|start_header_id|>', begin: '<|begin_of_text|>', open: (role) => `<|start_header_id|>${role}<|end_header_id|>\n\n`,
    close: '<|eot_id|>', roles: {system: 'system', user: 'user', assistant: 'assistant', tool: 'ipython'}},
  {sign: '<start_of_turn>', begin: '<bos>', open: (role) => `<start_of_turn>${role}\n`, close: '<end_of_turn>\n',
    roles: {system: 'user', user: 'user', assistant: 'model', tool: 'user'}},
  {sign: '', begin: '', open: (role) => `### ${role}\n`, close: '\n\n',
    roles: {system: 'System', user: 'User', assistant: 'Assistant', tool: 'Results'}},
];

export function turnStyle(chatTemplate) {
  return kTurnStyles.find(({sign}) => (chatTemplate ?? '').includes(sign));
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

const kDefaultInstructions = 'You are a helpful assistant.';

function systemText(instructions, tools) {
  return `${instructions}

You can call these functions:
${tools.map(described).join('\n')}

Every line of your reply is either a call, with its arguments as JSON:
${kCall}function_name({"parameter": value})
or, when nothing is left to call, your answer to the user in plain words:
${kSay}text
Results of calls are given to you before you go on. A call that needs the result of another one waits for that result.`;
}

const call = (name, args) => ({function: {name, arguments: spelled(args)}});
const kExamples = [
  {role: 'user', content: 'What is the weather in Oslo and in Rome?'},
  {role: 'assistant', tool_calls: [call('get_weather', {city: 'Oslo'}), call('get_weather', {city: 'Rome'})]},
  {role: 'tool', content: '"rain"'},
  {role: 'tool', content: '"sun"'},
  {role: 'assistant', content: 'It rains in Oslo, and the sun shines in Rome.'},
  {role: 'user', content: 'Add 2.5 and 4, then write the sum down.'},
  {role: 'assistant', tool_calls: [call('add', {numbers: [2.5, 4]})]},
  {role: 'tool', content: '6.5'},
  {role: 'assistant', tool_calls: [call('write_down', {text: '6.5'})]},
  {role: 'tool', content: '{"written": true}'},
  {role: 'assistant', content: 'The sum is 6.5, and I wrote it down.'},
  {role: 'user', content: 'Which is the largest ocean?'},
  {role: 'assistant', content: 'The Pacific Ocean.'},
  {role: 'user', content: 'Translate "good day" into French and tell me the time in Lima.'},
  {role: 'assistant', tool_calls: [call('translate', {text: 'good day', language: 'French'}), call('time_in', {city: 'Lima'})]},
  {role: 'tool', content: '"bonne journée"'},
  {role: 'tool', content: '"09:30"'},
  {role: 'assistant', content: 'It is "bonne journée" in French, and 09:30 in Lima.'},
  {role: 'user', content: 'How many people live in the capital of Peru?'},
  {role: 'assistant', tool_calls: [call('capital_of', {country: 'Peru'})]},
  {role: 'tool', content: '"Lima"'},
  {role: 'assistant', tool_calls: [call('population_of', {city: 'Lima'})]},
  {role: 'tool', content: '10092000'},
  {role: 'assistant', content: '10,092,000 people live in Lima, the capital of Peru.'},
  {role: 'user', content: 'Tell me a riddle.'},
  {role: 'assistant', content: 'What has keys but opens no door? A piano.'},
];

export function render(messages, tools, style) {
  const segments = [];
  const control = (text) => segments.push({text, control: true});
  const plain = (text) => segments.push({text, control: false});
  const instructions = messages.filter((m) => m.role === 'system').map((m) => textOf(m.content)).join('\n\n') || kDefaultInstructions;
  control(style.begin + style.open(style.roles.system));
  plain(tools.length > 0 ? systemText(instructions, tools) : instructions);
  control(style.close);
  if (tools.length > 0) turns(kExamples);
  const prefix = segments.length;
  turns(messages);
  control(style.open(style.roles.assistant));
  return {segments, prefix};

  function turns(messages) {
  let previous = '';
  let request = '';
  let asked = [];
  for (const [i, message] of messages.entries()) {
    const {role} = message;
    if (role === 'system') continue;
    if (role === 'tool') {
      if (previous !== 'tool') control(style.open(style.roles.tool)); else plain('\n');
      plain(`${asked.shift() ?? 'call'} = ${textOf(message.content)}`);
      if (messages[i + 1]?.role !== 'tool') {
        plain(`\nThe request was: ${request}\nWhat is next, another call or the answer?`);
        control(style.close);
      }
    } else {
      control(style.open(style.roles[role]));
      if (role === 'user') request = textOf(message.content);
      asked = (message.tool_calls ?? []).map((c) => `${c.function.name}(${c.function.arguments})`);
      if (message.tool_calls?.length) {
        plain(message.tool_calls.map((c) => `${kCall}${c.function.name}(${c.function.arguments})`).join('\n'));
      } else {
        plain((role === 'assistant' && tools.length > 0 ? kSay : '') + textOf(message.content));
      }
      control(style.close);
    }
    previous = role;
  }
  }
}

function textOf(content) {
  if (Array.isArray(content)) return content.map((part) => part.text ?? '').join('');
  return typeof content === 'string' ? content : spelled(content ?? '');
}

export function replyGrammar(tools, choice, answerSchema) {
  const b = new GrammarBuilder();
  if (tools.length === 0) {
    if (!answerSchema) return null;
    b.rule(b.schema(answerSchema), 'root');
    return b.text();
  }
  const options = [];
  if (choice !== 'none') {
    const calls = tools.map(({function: f}) => b.rule(
      `${literal(kCall + f.name + '(')} ${b.schema(f.parameters ?? {type: 'object', additionalProperties: false})} ")"`));
    const call = b.rule(calls.join(' | '), 'call');
    options.push(`${call} ("\\n" ${call}){0,7}`);
  }
  if (choice !== 'required') {
    options.push(`${literal(kSay)} ${answerSchema ? b.schema(answerSchema) : '[^\\x00-\\x20] [^\\x00]*'}`);
  }
  b.rule(options.join(' | '), 'root');
  return b.text();
}

export const isCall = (text) => text.startsWith(kCall);
export const parseCalls = (text) => text.split('\n').map((line) => {
  const open = line.indexOf('(');
  return {name: line.slice(kCall.length, open), arguments: line.slice(open + 1, -1)};
});
export const kAnswerMark = kSay;
