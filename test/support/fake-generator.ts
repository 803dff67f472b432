// A fake generator. It answers at once with its input, records its requests, and can be set to wait or to fail.

import { IDLE_STATS } from "../../src/engine/counts.ts";
import { GptError } from "../../src/errors.ts";
import type {
  GenerateOptions,
  Generation,
  GenerationParams,
  Generator,
  GeneratorHealth,
  GeneratorStats,
  ModelInfo,
  TextPiece,
  TokenForm,
} from "../../src/request/generation.ts";

export class FakeGenerator implements Generator {
  readonly model: ModelInfo = {
    name: "fake",
    precision: "f32",
    kernels: "none",
    threads: 1,
    parameters: 1_000_000,
    vocabSize: 100,
    contextLength: 256,
  };
  health: GeneratorHealth = "ready";
  readonly asked: GenerationParams[] = [];
  /** Prompt scores that a streaming caller gets first. */
  pieces: readonly Omit<TextPiece, "tokens">[] = [];
  /** The text of every sequence. Default: the input and a suffix. */
  text: string | undefined;
  /** Thrown instead of an answer. */
  failure: Error | undefined;
  /** While it is true, requests end only by their signal. */
  waits = false;
  /** Answers wait for this promise. */
  hold: Promise<void> = Promise.resolve();
  readonly #waiting: (() => void)[] = [];
  #onAsked: () => void = () => {};
  #onCancelled: () => void = () => {};
  /** Resolves at the first request. */
  readonly wasAsked = new Promise<void>((resolve) => {
    this.#onAsked = resolve;
  });
  /** Resolves when a waiting request is cancelled. */
  readonly wasCancelled = new Promise<void>((resolve) => {
    this.#onCancelled = resolve;
  });

  /** From now on answers wait until the returned function is called. */
  holdAnswers(): () => void {
    let release: () => void = () => {};
    this.hold = new Promise((resolve) => {
      release = resolve;
    });
    return () => release();
  }

  async generate(params: GenerationParams, options: GenerateOptions = {}): Promise<Generation> {
    this.asked.push(params);
    this.#onAsked();
    for (const piece of this.pieces) options.onPiece?.({ ...piece, tokens: [] });
    if (this.failure) throw this.failure;
    await this.hold;
    if (this.waits) await this.#untilAborted(options.signal);
    const { numReturnSequences, seed } = params.decoding;
    const text = this.text ?? `${params.input} and more é`;
    const sequence = { text, tokenIds: [1, 2], tokens: [], finishReason: "length" } as const;
    const sequences = Array.from({ length: numReturnSequences }, () => sequence);
    if (this.pieces.length === 0 && text !== "")
      for (const index of sequences.keys()) options.onPiece?.({ index, text, tokens: [] });
    const timing = { queueMs: 1, firstTokenMs: 2, totalMs: 3 };
    const counts = { promptTokens: 1, cachedTokens: 0, generatedTokens: 1, droppedTokens: 0 };
    return { sequences, seed, prompt: { tokenIds: [1], text: params.input ?? "" }, ...counts, timing };
  }

  token(id: number): TokenForm {
    return { name: `token_id:${id}`, bytes: new Uint8Array(0), isSpecial: false };
  }

  readonly fingerprint = "fp_0123456789ab";

  async tokenize(text: string): Promise<readonly number[]> {
    return [...Buffer.from(text)];
  }

  detokenize(tokenIds: readonly number[]): string {
    return Buffer.from(tokenIds).toString();
  }

  stats(): GeneratorStats {
    return { ...IDLE_STATS, pagesTotal: 8 };
  }

  #untilAborted(signal: AbortSignal | undefined): Promise<never> {
    return new Promise((_resolve, reject) => {
      const onAbort = (): void => {
        this.#onCancelled();
        reject(new GptError("cancelled", "the request was cancelled"));
      };
      this.#waiting.push(onAbort);
      if (signal?.aborted) onAbort();
      else signal?.addEventListener("abort", onAbort);
    });
  }

  /** Ends all waiting requests, as a real generator does. */
  cancel(): void {
    for (const end of this.#waiting) end();
  }

  async close(): Promise<void> {}
}
