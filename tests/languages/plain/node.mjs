// Runs functions of the probe that argument 1 names in this plain process: lines of JSON in, lines of JSON out.
//
// Argument 2 is the SDK's folder, whose JSON keeps large integers exact.
import {createRequire} from "node:module";
import readline from "node:readline";
import {pathToFileURL} from "node:url";
import {SabirError} from "sabir";

const {decode, plain} = createRequire(import.meta.url)(`${process.argv[3]}/sabir/plain.cjs`);
const probe = await import(pathToFileURL(process.argv[2]).href);

// Large texts stay in the JSON: a blob's place is filled in again.
function whole(value) {
  const blobs = [];
  const listed = [];
  const root = {value: plain(value, "/value", blobs, listed)};
  listed.forEach(({at}, index) => {
    const path = at.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = path.pop();
    path.reduce((holder, part) => holder[part], root)[last] = blobs[index].toString();
  });
  return JSON.stringify(root);
}

for await (const line of readline.createInterface({input: process.stdin})) {
  const [name, given] = decode(line);
  const run = probe[name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())];
  const names = /\(([^)]*)\)/.exec(run.toString())[1].split(",").map((one) => one.trim().split(/[ =:]/)[0]);
  try {
    console.log(whole(await run(...names.map((one) => given[one.replace(/_$/, "")]))));
  } catch (error) {
    if (!(error instanceof SabirError)) throw error;
    console.log(JSON.stringify({error: {type: error.type, message: error.message}}));
  }
}
process.exit(0);
