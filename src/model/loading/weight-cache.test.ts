// The cache of packed weights: a hit gives the same bits as a miss, and so does every problem with an entry or with the disk.
import assert from "node:assert/strict";
import {
  chmodSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryDirectory, writeCheckpoint } from "../../../test/support/checkpoints.ts";
import { score } from "../../offline/score.ts";
import { parseGpt2Config } from "../gpt2-config.ts";
import { Checkpoint } from "./checkpoint.ts";
import { identityOf } from "./identity.ts";
import { buildModel } from "./load-model.ts";
import { WEIGHT_FORMAT } from "./load-weights.ts";
import { PytorchFile } from "./pytorch/pytorch-file.ts";
import { SafetensorsFile } from "./safetensors.ts";
import type { TensorSource } from "./tensor-source.ts";
import { WeightCache } from "./weight-cache.ts";

const temporary = temporaryDirectory();
after(() => temporary.remove());
let count = 0;
const fresh = (): string => join(temporary.path, String(count++));

const checkpoint = Checkpoint.open(writeCheckpoint(fresh(), { seed: 3, C: 48, V: 70 }));
after(() => checkpoint.close());
const MIB = 2 ** 20;

interface Loaded {
  readonly logits: number[];
  readonly tensorsRead: number;
  readonly problems: string[];
}

/** One start of a model: loads it, computes an answer, and stores the weights if they should be. */
async function start(
  directory: string,
  { identities = ["a"], maxBytes = MIB }: { identities?: string[]; maxBytes?: number } = {},
): Promise<Loaded> {
  const problems: string[] = [];
  const asked = [...identities];
  let tensorsRead = 0;
  const source: TensorSource = {
    config: checkpoint.config,
    tensor(name, shape) {
      tensorsRead += 1;
      return checkpoint.tensor(name, shape);
    },
    identity: () => (asked.length > 1 ? asked.shift() : asked[0]),
  };
  const { backend, saveWeights } = buildModel(source, {
    precision: "int8",
    kvCacheMb: 1,
    threads: 1,
    weightCache: { directory, maxBytes },
    onProblem: (message) => problems.push(message),
  });
  await saveWeights?.();
  const logits = [...score(backend, [1, 2, 3, 4, 5]).lastLogits];
  await backend.close();
  return { logits, tensorsRead, problems };
}

const plain = await start(fresh(), { maxBytes: 0 });

function only(directory: string): string {
  const [name = "", ...others] = readdirSync(directory);
  assert.ok(name.endsWith(".weights") && others.length === 0, `${name} ${others}`);
  return join(directory, name);
}

describe("packed weights on disk", () => {
  it("the second start reads no tensor and gives the same bits", async () => {
    const directory = fresh();
    const first = await start(directory);
    const second = await start(directory);
    assert.deepEqual([first.logits, second.logits], [plain.logits, plain.logits]);
    assert.ok(first.tensorsRead > 0);
    assert.deepEqual([second.tensorsRead, second.problems], [0, []]);
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    assert.equal(statSync(only(directory)).mode & 0o777, 0o600);
  });

  it("another identity is another entry, and what changed while it was read is not kept", async () => {
    const directory = fresh();
    await start(directory);
    assert.ok((await start(directory, { identities: ["b"] })).tensorsRead > 0);
    assert.equal(readdirSync(directory).length, 2);
    await start(directory, { identities: ["c", "d"] });
    assert.equal(readdirSync(directory).length, 2);
  });

  const damages: [string, RegExp, (file: string) => void][] = [
    ["one bit of the weights", /its checksum is wrong/, (file) => flip(file, 4096 + 1234)],
    ["the last byte", /its checksum is wrong/, (file) => flip(file, statSync(file).size - 1)],
    ["the header", /its header is damaged/, (file) => flip(file, 2)],
    ["its end", /it is \d+ bytes long, expected \d+/, (file) => truncateSync(file, 5000)],
    ["all of it", /it is 0 bytes long, expected \d+/, (file) => truncateSync(file, 0)],
    ["its mode", /somebody else may have written it/, (file) => chmodSync(file, 0o666)],
    ["its mode, for the group", /somebody else may have written it/, (file) => chmodSync(file, 0o620)],
    ["its mode, for others", /somebody else may have written it/, (file) => chmodSync(file, 0o602)],
  ];
  for (const [what, message, damage] of damages) {
    it(`damage to ${what} is noticed, reported and repaired`, async () => {
      const directory = fresh();
      await start(directory);
      const file = only(directory);
      damage(file);
      const { logits, tensorsRead, problems } = await start(directory);
      assert.ok(tensorsRead > 0);
      assert.deepEqual(logits, plain.logits);
      assert.equal(problems.length, 1);
      assert.match(problems[0] as string, message);
      assert.ok(problems[0]?.startsWith(`${file}: `), problems[0]);
      const third = await start(directory);
      assert.deepEqual([third.logits, third.tensorsRead, third.problems], [plain.logits, 0, []]);
    });
  }

  it("a folder that cannot be written, or is too small, is reported and harmless", async () => {
    const file = fresh();
    writeFileSync(file, "");
    for (const directory of [file, join(file, "below")]) {
      const { logits, problems } = await start(directory);
      assert.deepEqual(logits, plain.logits);
      assert.match(problems.at(-1) as string, /the quantised weights are not kept; .*\(/);
    }
    assert.match(plain.problems[0] as string, /they take 1 MiB, and --weight-cache-mb allows 0 MiB/);
  });
});

describe("the cache is bounded", () => {
  const BYTES = 1000;
  const ENTRY_BYTES = 4096 + BYTES;
  const checksum = (bytes: Uint8Array) => (): string => String(bytes.reduce((sum, byte) => sum + byte, 0));

  it("what was used longest ago is deleted first, and what nobody will finish", async () => {
    const directory = fresh();
    const cache = new WeightCache({ directory, maxBytes: 2 * ENTRY_BYTES }, assert.fail);
    const weights = new Uint8Array(BYTES).fill(1);
    const entry = (key: string) => ({ key, bytes: BYTES });
    const read = (key: string): boolean => {
      const into = new Uint8Array(BYTES);
      return cache.read(entry(key), into, checksum(into));
    };
    const write = (key: string) => cache.write(entry(key), weights, checksum(weights)());
    await write("a");
    await write("b");
    for (const name of readdirSync(directory)) utimesSync(join(directory, name), 1, 1);
    assert.ok(read("a"));
    const [abandoned, young] = ["x.weights.1.unfinished", "y.weights.2.unfinished"];
    for (const name of [abandoned, young]) writeFileSync(join(directory, name), "");
    utimesSync(join(directory, abandoned), 1, 1);
    await write("c");
    assert.deepEqual([read("a"), read("b"), read("c")], [true, false, true]);
    const unfinished = readdirSync(directory).filter((name) => name.endsWith("unfinished"));
    assert.deepEqual(unfinished, [young]);
  });
});

describe("what a checkpoint is known by", () => {
  for (const [format, name, open] of [
    ["safetensors", "model.safetensors", SafetensorsFile.open],
    ["legacy", "pytorch_model.bin", PytorchFile.open],
  ] as const) {
    it(`${name} changes when its contents do, though size and times are set back; not when it is only read`, () => {
      const file = join(writeCheckpoint(fresh(), { seed: 1, format }), name);
      const config = parseGpt2Config({}, "config.json");
      const later = Date.now() + 10_000;
      const identity = (now = later): string | undefined => {
        const opened = open(file);
        const found = identityOf([opened], config, now);
        opened.close();
        return found;
      };
      utimesSync(file, 1000, 1000);
      const before = identity();
      const { ctimeMs } = statSync(file);
      const bytes = readFileSync(file);
      assert.notEqual(before, undefined);
      assert.equal(identity(), before);
      assert.equal(identity(ctimeMs + 50), undefined, "it changed a moment ago");
      // The clock of the file system ticks every few milliseconds.
      while (statSync(file).ctimeMs === ctimeMs) {
        writeFileSync(file, bytes.fill(7, bytes.length - 4));
        utimesSync(file, 1000, 1000);
      }
      const { size, mtimeMs } = statSync(file);
      assert.deepEqual([size, mtimeMs], [bytes.length, 1_000_000]);
      assert.notEqual(identity(), before);
    });
  }
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(file, bytes);
}

it("the packed form belongs to its version: when it changes, WEIGHT_FORMAT must too", async () => {
  const directory = fresh();
  await start(directory);
  const found = /"checksum":"(\w{12})/.exec(readFileSync(only(directory), "latin1"))?.[1];
  assert.deepEqual([WEIGHT_FORMAT, found], [4, "2bf150d740cd"]);
});

describe("what is kept in a cache of weights", () => {
  const bytes = 1000;
  const WHOLE_BYTES = 4096 + bytes;
  const content = new Uint8Array(bytes).fill(7);
  const problems: string[] = [];
  const cacheOf = (directory: string, maxBytes: number) =>
    new WeightCache({ directory, maxBytes }, (message) => problems.push(message));
  const keep = (cache: WeightCache, key: string) => cache.write({ key, bytes }, content, "sum");
  const isKept = (cache: WeightCache, key: string): boolean =>
    cache.read({ key, bytes }, new Uint8Array(bytes), () => "sum");

  it("leaves nothing behind of an entry that is wrong", async () => {
    const cache = cacheOf(fresh(), WHOLE_BYTES);
    await keep(cache, "a");
    const into = new Uint8Array(bytes);
    assert.equal(
      cache.read({ key: "a", bytes }, into, () => "another sum"),
      false,
    );
    assert.ok(into.every((byte) => byte === 0));
  });

  it("is what was used last, and not what another start is writing", async () => {
    const directory = fresh();
    const cache = cacheOf(directory, 2 * WHOLE_BYTES);
    await keep(cache, "a");
    const a = only(directory);
    utimesSync(a, 1000, 1000);
    await keep(cache, "b");
    await keep(cache, "b"); // It replaces itself, and evicts no other entry.
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      if (path !== a) utimesSync(path, 2000, 2000);
    }
    assert.ok(isKept(cache, "a"));
    await keep(cache, "c");
    assert.deepEqual(
      ["a", "b", "c"].map((key) => isKept(cache, key)),
      [true, false, true],
    );
    const foreign = join(directory, "other.weights.1.unfinished");
    writeFileSync(foreign, new Uint8Array(2 * WHOLE_BYTES));
    await keep(cache, "d");
    assert.equal(statSync(foreign).size, 2 * WHOLE_BYTES);
    assert.deepEqual(
      problems.filter((text) => /not kept/.test(text)),
      [],
    );
  });
});
