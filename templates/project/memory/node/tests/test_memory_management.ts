import assert from "node:assert/strict";
import {after, test} from "node:test";
import * as sabir from "sabir";
import {retrieveResult, storeResult} from "../memory_management.ts";

after(() => sabir.close());

test("gives back what was stored", async () => {
  const result = {words: 3, list: [1, 2.5, null], text: "Été"};
  await storeResult(result, "node test");
  assert.deepEqual(await retrieveResult("node test"), result);
});

test("gives null for a name without a result", async () => {
  assert.equal(await retrieveResult("nothing was stored here"), null);
});
