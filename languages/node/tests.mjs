// The test command (spec/language.md): Vitest where the project has it, Node's own runner for the files that are written for that.
// tests.mjs SDK REPORT FILE…
import {spawnSync} from "node:child_process";
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import path from "node:path";

const [sdk, report, ...files] = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: tests.mjs SDK REPORT FILE…");
  process.exit(2);
}
const vitest = ["functions/node/node_modules/.bin/vitest", "node_modules/.bin/vitest"].find((file) => existsSync(file));
const isNodes = (file) => /["']node:test["']/.test(readFileSync(file, "utf8"));
const own = vitest ? files.filter(isNodes) : files;
const rest = vitest ? files.filter((file) => !own.includes(file)) : [];
const folder = mkdtempSync(path.join(tmpdir(), "sabir-node-"));
const register = path.join(sdk, "sabir", "register.mjs");
const flags = ["--experimental-strip-types", "--disable-warning=ExperimentalWarning", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "--import", register];
let status = 0;
const reports = [];

function run(argv, made, env = process.env) {
  const done = spawnSync(process.execPath, argv, {stdio: ["ignore", "inherit", "inherit"], env});
  const code = done.status ?? 128;
  if (code !== 0 && status === 0) status = code;
  if (existsSync(made)) reports.push(made);
}

// With a configuration of its own, where the project has none.
function runVitest() {
  const made = path.join(folder, "vitest.xml");
  // Workers of Vitest are Node processes too, in which `sabir` has to be known.
  const options = [process.env.NODE_OPTIONS ?? "", "--import", JSON.stringify(register)].join(" ").trim();
  const exact = rest.map((file) => path.resolve(file));
  const words = [path.resolve(vitest), "run", "--reporter=default", "--reporter=junit", `--outputFile.junit=${made}`, ...exact];
  if (!["ts", "mts", "js", "mjs"].some((end) => existsSync(`vitest.config.${end}`) || existsSync(`vite.config.${end}`))) {
    // Without a configuration Vitest takes *.test.* and *.spec.* alone; the project's tests are called test_*, too.
    const config = path.join(folder, "vitest.config.mjs");
    const alias = {"sabir/testing": path.join(sdk, "sabir", "testing.mjs"), sabir: path.join(sdk, "sabir", "index.mjs")};
    writeFileSync(config, `export default {root: ${JSON.stringify(process.cwd())}, resolve: {alias: ${JSON.stringify(alias)}}, test: {include: ${JSON.stringify(rest)}, watch: false}};\n`);
    words.push("--config", config);
  }
  run(words, made, {...process.env, NODE_OPTIONS: options, NO_COLOR: "1", CI: process.env.CI ?? "true"});
}

try {
  if (own.length > 0) {
    const made = path.join(folder, "node.xml");
    run([...flags, "--test", "--test-reporter=junit", `--test-reporter-destination=${made}`, ...own], made);
  }
  if (rest.length > 0) runVitest();
  const bodies = reports.map((made) => readFileSync(made, "utf8").replace(/^\s*<\?xml[^>]*\?>/, ""));
  if (bodies.length === 1) writeFileSync(report, `<?xml version="1.0" encoding="utf-8"?>\n${bodies[0]}`);
  else if (bodies.length > 1) writeFileSync(report, `<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n${bodies.map((one) => one.replace(/<\/?testsuites[^>]*>/g, "")).join("\n")}</testsuites>\n`);
} finally {
  rmSync(folder, {recursive: true, force: true});
}
process.exit(status);
