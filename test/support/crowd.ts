// Seeded crowds of requests of all modes.
import type { DecodingParams, Search } from "../../src/decoding/params.ts";
import { uniform } from "../../src/decoding/random.ts";
import { beams, someDecoding } from "./inline-engine.ts";

/** A small seeded source of choices; nothing here depends on a clock. */
export class Dice {
  readonly #seed: number;
  #count = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  below(count: number): number {
    return Math.floor(uniform(this.#seed, 77, this.#count++) * count);
  }

  oneOf<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  chance(probability: number): boolean {
    return uniform(this.#seed, 78, this.#count++) < probability;
  }
}

export interface CrowdRequest {
  readonly prompt: readonly number[];
  readonly decoding: DecodingParams;
}

/** A random request: any mode, prompt of 1 … `promptMax` tokens, at most `lengthMax` tokens in all. */
export function randomRequest(
  dice: Dice,
  vocabSize: number,
  promptMax: number,
  lengthMax: number,
): CrowdRequest {
  const prompt = Array.from({ length: 1 + dice.below(promptMax) }, () => dice.below(vocabSize));
  const maxLength = prompt.length + 1 + dice.below(lengthMax - prompt.length);
  const noRepeatNgramSize = dice.oneOf([0, 0, 2, 3]);
  const seed = dice.below(2 ** 32);
  const search = dice.oneOf<() => Search>([
    () => ({ kind: "greedy" }),
    () => ({ kind: "sample", temperature: dice.oneOf([0.5, 1, 2]), topK: dice.oneOf([0, 3, 8]), topP: 1 }),
    () => ({ kind: "sample", temperature: 1, topK: 0, topP: dice.oneOf([0.1, 0.6, 0.92]) }),
    () => beams(1 + dice.below(5), { earlyStopping: dice.chance(0.3) }),
  ])();
  const numReturnSequences = search.kind === "beam" ? 1 + dice.below(search.numBeams) : 1 + dice.below(4);
  return {
    prompt,
    decoding: someDecoding({ maxLength, noRepeatNgramSize, seed, search, numReturnSequences }),
  };
}
