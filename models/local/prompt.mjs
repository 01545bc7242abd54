// How a conversation and its functions become a prompt, and how a reply becomes text or calls.
//
// A prompt is a list of segments {text, control}: control text may hold the model's special tokens, other text never
// does, so that a function's result cannot forge a turn.

import {GrammarBuilder, literal, spelled} from './grammar.mjs';

const kOpen = '<tool_call>';
const kClose = '</tool_call>';

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
    .map(([key, s]) => `${key}${required.has(key) ? '' : '?'}: ${typeOf(s, root)}`).join(', ');
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

const hermes = {
  system(instructions, tools) {
    return `${instructions}\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>\n${tools.map((t)=>spelled(t)).join('\n')}\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>`;
  },
  call: (name, args) => `${kOpen}\n{"name": "${name}", "arguments": ${args}}\n${kClose}`,
  joined: (calls) => calls.join('\n'),
  rule(b, name, schema) { return b.rule(`${literal(`{"name": "${name}", "arguments": `)} ${schema} "}"`); },
  parse(text) {
    return [...text.matchAll(/<tool_call>\n\{"name": "(.*?)", "arguments": (.*)\}\n<\/tool_call>/g)].map((m) => ({name: m[1], arguments: m[2]}));
  },
  root(b, calls) { return `${literal(kOpen+'\n')} (${calls.join(' | ')}) ${literal('\n'+kClose)} ("\\n" ${literal(kOpen+'\n')} (${calls.join(' | ')}) ${literal('\n'+kClose)}){0,3}`; },
  result: (content) => `<tool_response>\n${content}\n</tool_response>`,
};
const lines = {
  system(instructions, tools) {
    return `${instructions}

# Functions

${tools.map(described).join('\n')}

To call functions, reply with one call a line:
${kOpen}
function_name({"parameter": value})
${kClose}
Then the results are given to you. A call that needs another call's result waits for that result. When nothing is left to call, reply to the user in plain words.`;
  },
  call: (name, args) => `${name}(${args})`,
  joined: (calls) => `${kOpen}\n${calls.join('\n')}\n${kClose}`,
  rule(b, name, schema) { return b.rule(`${literal(name + '(')} ${schema} ")"`); },
  parse(text) {
    if (!text.endsWith(kClose)) return [];
    return text.split('\n').slice(1, -1).map((line) => ({name: line.slice(0, line.indexOf('(')), arguments: line.slice(line.indexOf('(') + 1, -1)}));
  },
  root(b, calls) { const c = b.rule(calls.join(' | ')); return `${literal(kOpen + '\n')} ${c} ("\\n" ${c}){0,7} ${literal('\n' + kClose)}`; },
  result: (content) => `<tool_response>\n${content}\n</tool_response>`,
};
const format = process.env.SABIR_FORMAT === 'hermes' ? hermes : lines;

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
];

export function render(messages, tools, style) {
  const segments = [];
  const control = (text) => segments.push({text, control: true});
  const plain = (text) => segments.push({text, control: false});
  const instructions = messages.filter((m) => m.role === 'system').map((m) => textOf(m.content)).join('\n\n') || kDefaultInstructions;
  control(style.begin + style.open(style.roles.system));
  plain(tools.length > 0 ? format.system(instructions, tools) : instructions);
  control(style.close);
  if (tools.length > 0) turns(kExamples);
  const prefix = segments.length;
  turns(messages);
  control(style.open(style.roles.assistant));
  return {segments, prefix};

  function turns(messages) {
  let previous = '';
  for (const [i, message] of messages.entries()) {
    const {role} = message;
    if (role === 'system') continue;
    if (role === 'tool') {
      if (previous !== 'tool') control(style.open(style.roles.tool)); else plain('\n');
      plain(format.result(textOf(message.content)));
      if (messages[i + 1]?.role !== 'tool') control(style.close);
    } else {
      control(style.open(style.roles[role]));
      if (message.tool_calls?.length) {
        control(format.joined(message.tool_calls.map((c) => format.call(c.function.name, c.function.arguments))));
      } else {
        plain(textOf(message.content));
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
  const options = [];
  if (tools.length > 0 && choice !== 'none') {
    const calls = tools.map((t) => format.rule(b, t.function.name, b.schema(t.function.parameters ?? {type: 'object', additionalProperties: false})));
    options.push(b.rule(format.root(b, calls), 'calls'));
  }
  if (choice !== 'required' || options.length === 0) {
    if (answerSchema) options.push(b.rule(b.schema(answerSchema), 'answer'));
    else if (options.length === 0) return null;
    else options.push(b.rule('[^<\\x00-\\x20] [^\\x00]*', 'text'));
  }
  b.rule(options.join(' | '), 'root');
  return b.text();
}

export const isCall = (text) => text.startsWith('<');
export const parseCalls = (text) => format.parse(text);
