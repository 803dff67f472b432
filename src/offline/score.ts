// Log-probabilities of given texts: for every token, its probability after all tokens before it. It runs in the calling
// thread without an engine, because nothing is generated.
import { GptError } from "../errors.ts";
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { Backend } from "../model/backend.ts";
import { loadModel, type ModelOptions } from "../model/loading/load-model.ts";
import { hasTokenizerFiles, loadTokenizer } from "../tokenizer/tokenizer-files.ts";

export interface Score {
  /** Entry i is ln P(token i+1 | tokens 0 … i). There is one entry less than tokens. */
  readonly logprobs: readonly number[];
  /** Logits after the last token, [V]. */
  readonly lastLogits: Float32Array;
}

/**
 * The logits after every token of a text, one row at a time: row i is [V] and predicts token i+1. A row is valid until the
 * next one is requested.
 * @throws GptError `prompt_too_long`, `invalid_field`
 */
export function* logitsOf(backend: Backend, tokenIds: readonly number[]): Generator<LogitsRow> {
  const { contextLength, vocabSize, pagePositions, maxLogitRows } = backend.limits;
  if (tokenIds.length === 0) throw new GptError("invalid_field", "the text to score has no tokens");
  if (tokenIds.length > contextLength) {
    const message =
      `the text has ${tokenIds.length} tokens, and the model takes at most ${contextLength} at once: ` +
      "score a longer one in windows, with --stride";
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
  for (let position = 0; position < tokenIds.length; position += maxLogitRows) {
    const chunk = tokenIds.slice(position, position + maxLogitRows);
    yield* backend.forward({
      copies: [],
      chunks: [{ pages, position, tokenIds: chunk, logits: "all" }],
    });
  }
}

/** @throws GptError `prompt_too_long`, `invalid_field` */
export function score(backend: Backend, tokenIds: readonly number[]): Score {
  const logprobs: number[] = [];
  let lastLogits = new Float32Array(0);
  let numRows = 0;
  for (const row of logitsOf(backend, tokenIds)) {
    const next = tokenIds[++numRows];
    if (next === undefined) lastLogits = row.values.slice();
    else logprobs.push((row.values[next] as number) - row.logSumExp());
  }
  return { logprobs, lastLogits };
}

export interface StridedScore {
  /** As in `Score`; null for a token that is the first of its window and in no earlier window. */
  readonly logprobs: readonly (number | null)[];
  readonly lastLogits: Float32Array;
}

/**
 * Scores a text of any length, in windows of n_positions tokens that begin `stride` tokens apart. Every token is scored once,
 * in the first window that has it, after the tokens of the window before it. This is the perplexity of fixed-length models as
 * Hugging Face documents it
 * (https://huggingface.co/docs/transformers/perplexity).
 * @throws GptError `invalid_field`
 */
export function scoreStrided(backend: Backend, tokenIds: readonly number[], stride: number): StridedScore {
  const { contextLength } = backend.limits;
  const logprobs: (number | null)[] = [];
  let numSeen = 0;
  for (let begin = 0; ; begin += stride) {
    const end = Math.min(begin + contextLength, tokenIds.length);
    const window = score(backend, tokenIds.slice(begin, end));
    if (begin > 0 && begin === numSeen) logprobs.push(null);
    logprobs.push(...window.logprobs.slice(Math.max(0, numSeen - begin - 1)));
    numSeen = end;
    if (end === tokenIds.length) return { logprobs, lastLogits: window.lastLogits };
  }
}

/** A model for scoring, with its tokenizer. */
export interface LoadedScorer {
  /** @throws GptError `invalid_field` when the checkpoint has no tokenizer. */
  encode(text: string): readonly number[];
  /** With a stride from 1 to `contextLength` the text may be longer than the context. */
  score(tokenIds: readonly number[], stride?: number): StridedScore;
  /** The model's n_positions. */
  readonly contextLength: number;
  close(): Promise<void>;
}

/** Texts are scored one after the other, so one context is enough. A cache has always room for one context. */
const KV_CACHE_MB = 1;

/** @throws GptError `invalid_checkpoint`, `invalid_tokenizer` or `invalid_config` */
export async function loadScorer(
  directory: string,
  options: Pick<ModelOptions, "precision" | "threads" | "onProblem" | "onLoading">,
): Promise<LoadedScorer> {
  const tokenizer = hasTokenizerFiles(directory) ? await loadTokenizer(directory) : undefined;
  const { backend } = loadModel(directory, { ...options, kvCacheMb: KV_CACHE_MB });
  return {
    encode: (text) => {
      if (tokenizer) return tokenizer.encode(text);
      throw new GptError("invalid_field", `text: ${directory} has no tokenizer files; send prompt_token_ids`);
    },
    score: (tokenIds, stride) =>
      stride === undefined ? score(backend, tokenIds) : scoreStrided(backend, tokenIds, stride),
    contextLength: backend.limits.contextLength,
    close: () => backend.close(),
  };
}
