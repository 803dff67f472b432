// `gpt2-api score`: what the model thinks of given texts, token by token, and their perplexity.
import { availableParallelism } from "node:os";
import { resolveConfig } from "../config.ts";
import { GptError } from "../errors.ts";
import { parseJsonBody } from "../params.ts";
import { shown } from "../schema.ts";
import { resolveModelDirectory } from "../service/model-directory.ts";
import { type LoadedScorer, loadScorer } from "../service/score.ts";
import type { Command } from "./command.ts";
import { parseFlags, settingOptions } from "./flags.ts";
import { errorLine, readLines } from "./json-lines.ts";

export const score: Command = {
  summary: "Gives the log-probability of every token of given texts, and the perplexity of all.",
  options: {
    ...settingOptions(["model", "precision"]),
    requests: {
      type: "string",
      value: "FILE.jsonl",
      help: 'One text a line, {"text": "…"} or {"prompt_token_ids": [1, 2, 3]}. - reads standard input.',
    },
    logits: { type: "boolean", help: "Adds the logits after the last token." },
  },
  async run(argv) {
    const { values } = parseFlags(argv, score);
    if (typeof values.requests !== "string") {
      throw new GptError("invalid_config", "--requests FILE.jsonl is missing: the texts to score");
    }
    const { model, precision } = resolveConfig({ flags: values, env: process.env });
    const scorer = await loadScorer(resolveModelDirectory(model), precision, availableParallelism());
    try {
      return await scoreFile(scorer, values.requests, values.logits === true);
    } finally {
      await scorer.close();
    }
  },
};

async function scoreFile(scorer: LoadedScorer, path: string, withLogits: boolean): Promise<number> {
  let [numTokens, numScored, sum, failed] = [0, 0, 0, false];
  for await (const request of readLines(path)) {
    try {
      const tokenIds = tokensOf(scorer, parseJsonBody(new TextEncoder().encode(request.text)));
      const { logprobs, lastLogits } = scorer.score(tokenIds);
      const logits = withLogits ? { logits: [...lastLogits] } : {};
      process.stdout.write(`${JSON.stringify({ token_ids: tokenIds, logprobs, ...logits })}\n`);
      numTokens += tokenIds.length;
      numScored += logprobs.length;
      sum += logprobs.reduce((total, p) => total + p, 0);
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
      throw new GptError("invalid_field", `text must be a string, got ${shown(text)}`);
    return scorer.encode(text);
  }
  const isTokenId = (id: unknown): boolean => Number.isSafeInteger(id) && (id as number) >= 0;
  if (!Array.isArray(tokenIds) || !tokenIds.every(isTokenId)) {
    throw new GptError("invalid_field", "prompt_token_ids must be a list of integers of at least 0");
  }
  return tokenIds;
}
