// A model in its thread, with packed weights kept on disk. Saving finishes before the engine ends, and a problem with an entry
// is reported outside the thread.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Worker } from "node:worker_threads";
import { temporaryDirectory, writeCheckpoint } from "../../test/support/checkpoints.ts";
import { someDecoding } from "../../test/support/inline-engine.ts";
import { deferred } from "../../test/support/sockets.ts";
import { usableCpus } from "../machine/cpus.ts";
import { MemoryBudget } from "../machine/memory-budget.ts";
import { loadGenerator } from "./load-generator.ts";
import { packageRoot } from "./model-directory.ts";

const temporary = temporaryDirectory();
after(() => temporary.remove());

const TINY = {
  model: join(packageRoot(), "models", "tiny"),
  name: "tiny",
  precision: "int8",
  kvCacheMb: 16,
  queueRequestsMax: 8,
} as const;
const MIB = 2 ** 20;

test("a model that has no room in memory is refused before its thread starts", async () => {
  const memory = new MemoryBudget({ bytes: 64 * MIB, file: "/memory.max" });
  await assert.rejects(loadGenerator({ ...TINY, memory }), {
    code: "invalid_config",
    message:
      /^tiny cannot run in the container's memory limit of 64 MiB \(\/memory\.max\): 1\d\d MiB are the least/,
  });
});

test("too many threads and too little memory for full load are told; a model that cannot be loaded is counted out", async () => {
  const memory = new MemoryBudget({ bytes: 192 * MIB, file: "/memory.max" });
  const broken = join(temporary.path, "broken");
  mkdirSync(broken);
  copyFileSync(join(TINY.model, "config.json"), join(broken, "config.json"));
  await assert.rejects(loadGenerator({ ...TINY, model: broken, memory }), { code: "invalid_checkpoint" });
  const problems: string[] = [];
  const onProblem = (message: string): void => void problems.push(message);
  const threads = usableCpus().threads + 1;
  const generator = await loadGenerator({ ...TINY, memory, threads, onProblem });
  await generator.close();
  assert.match(problems[0] ?? "", /^--threads \d+ is more than/);
  assert.match(problems[1] ?? "", /^tiny may need 2\d\d MiB under load/);
  assert.equal(problems.length, 2);
});

test("an engine is not restarted on files that are not those of its tokenizer", async () => {
  const model = writeCheckpoint(join(temporary.path, "changing"), { seed: 3 });
  const workers: Worker[] = [];
  const remember = (worker: Worker): void => void workers.push(worker);
  process.on("worker", remember);
  const deaths: string[] = [];
  const { promise: ended, release } = deferred();
  const generator = await loadGenerator({
    ...TINY,
    model,
    name: "changing",
    threads: 1,
    onDeath: ({ message }, isFatal) => {
      deaths.push(message);
      if (isFatal) release();
    },
  });
  writeCheckpoint(model, { seed: 4 });
  await workers[0]?.terminate();
  await ended;
  process.off("worker", remember);
  assert.equal(deaths.length, 2);
  assert.match(deaths[1] ?? "", /changing: its files are not those that were loaded first$/);
  await generator.close();
});

test("packed weights outlive the engine, and damage to them is told", async () => {
  const directory = join(temporary.path, "weights");
  const problems: string[] = [];
  const answer = async (): Promise<readonly (readonly number[])[]> => {
    const generator = await loadGenerator({
      ...TINY,
      weightCache: { directory, maxBytes: 2 ** 30 },
      onProblem: (message) => problems.push(message),
    });
    const request = { promptTokenIds: [464, 1468, 582], decoding: someDecoding({ maxLength: 12 }) };
    const { sequences } = await generator.generate(request);
    await generator.close();
    return sequences.map(({ tokenIds }) => tokenIds);
  };
  const first = await answer();
  const [name = "", ...others] = readdirSync(directory);
  assert.deepEqual([/^[0-9a-f]{64}\.weights$/.test(name), others], [true, []]);
  assert.deepEqual(await answer(), first);
  assert.deepEqual(problems, []);
  truncateSync(join(directory, name), 99);
  assert.deepEqual(await answer(), first);
  assert.equal(problems.length, 1);
  assert.match(
    problems.join(),
    /\.weights: these quantised weights cannot be used and are made again \(it is 99/,
  );
});
