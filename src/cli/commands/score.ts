// `gpt2-api score`: what the model thinks of given texts, token by token, and their perplexity.
import { GptError } from "../../errors.ts";
import { resolveModelDirectory } from "../../generator/model-directory.ts";
import { threadsFor } from "../../machine/cpus.ts";
import { type LoadedScorer, loadScorer } from "../../offline/score.ts";
import { parseJsonBody } from "../../request/params.ts";
import { resolveSettings } from "../../settings.ts";
import { describeValue } from "../../wording.ts";
import type { Command } from "../command.ts";
import { parseFlags, settingOptions } from "../flags.ts";
import { errorLine, readLines } from "../json-lines.ts";
import { warn } from "../report.ts";

export const score: Command = {
  summary: "Gives the log-probability of every token of given texts, and the perplexity of all.",
  options: {
    ...settingOptions(["model", "precision", "threads"]),
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
    const { model, precision, threads } = resolveSettings({ flags: values, env: process.env });
    const scorer = await loadScorer(resolveModelDirectory(model), {
      precision,
      threads: threadsFor(threads, warn),
      onProblem: warn,
    });
    try {
      const stride = strideOf(values.stride, scorer.contextLength);
      return await scoreFile(scorer, values.requests, { stride, withLogits: values.logits === true });
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
}

async function scoreFile(
  scorer: LoadedScorer,
  path: string,
  { stride, withLogits }: ScoreOptions,
): Promise<number> {
  let [numTokens, numScored, sum, failed] = [0, 0, 0, false];
  for await (const request of readLines(path)) {
    try {
      const tokenIds = tokensOf(scorer, parseJsonBody(new TextEncoder().encode(request.text)));
      const { logprobs, lastLogits } = scorer.score(tokenIds, stride);
      const logits = withLogits ? { logits: [...lastLogits] } : {};
      process.stdout.write(`${JSON.stringify({ token_ids: tokenIds, logprobs, ...logits })}\n`);
      numTokens += tokenIds.length;
      const scored = logprobs.filter((p) => p !== null);
      numScored += scored.length;
      sum += scored.reduce((total, p) => total + p, 0);
    } catch (error) {
      failed = true;
      process.stdout.write(`${JSON.stringify(errorLine(request, error))}\n`);
    }
  }
  const perplexity = numScored > 0 ? Math.exp(-sum / numScored).toFixed(4) : "undefined";
  process.stderr.write(`tokens ${numTokens}, scored ${numScored}, perplexity ${perplexity}\n`);
  return failed ? 1 : 0;
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
