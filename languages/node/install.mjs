// Installs the packages of package.json with the manager whose lock file lies beside it: pnpm, yarn, or npm.
//
// node install.mjs [FOLDER]. What is locked is installed as it is locked; without a lock file npm makes one.
import {spawnSync} from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const folder = path.resolve(process.argv[2] ?? ".");
const has = (name) => fs.existsSync(path.join(folder, name));

function fail(message, hint) {
  process.stderr.write(`${message}\n${hint}\n`);
  process.exit(1);
}

// npm that came with this Node.js, else the machine's.
function npm() {
  const bundled = path.join(path.dirname(fs.realpathSync(process.execPath)), "..", "lib", "node_modules", "npm", "bin", "npm-cli.js");
  return fs.existsSync(bundled) ? [process.execPath, bundled] : ["npm"];
}

function choose() {
  if (has("pnpm-lock.yaml")) return {lock: "pnpm-lock.yaml", argv: ["pnpm", "install", "--frozen-lockfile"], missing: "corepack enable pnpm, or npm install --global pnpm"};
  if (has("yarn.lock")) return {lock: "yarn.lock", argv: ["yarn", "install", "--frozen-lockfile"], missing: "corepack enable yarn, or npm install --global yarn"};
  const quiet = ["--no-fund", "--no-audit"];
  const missing = "install npm (Debian: apt install npm)";
  if (has("package-lock.json") || has("npm-shrinkwrap.json")) return {lock: "package-lock.json", argv: [...npm(), "ci", ...quiet], missing};
  let told = {};
  try {
    told = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
  } catch (error) {
    fail(`${path.join(folder, "package.json")} cannot be read: ${error.message}`, "mend it there");
  }
  const lists = [told.dependencies, told.devDependencies, told.optionalDependencies];
  // Nothing is asked for.
  if (!lists.some((list) => list && Object.keys(list).length > 0)) process.exit(0);
  return {lock: "package.json", argv: [...npm(), "install", ...quiet], missing};
}

const {lock, argv: [program, ...words], missing} = choose();
// Their scripts find this Node.js first.
const env = {...process.env, PATH: [path.dirname(process.execPath), process.env.PATH].filter(Boolean).join(path.delimiter)};
const done = spawnSync(program, words, {cwd: folder, env, stdio: ["ignore", "inherit", "inherit"]});
if (done.error !== undefined) fail(`${lock} needs ${program}, which does not start: ${done.error.message}`, missing);
process.exit(done.status ?? 1);
