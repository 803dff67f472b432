// This software as a library, engine thread and all: `gpt2-api-jobs.js DIRECTORY THREADS PRECISION`.
// @ts-check
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { loadGenerator } from "../../../dist/src/generator/load-generator.js";
import { answerJobs } from "../jobs.js";

const [directory = "", threads, precision] = process.argv.slice(2);
const root = new URL("../../../", import.meta.url);
const generator = await loadGenerator({
  model: directory,
  name: "gpt2",
  threads: Number(threads),
  kvCacheMb: 512,
  queueRequestsMax: 64,
  precision: /** @type {import("../../../dist/src/model/weights.js").Precision} */ (precision),
});

function commit() {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
  } catch {
    return "no commit"; // An unpacked archive.
  }
}

const { version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
await answerJobs(`gpt2-api ${version} (${commit()}), Node ${process.version}`, async (job) => {
  const { prompts, newTokens, sample } = job;
  /** @type {import("../../../dist/src/decoding/decoding-params.js").Search} */
  const search = sample
    ? { kind: "sample", temperature: 1, topK: sample.topK, topP: sample.topP }
    : { kind: "greedy" };
  const decoding = {
    maxLength: 1024,
    numReturnSequences: sample?.n ?? 1,
    seed: 1,
    noRepeatNgramSize: 0,
    search,
  };
  const generations = await Promise.all(
    prompts.map((promptTokenIds) =>
      generator.generate({ promptTokenIds, maxNewTokens: newTokens, decoding }),
    ),
  );
  return generations.reduce((sum, { generatedTokens }) => sum + generatedTokens, 0);
});
await generator.close();
