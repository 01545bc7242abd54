// The model is played by tests/scripted_replies.json; the functions it calls are the real ones.
import assert from "node:assert/strict";
import {after, test} from "node:test";
import * as sabir from "sabir";

after(() => sabir.close());

test("asks the function for the sum", async () => {
  const reply = await sabir.ask("accountant", "What do two cups at 3.50 cost with tax?");
  assert.match(reply.content, /8\.4/);
});
