// transformers.js on onnxruntime-node: `transformers-js-jobs.js INSTALLED_IN MODELS NAME THREADS DTYPE`. Its `generate`
// knows neither top_p nor several sequences of one prompt, so the prompt is given as often as sequences are wanted.
// @ts-check
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { answerJobs } from "../jobs.js";

const [installedIn = "", models, name, threads, dtype] = process.argv.slice(2);
const require = createRequire(`${installedIn}/package.json`);
const { AutoModelForCausalLM, env, Tensor } = await import(
  pathToFileURL(require.resolve("@huggingface/transformers")).href
);
env.allowRemoteModels = false;
env.localModelPath = models;
const model = await AutoModelForCausalLM.from_pretrained(name, {
  dtype,
  device: "cpu",
  session_options: { intraOpNumThreads: Number(threads) },
});

/** @param {number[][]} rows */
const tensor = (rows) =>
  new Tensor("int64", BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);

await answerJobs(`transformers.js ${env.version}`, async ({ prompts, newTokens, sample }) => {
  const rows = prompts.flatMap((prompt) => Array.from({ length: sample?.n ?? 1 }, () => prompt));
  const answer = await model.generate({
    inputs: tensor(rows),
    attention_mask: tensor(rows.map((row) => row.map(() => 1))),
    max_new_tokens: newTokens,
    do_sample: sample !== null,
    ...(sample && { top_k: sample.topK }),
  });
  return answer.dims[0] * (answer.dims[1] - (rows[0]?.length ?? 0));
});
