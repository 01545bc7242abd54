import assert from "node:assert/strict";
import {after, test} from "node:test";
import * as sabir from "sabir";
import {lines, total} from "../invoices.ts";

after(() => sabir.close());

const items = [{name: "cup", price: 3.5, pieces: 2}, {name: "tea", price: 5}];

test("adds up with tax", () => {
  assert.deepEqual(total(items), {net: 12, tax: 2.4, gross: 14.4});
});

test("writes a line for each item", () => {
  assert.deepEqual([...lines(items)], ["2 × cup: 7.00", "1 × tea: 5.00"]);
});

test("answers the same through the engine", async () => {
  assert.deepEqual(await sabir.call("invoices.total", {items, percent: 10}), {net: 12, tax: 1.2, gross: 13.2});
});

test("refuses an item without a price before it is called", async () => {
  await assert.rejects(sabir.call("invoices.total", {items: [{name: "cup"}]}), /price/);
});
