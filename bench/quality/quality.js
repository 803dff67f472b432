// @ts-check
// Measures the loss through 8-bit arithmetic: perplexity, KL divergence, agreement and error of logits against f32, on a checkpoint and
// on copies with added outlier channels. `node bench/quality/quality.js [--model DIR] [--windows N] [--threads N]
// [--variant NAME]… [--json FILE] [--from dist] [TEXT…]`, after `npm run build`. With 0 threads it uses as many as the machine allows.
// It does not measure speed.
import { writeFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { HELD_OUT, spread, windowsOf } from "./windows.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string", default: "tiny" },
    windows: { type: "string" },
    threads: { type: "string", default: "0" },
    variant: { type: "string", multiple: true },
    json: { type: "string" },
    from: { type: "string", default: "dist" },
  },
});
/** @param {string} path */
const load = (path) => import(pathToFileURL(resolve(values.from, path)).href);
const { AgreementMeter } = await load("bench/quality/agreement.js");
const { PLANTINGS, plantOutliers } = await load("bench/quality/outliers.js");
const { Checkpoint } = await load("src/model/loading/checkpoint.js");
const { buildModel } = await load("src/model/loading/load-model.js");
const { resolveModelDirectory } = await load("src/generator/model-directory.js");
const { threadsFor } = await load("src/machine/cpus.js");
const { logitsOf } = await load("src/offline/score.js");
const { loadTokenizer } = await load("src/tokenizer/tokenizer-files.js");

/** The limits that int8 must meet to be the default, on variants that compute the checkpoint's own function in f32. */
const BARS = { perplexity: 0.0012, kl: 0.0005, top1: 0.98 };
const AS_IT_IS = "as it is";

/**
 * Compares both precisions of one model over all windows, position by position.
 * @param {object} source
 * @param {number[][]} windows
 */
async function compare(source, windows) {
  const options = { kvCacheMb: 1, threads: threadsFor(Number(values.threads)) };
  const { backend: reference } = buildModel(source, { ...options, precision: "f32" });
  const { backend: candidate } = buildModel(source, { ...options, precision: "int8" });
  const meter = new AgreementMeter();
  for (const window of windows) {
    const candidateRows = logitsOf(candidate, window);
    let position = 0;
    for (const row of logitsOf(reference, window)) {
      meter.add(row, candidateRows.next().value, window[++position]);
    }
  }
  await Promise.all([reference.close(), candidate.close()]);
  return meter.result();
}

/** @param {string[]} cells */
const print = (cells) => process.stdout.write(`| ${cells.join(" | ")} |\n`);
/** @param {number} share */
const percent = (share, digits = 2) => `${(100 * share).toFixed(digits)} %`;
/** @param {number} share */
const change = (share) => `${share < 0 ? "−" : "+"}${percent(Math.abs(share), 3)}`;

/** @param {string} text @param {string} variant */
async function measure(text, variant) {
  const windows = windowsOf(text, checkpoint.config.contextLength, tokenizer);
  const source = variant === AS_IT_IS ? checkpoint : plantOutliers(checkpoint, variant);
  const found = await compare(source, spread(windows, Number(values.windows ?? windows.length)));
  const perplexityChange = found.perplexity / found.referencePerplexity - 1;
  const isHeld = perplexityChange <= BARS.perplexity && found.kl <= BARS.kl && found.top1 >= BARS.top1;
  const verdict = variant === "residual" ? "none" : isHeld ? "held" : "missed";
  print([
    basename(text),
    variant,
    found.predicted.toLocaleString("en"),
    found.referencePerplexity.toFixed(3),
    found.perplexity.toFixed(3),
    change(perplexityChange),
    found.kl.toFixed(6),
    percent(found.top1),
    found.maxLogitError.toPrecision(3),
    verdict,
  ]);
  return { text: basename(text), variant, ...found, perplexityChange, bars: verdict };
}

const directory = resolveModelDirectory(values.model);
const checkpoint = Checkpoint.open(directory);
const tokenizer = await loadTokenizer(directory);
const columns = ["text", "weights", "predicted", "perplexity, f32", "int8", "change", "mean KL", "top-1"];
print([...columns, "max logit error", "bars"]);
print(Array(columns.length + 2).fill("---"));
print([
  "bar",
  "",
  "",
  "",
  "",
  `≤ +${percent(BARS.perplexity)}`,
  `≤ ${BARS.kl}`,
  `≥ ${percent(BARS.top1, 0)}`,
  "",
  "",
]);
const results = [];
for (const variant of values.variant ?? [AS_IT_IS, ...PLANTINGS]) {
  for (const text of positionals.length > 0 ? positionals : HELD_OUT) {
    results.push(await measure(text, variant));
  }
}
checkpoint.close();
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ model: values.model, bars: BARS, results }, null, 1)}\n`);
}
process.exitCode = results.some(({ bars }) => bars === "missed") ? 1 : 0;
