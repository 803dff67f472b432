// `gpt2-api models`: lists the GPT-2 models in the hub's cache on this machine.
import { hubEnvironment } from "../../hub/hub-environment.ts";
import { megabytes } from "../../hub/hub-event.ts";
import { type CachedModel, cachedModels } from "../../hub/inventory.ts";
import type { Command } from "../command.ts";
import { parseFlags } from "../flags.ts";
import { printLine } from "../hub-models.ts";
import { EXIT } from "../report.ts";

export const models: Command = {
  summary: "Lists the GPT-2 models in the hub's cache on this machine.",
  examples: [
    ["What is there, and whether it is complete", "gpt2-api models"],
    ["For a script, one JSON object a line", "gpt2-api models --json"],
  ],
  options: { json: { type: "boolean", help: "Prints one JSON object a line instead of a table." } },
  async run(argv) {
    const { values } = parseFlags(argv, models);
    const { cache } = hubEnvironment(process.env);
    const found = await cachedModels(cache);
    if (values.json) for (const model of found) process.stdout.write(`${jsonOf(model)}\n`);
    else if (found.length > 0) process.stdout.write(table(found));
    else printLine(`There are no GPT-2 models in ${cache}; gpt2-api pull gpt2 fetches one.`);
    return EXIT.success;
  },
};

function jsonOf({ id, commit, refs, bytes, state, lacking, weights, directory }: CachedModel): string {
  return JSON.stringify({ id, commit, refs, bytes, state, lacking, weights: weights ?? null, directory });
}

const HEAD = ["NAME", "COMMIT", "REFS", "SIZE", "WEIGHTS", "STATE"];
/** Missing files that are named. Further ones are only counted. */
const LACKING_MAX = 3;

function table(found: readonly CachedModel[]): string {
  const rows = [HEAD, ...found.map(row)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const lines = rows.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

function row({ id, commit, refs, bytes, weights, state, lacking }: CachedModel): string[] {
  const more = lacking.length > LACKING_MAX ? ` and ${lacking.length - LACKING_MAX} more` : "";
  const what = `${lacking.slice(0, LACKING_MAX).join(", ")}${more}`;
  const says = {
    complete: "complete",
    usable: `can be loaded; nothing is known of ${what}`,
    incomplete: `lacks ${what}`,
  }[state];
  return [id, commit.slice(0, 8), refs.join(", ") || "none", megabytes(bytes), weights ?? "none", says];
}
