// `gpt2-api rm`: asks, and then removes a model from the hub's cache on this machine.
import { createInterface } from "node:readline/promises";
import { GptError } from "../../errors.ts";
import { hubEnvironment } from "../../hub/hub-environment.ts";
import { megabytes } from "../../hub/hub-event.ts";
import { planRemoval, type Removal, remove } from "../../hub/removal.ts";
import { parseRepository } from "../../hub/repository.ts";
import type { Command } from "../command.ts";
import { parseFlags } from "../flags.ts";
import { printLine } from "../hub-models.ts";
import { EXIT } from "../report.ts";

export const rm: Command = {
  summary: "Removes a model from the hub's cache on this machine.",
  operands: "NAME",
  examples: [
    ["A model with all its versions, after asking", "gpt2-api rm gpt2"],
    [
      "One version, by branch, tag or the first digits of its commit",
      "gpt2-api rm owner/name@607a30d7 --yes",
    ],
  ],
  options: { yes: { type: "boolean", help: "Removes without asking; needed where no terminal can answer." } },
  async run(argv) {
    const { values, operands } = parseFlags(argv, rm);
    const [name, surplus] = operands;
    if (name === undefined || surplus !== undefined) {
      throw new GptError("invalid_config", "One NAME must be given, as gpt2-api models lists them");
    }
    const repository = parseRepository(name);
    const { cache } = hubEnvironment(process.env);
    const isWhole = !/@|\/tree\//.test(name);
    const plan = await planRemoval(cache, repository, isWhole ? undefined : repository.revision);
    if (plan === undefined) {
      printLine(`There is no ${name} in ${cache}; gpt2-api models lists what there is.`);
      return EXIT.failure;
    }
    const what = inWords(plan);
    if (!values.yes && !(await isAgreed(`Remove ${what}?`))) return EXIT.failure;
    await remove(plan, Date.now());
    printLine(`Removed ${what}.`);
    for (const line of result(plan)) printLine(line);
    return EXIT.success;
  },
};

function inWords({ cached, commits, freedBytes }: Removal): string {
  const states = commits?.map((commit) => commit.slice(0, 8)).join(", ");
  return `${cached.id}${states === undefined ? "" : ` at ${states}`}, ${megabytes(freedBytes)}`;
}

/** @throws GptError `invalid_config` where no terminal can answer */
async function isAgreed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new GptError("invalid_config", `${question} No terminal can answer; add --yes`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

function result({ freedBytes, sharedBytes }: Removal): string[] {
  if (sharedBytes === 0) return [];
  return [
    `Freed ${megabytes(freedBytes)}; ${megabytes(sharedBytes)} are in the store that Python shares between models: ` +
      "hf cache prune frees them.",
  ];
}
