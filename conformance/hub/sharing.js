// Checks with every release of huggingface_hub in versions.txt: each side uses the files of the other without fetching them again, Python
// never warns about the cache, and no incomplete file ever has its final name.
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  directoryContents,
  FakeHub,
  fakeRepository,
  Sides,
  seededBytes,
  VERSIONS,
  writeCheckpoint,
} from "./sides.js";

const ID = "owner/model";
const FOLDER = "models--owner--model";
/** The files that transformers asks for one by one, and others. */
const NAMES = [
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "tokenizer.json",
  "vocab.json",
  "merges.txt",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
];
const OFFLINE = { HF_HUB_OFFLINE: "1" };
const GENERATE = ["generate", "--model", ID, "--mode", "greedy", "--max-length", "8", "a b"];

/** A small GPT-2 that can be loaded. */
function loadable() {
  const directory = mkdtempSync(join(tmpdir(), "gpt2-api-model-"));
  writeCheckpoint(directory, { seed: 1, V: 512, P: 64 });
  const contents = directoryContents(directory);
  rmSync(directory, { recursive: true });
  const tokenizer = readFileSync("test/fixtures/tokenizer/small/tokenizer.json");
  return { ...contents, "tokenizer.json": tokenizer, "README.md": "# A model", "onnx/model.onnx": "x" };
}

/** A repository whose weights are slow to fetch. */
const large = (bytes) => ({ ...loadable(), "model.safetensors": seededBytes(bytes, 7) });

const files = (hub) => hub.log.filter(({ place, method }) => method === "GET" && place !== "api");

async function isClean(sides) {
  const { warnings, revisions } = await sides.python(["scan"]);
  assert.deepEqual(warnings, []);
  const list = sides.version.startsWith("0.") ? ["cache", "scan"] : ["cache", "ls", "--show-warnings"];
  const { status, stdout, stderr } = await sides.hf(list);
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stdout + stderr, /warning|corrupt/i);
  return revisions;
}

const checks = {
  async "ours, then Python"({ sides, hub, commit }) {
    const { stdout } = await sides.ours(["pull", ID]);
    const directory = stdout.trim();
    assert.deepEqual(await isClean(sides), [[ID, commit, ["main"], readdirSync(directory).sort()]]);
    hub.log.length = 0;
    for (const env of [{}, OFFLINE]) {
      const paths = await sides.python(["fetch", ID, ...readdirSync(directory)], env);
      for (const [name, path] of Object.entries(paths)) assert.equal(path, join(directory, name));
      assert.equal(await sides.python(["snapshot", ID, "*.json", "*.safetensors"], env), directory);
    }
    assert.deepEqual(files(hub), []);
    await isClean(sides);
    if (sides.version.startsWith("0.")) return;
    const verified = await sides.hf(["cache", "verify", ID]);
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  },

  async "Python one by one, then ours"({ sides, hub }) {
    await sides.python(["fetch", ID, ...NAMES]);
    hub.log.length = 0;
    const { status, stderr } = await sides.ours(GENERATE);
    assert.deepEqual([status, stderr, hub.log], [0, "", []]);
  },

  async "a snapshot of Python's, then ours"({ sides, hub }) {
    await sides.python(["snapshot", ID]);
    hub.log.length = 0;
    const offline = await sides.ours(GENERATE, OFFLINE);
    assert.equal(offline.status, 0, offline.stderr);
    // Releases that do not store the list of a commit's files cannot prove which files do not exist.
    if (!sides.version.startsWith("0.")) assert.equal(offline.stderr, "");
    const { stderr } = await sides.ours(["pull", ID]);
    assert.match(stderr, /3 files, .* 3 already here/);
    assert.deepEqual(files(hub), []);
    await isClean(sides);
  },

  async "without symbolic links, both ways"({ sides, hub }) {
    const env = { HF_HUB_DISABLE_SYMLINKS: "1" };
    const { stdout } = await sides.ours(["pull", ID], env);
    assert.deepEqual(readdirSync(join(sides.cache, FOLDER, "blobs")), []);
    assert.equal((await isClean(sides))[0][3].length, 3);
    hub.log.length = 0;
    assert.equal(
      await sides.python(["snapshot", ID, "*.json", "*.safetensors"], { ...env, ...OFFLINE }),
      stdout.trim(),
    );
    await sides.python(["delete", ID]);
    await sides.python(["fetch", ID, ...NAMES], env);
    hub.log.length = 0;
    const { status, stderr } = await sides.ours(GENERATE);
    assert.deepEqual([status, stderr, hub.log], [0, "", []]);
  },

  async "Python deletes what is ours, and ours what is Python's"({ sides }) {
    await sides.ours(["pull", ID]);
    await sides.python(["delete", ID]);
    assert.ok(!existsSync(join(sides.cache, FOLDER)));
    await sides.python(["snapshot", ID]);
    const { status } = await sides.ours(["rm", ID, "--yes"]);
    assert.equal(status, 0);
    assert.ok(!existsSync(join(sides.cache, FOLDER)));
    assert.deepEqual(await isClean(sides), []);
  },

  async "a store that Python shares between models"({ sides, repository, commit }) {
    if (sides.version.startsWith("0.")) return "this release has none";
    await sides.python(["fetch", ID, ...NAMES]);
    const { etag } = repository.commits.get(commit).get("model.safetensors");
    const { linked, store } = await sides.python(["share", ID, etag]);
    assert.ok(linked);
    const { status, stderr } = await sides.ours(GENERATE, OFFLINE);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match((await sides.ours(["models"])).stdout, /owner\/model .* complete\n/);
    assert.equal((await sides.ours(["pull", ID])).status, 0);
    const removed = await sides.ours(["rm", ID, "--yes"]);
    assert.match(removed.stderr, /are in the store that Python shares between models/);
    assert.ok(existsSync(store));
    const pruned = await sides.hf(["cache", "prune", "--yes"]);
    assert.equal(pruned.status, 0, pruned.stderr);
    assert.ok(!existsSync(store), pruned.stdout + pruned.stderr);
    await isClean(sides);
  },

  async "Python never warns while ours fetches, is killed and goes on"({ sides, hub }) {
    const stop = join(sides.home, "stop");
    const watching = sides.python(["watch", stop]);
    const slowly = () => hub.fail({ on: "cdn", body: { pieces: 200_000, beforePiece: () => after(5) } });
    for (let round = 0; round < 6; round++) {
      slowly();
      await sides.ours(["pull", ID], {}, (child) =>
        setTimeout(() => child.kill("SIGKILL"), 150 + 90 * round),
      );
    }
    await sides.ours(["pull", ID]);
    writeFileSync(stop, "");
    const { warnings, scans } = await watching;
    assert.deepEqual(warnings, []);
    assert.ok(scans > 20, `${scans} scans`);
    assert.equal((await isClean(sides)).length, 1);
    return `${scans} scans`;
  },

  async "both at once, and Python's prune beside them"({ sides, hub }) {
    const canPrune = !sides.version.startsWith("0.");
    for (const withPrune of canPrune ? [false, true, true] : [false]) {
      for (let i = 0; i < 3; i++)
        hub.fail({ on: "cdn", body: { pieces: 500_000, beforePiece: () => after(3) } });
      // Python's prune may remove Python's own unfinished file. That is not checked.
      const python = sides.python(["snapshot", ID]).catch((error) => {
        if (!withPrune) throw error;
      });
      const prune = withPrune ? sides.hf(["cache", "prune", "--yes"]) : undefined;
      const ours = await Promise.all([sides.ours(["pull", ID]), sides.ours(["pull", ID])]);
      for (const { status, stderr } of ours) assert.equal(status, 0, stderr);
      await Promise.all([python, prune]);
      const own = /^\w+\.[0-9a-f]{8}\.incomplete$/;
      assert.deepEqual(
        sides.wrongBlobs(FOLDER).filter((name) => !withPrune || !own.test(name)),
        [],
      );
      await isClean(sides);
      rmSync(join(sides.cache, FOLDER), { recursive: true });
    }
  },

  async "a complete cache that cannot be written to is served from"({ sides }) {
    // The superuser can write everywhere.
    if (process.getuid?.() === 0) return "not as the superuser";
    await sides.ours(["pull", ID]);
    const folders = ["", "blobs", "refs", "snapshots", ".no_exist"].map((name) =>
      join(sides.cache, FOLDER, name),
    );
    for (const folder of folders) chmodSync(folder, 0o555);
    const served = await sides.ours(GENERATE);
    const pulled = await sides.ours(["pull", ID]);
    for (const folder of folders) chmodSync(folder, 0o755);
    assert.deepEqual([served.status, served.stderr, pulled.status], [0, "", 0]);
  },
};

/** Weights that take a while, where a check needs time. */
const LARGE = {
  "Python never warns while ours fetches, is killed and goes on": 8e6,
  "both at once, and Python's prune beside them": 6e6,
};

function after(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const print = (line) => process.stdout.write(`${line}\n`);

let numFailed = 0;
const chosen = process.argv.slice(2);
for (const version of VERSIONS) {
  for (const [name, check] of Object.entries(checks)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    const repository = fakeRepository(ID, LARGE[name] ? large(LARGE[name]) : loadable());
    const hub = await FakeHub.start([repository]);
    const sides = new Sides(version, hub);
    try {
      const said = await check({ sides, hub, repository, commit: repository.refs.get("main") });
      print(`ok    ${version.padEnd(8)} ${name}${said ? ` (${said})` : ""}`);
    } catch (error) {
      numFailed += 1;
      print(`FAIL  ${version.padEnd(8)} ${name}\n${error.stack}`);
    }
    sides.remove();
    hub.close();
  }
}
process.exitCode = numFailed > 0 ? 1 : 0;
