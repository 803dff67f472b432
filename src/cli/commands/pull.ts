// `gpt2-api pull`: fetches a model from a hub into the cache that Python's libraries share, and prints its path. If the
// model is there already, only files that are new or damaged are fetched.
import { GptError } from "../../errors.ts";
import { placeOf } from "../../generator/model-directory.ts";
import { hubEnvironment } from "../../hub/hub-environment.ts";
import { pull as pullModel } from "../../hub/obtain.ts";
import type { Repository } from "../../hub/repository.ts";
import { quote } from "../../wording.ts";
import type { Command } from "../command.ts";
import { DownloadReport } from "../download-report.ts";
import { parseFlags } from "../flags.ts";
import { printLine } from "../hub-models.ts";
import { EXIT } from "../report.ts";
import { signals } from "../signals.ts";

export const pull: Command = {
  summary: "Fetches a model from the hub into the cache that Python shares, and checks every byte.",
  operands: "NAME",
  examples: [
    ["GPT-2 itself", "gpt2-api pull gpt2"],
    ["Another model, at a commit, branch or tag", "gpt2-api pull owner/name@v1.0"],
  ],
  options: {
    quiet: {
      type: "boolean",
      help: "Shows no progress, only what will be fetched and what was. [HF_HUB_DISABLE_PROGRESS_BARS=1]",
    },
  },
  async run(argv) {
    const { values, operands } = parseFlags(argv, pull);
    const repository = repositoryFor(operands);
    const environment = hubEnvironment(process.env);
    const report = new DownloadReport({
      line: printLine,
      env: process.env,
      isQuiet: environment.isQuiet || values.quiet === true,
    });
    const { directory } = await signals
      .whileInterruptible((signal) => pullModel(repository, { environment, onEvent: report.onEvent, signal }))
      .finally(report.clear);
    process.stdout.write(`${directory}\n`);
    return EXIT.success;
  },
};

function repositoryFor([name, surplus]: readonly string[]): Repository {
  if (name === undefined || surplus !== undefined) {
    throw new GptError(
      "invalid_config",
      "One NAME must be given, such as gpt2 or owner/name, perhaps with @revision",
    );
  }
  const place = placeOf(name);
  if ("repository" in place) return place.repository;
  throw new GptError(
    "invalid_config",
    `${quote(name)} is on this machine already, at ${place.directory}; there is nothing to fetch`,
  );
}
