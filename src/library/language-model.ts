// A model in the caller's own process: it generates texts, scores them and tokenizes, without a server. Parameters and answers
// have the same names as over HTTP and on the command line.
import { randomInt } from "node:crypto";
import type { TextGenerator } from "../generator/text-generator.ts";
import { type GeneratedText, generatedTexts } from "../request/answer.ts";
import type { Generation, GenerationParams, ModelInfo } from "../request/generation.ts";
import { type GenerationRequest, type ParseOptions, parseGenerationParams } from "../request/params.ts";
import { SEEDS } from "../request/seeds.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { Run } from "./run.ts";

/** An answer. With `logprobs` each text has the log-probabilities of its tokens, in four parallel lists. */
export interface GenerateResult {
  readonly texts: readonly string[];
  readonly sequences: readonly GeneratedText[];
  /** The seed that was used. The same seed gives the same texts. */
  readonly seed: number;
  readonly prompt_tokens: number;
  readonly generated_tokens: number;
}

/** A piece of text that will not change any more. */
export interface GeneratePiece {
  /** Index of the text in the answer. */
  readonly index: number;
  /** Whole characters. All pieces of a text, joined, are the text. */
  readonly text: string;
}

export interface GenerateOptions {
  /** When it is aborted, the work stops and the promise rejects with code `cancelled`. */
  readonly signal?: AbortSignal;
}

/** The log-probabilities of a text. */
export interface ScoreResult {
  readonly token_ids: readonly number[];
  /** Natural logarithms, one for each token; null for the first, because nothing precedes it. */
  readonly logprobs: readonly (number | null)[];
  /** exp(−mean of the log-probabilities); NaN for a text of one token. */
  readonly perplexity: number;
}

/**
 * A loaded model. Its threads keep the process alive until it is closed: use
 * `await using model = await loadModel("gpt2")`, or call `close()`.
 */
export class LanguageModel implements AsyncDisposable {
  readonly #generator: TextGenerator;
  readonly #options: ParseOptions;

  /** Use `loadModel`. */
  constructor(generator: TextGenerator) {
    this.#generator = generator;
    const { contextLength } = generator.model;
    this.#options = { contextLength, randomSeed: () => randomInt(SEEDS), allowTokenIds: true };
  }

  /** The model's name, precision, kernels, number of parameters, vocabulary size and context length. */
  get info(): ModelInfo {
    return this.#generator.model;
  }

  /** Converts text to token ids and back; undefined for a checkpoint without tokenizer files. */
  get tokenizer(): Tokenizer | undefined {
    return this.#generator.tokenizer;
  }

  /**
   * Completes a text. The answer can be awaited whole, or read piece by piece with `for await`. Leaving that loop stops the
   * work.
   * @param request the parameters of a request, such as `{ input: "Once", mode: "greedy", max_new_tokens: 20 }`
   * @throws GptError (when awaited) `invalid_field`, `unknown_field`, `prompt_too_long`, `request_too_large`, `queue_full`,
   * `cancelled` or `engine_failed`
   */
  generate(request: GenerationRequest, { signal }: GenerateOptions = {}): Run<GenerateResult, GeneratePiece> {
    return new Run(async (onPiece, stopped) => {
      const params = parseGenerationParams(request, this.#options);
      const generation = await this.#generator.generate(params, {
        signal: signal ? AbortSignal.any([signal, stopped]) : stopped,
        ...(onPiece && { onPiece: ({ index, text }) => text !== "" && onPiece({ index, text }) }),
      });
      return this.#resultOf(params, generation);
    });
  }

  /**
   * The log-probability of every token of a text. The text may not be longer than the model's context.
   * @throws GptError `prompt_too_long`, `invalid_field`
   */
  async score(text: string | readonly number[], { signal }: GenerateOptions = {}): Promise<ScoreResult> {
    const prompt = Array.isArray(text) ? { prompt_token_ids: text } : { input: text };
    const request = { ...prompt, max_new_tokens: 0, num_return_sequences: 1, logprobs: 0 };
    const params = parseGenerationParams(request, this.#options);
    const generation = await this.#generator.generate(params, signal ? { signal } : {});
    const { tokenIds, logprobs = [] } = generation.prompt;
    const numbers = logprobs.map(({ logprob }) => logprob);
    const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
    return { token_ids: tokenIds, logprobs: [null, ...numbers], perplexity: Math.exp(-mean) };
  }

  /** Ends the threads. Open requests reject with `cancelled`. */
  close(): Promise<void> {
    return this.#generator.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #resultOf(params: GenerationParams, generation: Generation): GenerateResult {
    const { sequences, seed, promptTokens, generatedTokens } = generation;
    return {
      texts: sequences.map(({ text }) => text),
      sequences: generatedTexts(params, generation, (id) => this.#generator.token(id)),
      seed,
      prompt_tokens: promptTokens,
      generated_tokens: generatedTokens,
    };
  }
}
