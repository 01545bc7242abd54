// What users of npm's `openai` and `ai` do, with assertions; run by test_clients.py with OPENAI_BASE_URL set.
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const require = createRequire(process.env.SABIR_CLIENT_MODULES);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const {default: OpenAI} = await load('openai');
const client = new OpenAI({maxRetries: 0});
const user = (content) => [{role: 'user', content}];

const answer = await client.chat.completions.create({model: 'clerk', messages: user('How many pears?')});
assert.equal(answer.choices[0].message.content, 'There are 5 pears.');
let text = '';
for await (const chunk of await client.chat.completions.create({model: 'clerk', messages: user('How many pears?'), stream: true})) {
  text += chunk.choices[0]?.delta?.content ?? '';
}
assert.equal(text, 'There are 5 pears.');
const response = await client.responses.create({model: 'clerk', input: 'How many pears?'});
assert.equal(response.output_text, 'There are 5 pears.');
let last;
for await (const event of await client.responses.create({model: 'scripted', input: 'hello', stream: true})) last = event;
assert.equal(last.type, 'response.completed');
const vectors = await client.embeddings.create({model: 'scripted', input: 'a red apple'});
assert.equal(vectors.data[0].embedding.length, 64);
await assert.rejects(client.chat.completions.create({model: 'nobody', messages: user('x')}), OpenAI.NotFoundError);
console.log('ok openai');

const {generateText, streamText, jsonSchema, tool, stepCountIs} = await load('ai');
const {createOpenAICompatible} = await load('@ai-sdk/openai-compatible');
const {createOpenAI} = await load('@ai-sdk/openai');
const settings = {baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY};
const tools = {get_weather: tool({description: 'The weather in a city.', inputSchema: jsonSchema({type: 'object', properties: {city: {type: 'string'}}, required: ['city']}),
  execute: async ({city}) => (assert.equal(city, 'Oslo'), 'sunny')})};
for (const model of [createOpenAICompatible({name: 'shop', ...settings})('scripted'), createOpenAI(settings).chat('scripted'), createOpenAI(settings).responses('scripted')]) {
  const {text: whole} = await generateText({model, prompt: 'What is the weather?', tools, stopWhen: stepCountIs(3), maxRetries: 0});
  assert.equal(whole, 'In Oslo: sunny.');
  let pieces = '';
  for await (const piece of streamText({model, prompt: 'hello there', maxRetries: 0}).textStream) pieces += piece;
  assert.equal(pieces, 'You said: hello there');
}
console.log('ok ai');
