// `gpt2-api verify`: checks that a checkpoint, run by this software, gives the outputs that others published for it. It
// prints one line for each output.
import { threadsFor } from "../../machine/cpus.ts";
import { type GoldenOutput, goldenSetFor } from "../../offline/golden-outputs.ts";
import { type LoadedForVerification, loadForVerification } from "../../offline/load-and-verify.ts";
import { verifyOutput } from "../../offline/verify.ts";
import type { Command } from "../command.ts";
import { CONFIG_OPTION, settingsOf } from "../config-file.ts";
import { parseFlags, settingOptions } from "../flags.ts";
import { findModelOf } from "../hub-models.ts";
import { warn } from "../report.ts";
import { loadingText, Progress } from "../terminal.ts";

export const verify: Command = {
  summary:
    "Compares a checkpoint with outputs that others published for it: texts, token ids, log-probabilities.",
  examples: [["Is this the checkpoint that others know?", "gpt2-api verify --model gpt2"]],
  options: { ...settingOptions(["model", "offline", "threads"]), ...CONFIG_OPTION },
  async run(argv) {
    const { values } = parseFlags(argv, verify);
    const resolved = settingsOf(values, process.env);
    const { model, threads } = resolved.settings;
    const { directory } = await findModelOf(resolved, process.env);
    const progress = new Progress();
    const loaded = await loadForVerification(directory, {
      threads: threadsFor(threads, warn),
      onProblem: warn,
      onLoading: (part) => progress.show(loadingText(model, part)),
    }).finally(progress.clear);
    try {
      return verifyAll(loaded);
    } finally {
      await loaded.close();
    }
  },
};

function verifyAll(loaded: LoadedForVerification): number {
  const { shape } = loaded;
  const set = goldenSetFor(shape);
  if (set === undefined) {
    const { nLayer, nHead, nEmbd, vocabSize } = shape;
    print(
      `There are no public figures for this checkpoint (${nLayer} layers, ${nHead} heads, width ${nEmbd}, ${vocabSize} tokens).`,
    );
    return 0;
  }
  print(`The checkpoint has the shape of ${set.name}. A fine-tuned model of that shape has other outputs.\n`);
  let numDiffering = 0;
  for (const golden of set.outputs) {
    const differences = verifyOutput(loaded, golden);
    if (differences.length > 0) numDiffering += 1;
    print(row(golden, differences.length === 0));
    for (const difference of differences) print(`        ${difference}`);
  }
  print(`\n${set.outputs.length - numDiffering} of ${set.outputs.length} outputs are the published ones.`);
  return numDiffering > 0 ? 1 : 0;
}

const PROMPT_WIDTH = 34;

function row(golden: GoldenOutput, agrees: boolean): string {
  const { numBeams = 1, noRepeatNgramSize = 0 } = golden;
  const search = numBeams > 1 ? `beam ${numBeams}` : "greedy";
  const ban = noRepeatNgramSize > 0 ? `, n-gram ${noRepeatNgramSize}` : "";
  const text = JSON.stringify(golden.prompt);
  const prompt = text.length > PROMPT_WIDTH ? `${text.slice(0, PROMPT_WIDTH - 2)}…"` : text;
  return [
    agrees ? "same   " : "DIFFERS",
    prompt.padEnd(PROMPT_WIDTH),
    `${search}${ban}`.padEnd(17),
    golden.source,
  ].join(" ");
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
