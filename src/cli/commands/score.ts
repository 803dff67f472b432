// `gpt2-api score`: the log-probability that the model gives to each token of given texts, and the texts' perplexity.
import { GptError } from "../../errors.ts";
import { threadsFor } from "../../machine/cpus.ts";
import { type LoadedScorer, loadScorer } from "../../offline/score.ts";
import { describeValue, jsonLine } from "../../wording.ts";
import type { Command } from "../command.ts";
import { CONFIG_OPTION, settingsOf } from "../config-file.ts";
import { parseFlags, settingOptions } from "../flags.ts";
import { findModelOf } from "../hub-models.ts";
import { errorLine, parseLine, readLines } from "../json-lines.ts";
import { EXIT, warn } from "../report.ts";
import { loadingText, Progress } from "../terminal.ts";

export const score: Command = {
  summary: "Computes the log-probability of every token of given texts, and their perplexity.",
  examples: [
    ["Perplexity of texts, one a line", "gpt2-api score --requests texts.jsonl > scores.jsonl"],
    [
      "Of texts longer than the model's context, with transformers' numbers",
      "gpt2-api score --precision f32 --stride 512 --requests texts.jsonl",
    ],
  ],
  options: {
    ...settingOptions(["model", "offline", "precision", "threads", "bodyBytesMax"]),
    ...CONFIG_OPTION,
    requests: {
      type: "string",
      value: "FILE.jsonl",
      help: 'One text a line, {"text": "…"} or {"prompt_token_ids": [1, 2, 3]}. - reads standard input.',
    },
    stride: {
      type: "string",
      value: "N",
      help:
        "Scores texts of any length, in windows as long as the model's context that begin N tokens apart: " +
        "the smaller N, the more text before every token, and the more work. From 1 to the context's length.",
    },
    logits: { type: "boolean", help: "Adds the logits after the last token." },
  },
  async run(argv) {
    const { values } = parseFlags(argv, score);
    if (typeof values.requests !== "string") {
      throw new GptError("invalid_config", "--requests FILE.jsonl is missing: the texts to score");
    }
    const resolved = settingsOf(values, process.env);
    const { model, precision, threads, bodyBytesMax } = resolved.settings;
    const { directory } = await findModelOf(resolved, process.env);
    const progress = new Progress();
    const scorer = await loadScorer(directory, {
      precision,
      threads: threadsFor(threads, warn),
      onProblem: warn,
      onLoading: (part) => progress.show(loadingText(model, part)),
    }).finally(progress.clear);
    try {
      const stride = strideOf(values.stride, scorer.contextLength);
      return await scoreFile(scorer, values.requests, {
        stride,
        bodyBytesMax,
        withLogits: values.logits === true,
      });
    } finally {
      await scorer.close();
    }
  },
};

function strideOf(text: unknown, contextLength: number): number | undefined {
  if (text === undefined) return undefined;
  const stride = typeof text === "string" && /^\d+$/.test(text) ? Number(text) : 0;
  if (stride >= 1 && stride <= contextLength) return stride;
  throw new GptError(
    "invalid_config",
    `--stride must be an integer from 1 to ${contextLength}, the model's context, got ${describeValue(text)}`,
  );
}

interface ScoreOptions {
  readonly stride: number | undefined;
  readonly withLogits: boolean;
  /** Longest line of the input, in bytes. */
  readonly bodyBytesMax: number;
}

async function scoreFile(
  scorer: LoadedScorer,
  path: string,
  { stride, withLogits, bodyBytesMax }: ScoreOptions,
): Promise<number> {
  let [numTokens, numScored, sum, failed] = [0, 0, 0, false];
  const progress = new Progress();
  for await (const request of readLines(path, bodyBytesMax)) {
    try {
      const tokenIds = tokensOf(scorer, parseLine(request, bodyBytesMax));
      const { logprobs, lastLogits } = scorer.score(tokenIds, stride);
      const logits = withLogits ? { logits: [...lastLogits] } : {};
      progress.clear();
      process.stdout.write(jsonLine({ token_ids: tokenIds, logprobs, ...logits }));
      numTokens += tokenIds.length;
      const scored = logprobs.filter((p) => p !== null);
      numScored += scored.length;
      sum += scored.reduce((total, p) => total + p, 0);
    } catch (error) {
      failed = true;
      progress.clear();
      process.stdout.write(errorLine(request, error));
    }
    progress.show(`${request.number} lines are scored …`);
  }
  progress.clear();
  const perplexity = numScored > 0 ? Math.exp(-sum / numScored).toFixed(4) : "undefined";
  process.stderr.write(`tokens ${numTokens}, scored ${numScored}, perplexity ${perplexity}\n`);
  return failed ? EXIT.failure : EXIT.success;
}

function tokensOf(scorer: LoadedScorer, fields: Readonly<Record<string, unknown>>): readonly number[] {
  const { text, prompt_token_ids: tokenIds, ...unknown } = fields;
  const [surplus] = Object.keys(unknown);
  if (surplus !== undefined) {
    throw new GptError(
      "unknown_field",
      `The field "${surplus}" is unknown; known are text and prompt_token_ids`,
    );
  }
  if ((text === undefined) === (tokenIds === undefined)) {
    throw new GptError("invalid_field", "Either text or prompt_token_ids must be sent, and not both");
  }
  if (tokenIds === undefined) {
    if (typeof text !== "string")
      throw new GptError("invalid_field", `text must be a string, got ${describeValue(text)}`);
    return scorer.encode(text);
  }
  const isTokenId = (id: unknown): boolean => Number.isSafeInteger(id) && (id as number) >= 0;
  if (!Array.isArray(tokenIds) || !tokenIds.every(isTokenId)) {
    throw new GptError("invalid_field", "prompt_token_ids must be a list of integers of at least 0");
  }
  return tokenIds;
}
