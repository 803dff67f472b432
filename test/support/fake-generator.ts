// A generator that answers at once with its input, remembers what it was asked, and can be told to wait or to fail.

import { GptError } from "../../src/errors.ts";
import type { Generation, GenerationParams, Generator, ModelInfo } from "../../src/service/generation.ts";

export class FakeGenerator implements Generator {
  readonly model: ModelInfo = {
    name: "fake",
    precision: "f32",
    parameters: 1_000_000,
    vocabSize: 100,
    contextLength: 256,
  };
  readonly asked: GenerationParams[] = [];
  /** Thrown in place of an answer. */
  failure: Error | undefined;
  /** While true a request is answered by nothing but its signal. */
  waits = false;
  #onAsked: () => void = () => {};
  #onCancelled: () => void = () => {};
  /** Resolves with the first request. */
  readonly wasAsked = new Promise<void>((resolve) => {
    this.#onAsked = resolve;
  });
  /** Resolves when a waiting request is cancelled. */
  readonly wasCancelled = new Promise<void>((resolve) => {
    this.#onCancelled = resolve;
  });

  async generate(params: GenerationParams, signal?: AbortSignal): Promise<Generation> {
    this.asked.push(params);
    this.#onAsked();
    if (this.failure) throw this.failure;
    if (this.waits) await this.#untilAborted(signal);
    const { numReturnSequences, seed } = params.decoding;
    const text = `${params.input} and more é`;
    const sequence = { text, tokenIds: [1, 2], finishReason: "length" } as const;
    const sequences = Array.from({ length: numReturnSequences }, () => sequence);
    return { sequences, seed, promptTokens: 1, generatedTokens: 1 };
  }

  #untilAborted(signal: AbortSignal | undefined): Promise<never> {
    return new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => {
        this.#onCancelled();
        reject(new GptError("cancelled", "the request was cancelled"));
      });
    });
  }

  async close(): Promise<void> {}
}
