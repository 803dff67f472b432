// A model in its thread, with packed weights kept on disk: saving is finished before the engine ends, and what is wrong
// with an entry is heard of outside the thread.
import assert from "node:assert/strict";
import { readdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { temporaryDirectory } from "../../test/support/checkpoints.ts";
import { someDecoding } from "../../test/support/inline-engine.ts";
import { loadGenerator } from "./load-generator.ts";
import { packageRoot } from "./model-directory.ts";

const temporary = temporaryDirectory();
after(() => temporary.remove());

test("packed weights outlive the engine, and damage to them is told", async () => {
  const directory = join(temporary.path, "weights");
  const problems: string[] = [];
  const answer = async (): Promise<readonly (readonly number[])[]> => {
    const generator = await loadGenerator({
      ...{
        model: join(packageRoot(), "models", "tiny"),
        name: "tiny",
        precision: "int8",
        kvCacheMb: 16,
        threads: 2,
      },
      ...{ queueRequestsMax: 8, weightCache: { directory, maxBytes: 2 ** 30 } },
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
