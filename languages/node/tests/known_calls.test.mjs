// A call that is read by its known end is what JSON makes of the whole.
import assert from "node:assert/strict";
import {test} from "node:test";
import {createRequire} from "node:module";

const {KnownCalls} = createRequire(import.meta.url)("../sdk/sabir/wire.cjs");
const FIRST = '"deadline_ms":5,"context":{"user":"u"},';
const REST = ',"module":"a","receiver":"","function":"f","positional":["x"],"context_parameter":"","depth":1}';

const CASES = [
  ["plain arguments", `{${FIRST}"arguments":{"x":1}${REST}`, true],
  ["an idempotency key", `{"deadline_ms":5,"idempotency_key":"k-1","context":{},"arguments":{}${REST}`, true],
  ["a member of the arguments that is called module", `{${FIRST}"arguments":{"x":{"y":1,"module":"b"}}${REST}`, true],
  ["arguments that look like the end", `{${FIRST}"arguments":{"x":"},\\"module\\":\\"a\\"}}"}${REST}`, true],
  ["text that is not ASCII", `{${FIRST}"arguments":{"x":"Été, مرحبا \\ud83d\\ude00"}${REST}`, true],
  ["a big integer", `{${FIRST}"arguments":{"x":12345678901234567890}${REST}`, true],
  ["a user whose name has a brace", `{"deadline_ms":5,"context":{"user":"a}b"},"arguments":{"x":1}${REST}`, false],
  ["another module in the end", `{${FIRST}"arguments":{"x":1},"module":"a","function":"f","build":{"x":1,"module":"b"}}`, false],
  ["arguments again in the end", `{${FIRST}"arguments":{"x":1},"module":"a","function":"f","arguments":{"x":2}}`, false],
  ["another order", `{"module":"a","function":"f","arguments":{"x":1},"deadline_ms":5,"context":{}}`, false],
  ["arguments that are no object", `{${FIRST}"arguments":[1]${REST}`, false],
  ["arguments that are no JSON", `{${FIRST}"arguments":{"x":}${REST}`, false],
  ["something after the end", `{${FIRST}"arguments":{"x":1}${REST.slice(0, -1)},"blobs":[]}`, false],
];

for (const [name, params, known] of CASES) {
  test(name, () => {
    const text = `{"jsonrpc":"2.0","id":7,"method":"call","params":${params}}`;
    const calls = new KnownCalls();
    for (let round = 0; round < 2; ++round) {
      const call = calls.read(text);
      assert.equal(call !== null, known);
      if (call === null) continue;
      const whole = JSON.parse(text);
      if (name === "a big integer") whole.params.arguments.x = 12345678901234567890n;
      assert.deepEqual(call, whole);
    }
  });
}

test("one call's arguments are not the next one's", () => {
  const calls = new KnownCalls();
  const [one, two] = [1, 2].map((x) => calls.read(`{"jsonrpc":"2.0","id":${x},"method":"call","params":{${FIRST}"arguments":{"x":${x}}${REST}}`));
  one.params.arguments.x = 9;
  delete one.params.positional;
  assert.deepEqual([two.id, two.params.arguments, two.params.positional], [2, {x: 2}, ["x"]]);
});
