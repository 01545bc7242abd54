// What `node --test languages/node/tests/` runs: every test, one after the other.
import "./describe.test.mjs";
import "./plain.test.mjs";
import "./sdk.test.mjs";
import "./vectors.test.mjs";
import "./worker.test.mjs";
