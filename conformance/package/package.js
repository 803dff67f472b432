// Tests the package as users get it. It is packed, inspected, and installed from the tarball into empty projects. Then it is used with
// several versions of Node.js: imported from both kinds of modules, type-checked, bundled for browsers, run as a command and a server.
//
// `npm run test:package [-- --node 20 --node 24]`, after a build; default: 20, 22, 24 and 26. Node.js, pnpm and esbuild come from npm.
// @ts-check
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CONSUMER = fileURLToPath(new URL("consumer", import.meta.url));
const { values } = parseArgs({
  options: { node: { type: "string", multiple: true, default: ["20", "22", "24", "26"] } },
});
const COMMAND_TIMEOUT_MS = 300_000;
const TARBALL_BYTES_MAX = 32e6;

/** Root can write everywhere, so a read-only folder cannot be tested as root. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65534 } : {};

const work = mkdtempSync(join(tmpdir(), "gpt2-api-package-"));
chmodSync(work, 0o755);
let numChecks = 0;
try {
  const tarball = pack();
  const tools = installTools(values.node);
  const layouts = {
    plain: installed(join(work, "plain"), tarball),
    "spaces and letters": installed(join(work, "with späces ünd λετters"), tarball),
    pnpm: installed(join(work, "pnpm"), tarball, [join(tools, "node_modules/pnpm/bin/pnpm.cjs"), "add"]),
  };
  checkFiles(join(layouts.plain, "node_modules/gpt2-api"));
  checkTypes(layouts.plain);
  checkBundle(layouts.plain, tools);
  for (const [name, folder] of Object.entries(layouts))
    use(process.execPath, folder, `this Node.js, ${name}`);
  setReadOnly(layouts.plain, true);
  use(process.execPath, layouts.plain, "this Node.js, read-only folder", NOBODY);
  setReadOnly(layouts.plain, false);
  for (const version of values.node) {
    use(join(tools, `node_modules/node-${version}/bin/node`), layouts.plain, `Node.js ${version}`);
  }
  console.log(`The package is in order: ${numChecks} checks.`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** @param {boolean} condition @param {string} what */
function check(condition, what) {
  if (!condition) throw new Error(`not so: ${what}`);
  numChecks += 1;
  console.log(`ok ${what}`);
}

/** @param {string} command @param {readonly string[]} args @param {string} cwd @param {{ uid?: number }} [user] */
function run(command, args, cwd, user = {}) {
  const env = { ...process.env, XDG_CACHE_HOME: join(work, "cache"), NODE_PATH: "" };
  try {
    return execFileSync(command, args, {
      cwd,
      env,
      encoding: "utf8",
      timeout: COMMAND_TIMEOUT_MS,
      stdio: "pipe",
      ...user,
    });
  } catch (error) {
    const { stdout = "", stderr = "" } = /** @type {{ stdout?: string, stderr?: string }} */ (error);
    throw new Error(`${[command, ...args].join(" ")} failed in ${cwd}:\n${stdout}${stderr}`);
  }
}

function pack() {
  run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", work], ROOT);
  const name = /** @type {string} */ (readdirSync(work).find((file) => file.endsWith(".tgz")));
  const { length } = readFileSync(join(work, name));
  check(length < TARBALL_BYTES_MAX, `the tarball has ${(length / 1e6).toFixed(1)} MB`);
  return join(work, name);
}

/** @param {readonly string[]} versions */
function installTools(versions) {
  const folder = join(work, "tools");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), "{}");
  const nodes = versions.map(
    (version) => `node-${version}@npm:node-${process.platform}-${process.arch}@${version}`,
  );
  run("npm", ["install", "--no-audit", "--no-fund", "--silent", "pnpm@10", "esbuild@0.28", ...nodes], folder);
  return folder;
}

/**
 * An empty project, with the package in it.
 * @param {string} folder @param {string} tarball @param {readonly string[]} [pnpm]
 */
function installed(folder, tarball, pnpm) {
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{"name": "consumer", "private": true}');
  if (pnpm) run(process.execPath, [...pnpm, tarball], folder);
  else run("npm", ["install", "--no-audit", "--no-fund", "--silent", tarball], folder);
  cpSync(CONSUMER, folder, { recursive: true });
  return folder;
}

/** @param {string} folder */
function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** @param {string} root of the package */
function checkFiles(root) {
  const files = filesOf(root);
  check(
    !files.some((file) => /\.(test\.|map$|tsx?$)/.test(file.replace(/\.d\.ts$/, ""))),
    "no tests, maps or sources",
  );
  const { scripts = {} } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  check(!["preinstall", "install", "postinstall"].some((name) => name in scripts), "no install script");
  const lock = JSON.parse(readFileSync(join(root, "../.package-lock.json"), "utf8"));
  const withScripts = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript);
  check(withScripts.length === 0, `nothing that is installed with it has an install script ${withScripts}`);
  if (process.platform === "linux" && process.arch === "x64") checkBinary(root);
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const dead = [...readme.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
    .map(([, target]) => /** @type {string} */ (target))
    .filter((target) => !/^https?:/.test(target) && !existsSync(join(root, normalize(target))));
  check(dead.length === 0, `the links of the README are alive ${dead}`);
}

/** That Linux's native kernels ask for no C library by name. @param {string} root */
function checkBinary(root) {
  const path = join(root, "dist/src/kernels/host/kernels-linux-x64.node");
  check(existsSync(path), "the native kernels are there");
  const text = readFileSync(path, "latin1");
  check(!/GLIBC_|libc\.|libm\.|ld-linux/.test(text), "they name no C library and no version of one");
}

/** @param {string} folder */
function checkTypes(folder) {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  cpSync(join(ROOT, "node_modules/@types"), join(folder, "node_modules/@types"), { recursive: true });
  cpSync(join(ROOT, "node_modules/undici-types"), join(folder, "node_modules/undici-types"), {
    recursive: true,
  });
  for (const [module, moduleResolution] of [
    ["node16", "node16"],
    ["esnext", "bundler"],
  ]) {
    const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2023,esnext.disposable"];
    const how = ["--types", "node", "--module", `${module}`, "--moduleResolution", `${moduleResolution}`];
    run(process.execPath, [tsc, ...options, ...how, "types.mts"], folder);
    check(
      true,
      `types are right with moduleResolution ${moduleResolution}, those of the package itself included`,
    );
  }
}

/** The client, bundled as for a page: a module of Node.js would be an error. @param {string} folder @param {string} tools */
function checkBundle(folder, tools) {
  writeFileSync(join(folder, "page.mjs"), 'export { Client } from "gpt2-api/client";\n');
  const flags = ["--bundle", "--platform=browser", "--format=esm", "--minify", "--outfile=page.bundle.js"];
  run(join(tools, "node_modules/.bin/esbuild"), ["page.mjs", ...flags, "--log-level=warning"], folder);
  const { length } = readFileSync(join(folder, "page.bundle.js"));
  check(length < 20_000, `the client bundles for browsers, ${length} bytes`);
}

/** @param {string} node @param {string} folder @param {string} how @param {{ uid?: number }} [user] */
function use(node, folder, how, user = {}) {
  const version = run(node, ["--version"], folder).trim();
  for (const file of ["esm.mjs", "cjs.cjs", "command.mjs"]) {
    const output = run(node, [file], folder, user);
    check(output.trim().endsWith("fine"), `${how} (${version}): ${file}`);
  }
}

/** @param {string} folder @param {boolean} isReadOnly */
function setReadOnly(folder, isReadOnly) {
  const folders = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  for (const each of [resolve(dirname(join(folder, "x"))), ...folders])
    chmodSync(each, isReadOnly ? 0o555 : 0o755);
}
