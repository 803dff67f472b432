// Log-probabilities of given texts: what the model thinks of every token, given all before it. Runs in the calling
// thread, without an engine: nothing is generated.
import { logSumExp } from "../decoding/numeric.ts";
import { GptError } from "../errors.ts";
import type { Backend } from "../model/backend.ts";
import { loadModel } from "../model/load.ts";
import type { Precision } from "../model/weights.ts";
import { hasTokenizerFiles, loadTokenizer } from "../tokenizer/tokenizer-files.ts";

export interface Score {
  /** Entry i is ln P(token i+1 | tokens 0 … i); one less than there are tokens. */
  readonly logprobs: readonly number[];
  /** Logits after the last token, [V]. */
  readonly lastLogits: Float32Array;
}

/** @throws GptError `prompt_too_long`, `invalid_field` */
export function score(backend: Backend, tokenIds: readonly number[]): Score {
  const { contextLength, vocabSize, pagePositions, maxLogitRows } = backend.limits;
  if (tokenIds.length === 0) throw new GptError("invalid_field", "the text to score has no tokens");
  if (tokenIds.length > contextLength) {
    const message = `the text has ${tokenIds.length} tokens, and the model takes at most ${contextLength}`;
    throw new GptError("prompt_too_long", message);
  }
  const outside = tokenIds.find((id) => id >= vocabSize);
  if (outside !== undefined) {
    throw new GptError(
      "invalid_field",
      `token ${outside} is outside the vocabulary, which ends at ${vocabSize - 1}`,
    );
  }
  const pages = Array.from({ length: Math.ceil(tokenIds.length / pagePositions) }, (_, page) => page);
  const logprobs: number[] = [];
  let lastLogits = new Float32Array(0);
  for (let position = 0; position < tokenIds.length; position += maxLogitRows) {
    const chunk = tokenIds.slice(position, position + maxLogitRows);
    const rows = backend.forward({
      copies: [],
      chunks: [{ pages, position, tokenIds: chunk, logits: "all" }],
    });
    for (const [i, row] of rows.entries()) {
      const next = tokenIds[position + i + 1];
      if (next === undefined) lastLogits = row.slice();
      else logprobs.push((row[next] as number) - logSumExp(row));
    }
  }
  return { logprobs, lastLogits };
}

/** A model and its tokenizer, for scoring. */
export interface LoadedScorer {
  /** @throws GptError `invalid_field` when the checkpoint has no tokenizer. */
  encode(text: string): readonly number[];
  score(tokenIds: readonly number[]): Score;
  close(): Promise<void>;
}

/** @throws GptError `invalid_checkpoint`, `invalid_tokenizer` or `invalid_config` */
export async function loadScorer(
  directory: string,
  precision: Precision,
  threads: number,
): Promise<LoadedScorer> {
  const tokenizer = hasTokenizerFiles(directory) ? await loadTokenizer(directory) : undefined;
  const { backend } = loadModel(directory, { precision, kvCacheMb: 1, threads });
  return {
    encode: (text) => {
      if (tokenizer) return tokenizer.encode(text);
      throw new GptError("invalid_field", `text: ${directory} has no tokenizer files; send prompt_token_ids`);
    },
    score: (tokenIds) => score(backend, tokenIds),
    close: () => backend.close(),
  };
}
