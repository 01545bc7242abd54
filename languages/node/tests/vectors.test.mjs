// The protocol's test vectors (spec/vectors) against this SDK's reader.
import assert from "node:assert/strict";
import fs from "node:fs";
import {createRequire} from "node:module";
import {PassThrough} from "node:stream";
import {test} from "node:test";

const {Connection, FrameError, FrameReader, placeBlobs} = createRequire(import.meta.url)("../sdk/sabir/wire.cjs");
const vectors = (name) => JSON.parse(fs.readFileSync(new URL(`../../../spec/vectors/${name}`, import.meta.url), "utf8")).vectors;
const bytesOf = (text) => Buffer.from(text, "base64");

for (const vector of vectors("frames.json")) {
  test(`frames come out alike in any fragmentation: ${vector.name}`, () => {
    const data = bytesOf(vector.bytes);
    for (const step of [data.length > 2000 ? 977 : 1, 3, 1 << 20]) {
      const found = [];
      const reader = new FrameReader((text, blobs) => found.push({json: text, blobs: blobs.map((blob) => blob.toString("base64"))}));
      let failed = false;
      try {
        for (let at = 0; at < data.length; at += step) reader.push(Buffer.from(data.subarray(at, at + step)));
      } catch (error) {
        assert.ok(error instanceof FrameError, error);
        failed = true;
      }
      assert.equal(failed, vector.error ?? false);
      if (!failed && data.length > 0) assert.equal(!reader.between, vector.incomplete ?? false);
      assert.deepEqual(found, vector.frames);
    }
  });
}

for (const vector of vectors("messages.json")) {
  test(`messages are told apart: ${vector.name}`, () => {
    const text = vector.bytes === undefined ? Buffer.from(vector.text) : bytesOf(vector.bytes);
    const messages = [];
    const written = [];
    const stream = new PassThrough();
    stream.write = (part) => written.push(part) > 0;
    const connection = new Connection(stream, stream, {onMessage: (message) => messages.push(message)});
    let settled = null;
    connection.pending.set(vector.id, {settle: (message) => (settled = message), owner: null});
    connection.push(Buffer.concat([Buffer.from(`${text.length}\n`), text]));
    if (vector.error !== undefined) {
      const answer = JSON.parse(String(written[0]).split("\n")[1]);
      assert.deepEqual([answer.id, answer.error.code, messages.length, settled], [null, vector.error, 0, null]);
      return;
    }
    const message = settled ?? messages[0];
    const kind = settled !== null ? "response" : "id" in message ? "request" : "notification";
    assert.deepEqual([kind, message.id, message.method], [vector.kind, vector.id, vector.method]);
    assert.equal(written.length, 0);
  });
}

for (const vector of vectors("blobs.json")) {
  test(`blobs go to their places: ${vector.name}`, () => {
    const params = structuredClone(vector.params);
    const blobs = vector.blobs.map(bytesOf);
    if (vector.error !== undefined) {
      assert.throws(() => placeBlobs(params, blobs), RangeError);
      return;
    }
    placeBlobs(params, blobs);
    delete params.blobs;
    assert.deepEqual(JSON.parse(JSON.stringify(params, (_key, value) => (value?.type === "Buffer" ? Buffer.from(value.data).toString("base64") : value))), vector.placed);
  });
}
