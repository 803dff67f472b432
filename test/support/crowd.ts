// Crowds of random requests of all modes, from a seed, and running them through an engine.
import assert from "node:assert/strict";
import type { DecodingParams, Search, TokenBytes } from "../../src/decoding/decoding-params.ts";
import { uniform } from "../../src/decoding/random.ts";
import type { Hypothesis } from "../../src/decoding/strategy.ts";
import type { EngineCore } from "../../src/engine/engine-core.ts";
import type { PassResult } from "../../src/engine/pass-result.ts";
import { beams, someDecoding } from "./inline-engine.ts";

/** A small seeded random generator, so that crowds do not depend on a clock. */
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

/**
 * A random request: any mode, a prompt of 1 to `promptMax` tokens, and at most `lengthMax` tokens with the prompt. With `texts`,
 * most prompts begin like one of them.
 */
export function randomRequest(
  dice: Dice,
  vocabSize: number,
  promptMax: number,
  lengthMax: number,
  texts: readonly (readonly number[])[] = [],
): CrowdRequest {
  const own = Array.from({ length: 1 + dice.below(promptMax) }, () => dice.below(vocabSize));
  const prompt =
    texts.length > 0 && dice.chance(0.7) ? beginAs(dice, dice.oneOf(texts), own, promptMax) : own;
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
  const decoding = { maxLength, noRepeatNgramSize, seed, search, numReturnSequences };
  return { prompt, decoding: someDecoding({ ...decoding, ...randomExtras(dice, vocabSize, prompt.length) }) };
}

/** Penalties, endings and log-probabilities for about half of the requests. Some want no new tokens. */
function randomExtras(dice: Dice, vocabSize: number, promptLength: number): Partial<DecodingParams> {
  const token = (): number => dice.below(vocabSize);
  const text = (): Uint8Array => Uint8Array.from({ length: 1 + dice.below(3) }, () => 97 + dice.below(3));
  const strings = Array.from({ length: 1 + dice.below(3) }, text);
  return {
    ...(dice.chance(0.1) && { maxLength: promptLength }),
    ...(dice.chance(0.3) && {
      penalties: {
        logitBias: new Map([[token(), dice.oneOf([-2, 1, 4])]]),
        repetition: dice.oneOf([0.8, 1, 1.3]),
        frequency: dice.oneOf([-0.5, 0, 0.5]),
        presence: dice.oneOf([0, 1]),
      },
    }),
    ...(dice.chance(0.3) && {
      ending: {
        minNewTokens: dice.below(6),
        ignoreEos: dice.chance(0.3),
        stopTokenIds: [token()],
        ...(dice.chance(0.7) && { stopStrings: { strings, tokens: lettersOf(vocabSize) } }),
      },
    }),
    ...(dice.chance(0.3) && { logprobs: dice.below(4), promptLogprobs: dice.chance(0.5) }),
  };
}

/** A vocabulary whose tokens have one or two of three letters. Every fifth is a special token, which has no bytes. */
export function lettersOf(vocabSize: number): TokenBytes {
  const parts = Array.from({ length: vocabSize }, (_, id) => {
    if (id % 5 === 4) return [];
    return id % 2 === 0 ? [97 + (id % 3)] : [97 + (id % 3), 97 + (Math.floor(id / 3) % 3)];
  });
  const offsets = new Uint32Array(vocabSize + 1);
  for (const [i, part] of parts.entries()) offsets[i + 1] = (offsets[i] as number) + part.length;
  return { bytes: Uint8Array.from(parts.flat()), offsets };
}

/** A text or its beginning, alone or followed by `own`. */
function beginAs(dice: Dice, text: readonly number[], own: readonly number[], promptMax: number): number[] {
  const length = dice.chance(0.5) ? text.length : 1 + dice.below(text.length);
  return [...text.slice(0, length), ...(dice.chance(0.3) ? [] : own)].slice(0, promptMax);
}

export interface CrowdRun {
  readonly requests: readonly CrowdRequest[];
  /** Answers by the number of the request, its index in `requests`. */
  readonly answers: ReadonlyMap<number, readonly Hypothesis[]>;
  readonly aborted: ReadonlySet<number>;
}

export interface CrowdOptions {
  readonly numRequests: number;
  /** Probability of an abort before each pass. */
  readonly aborts: number;
  /** Makes the request of a number. It may use the answers so far. */
  readonly draw: (id: number, answers: readonly (readonly Hypothesis[])[]) => CrowdRequest;
  readonly onPass?: (record: PassResult) => void;
}

/** Runs requests, which arrive between passes from several clients, until all are answered or aborted. */
export function runCrowd(core: EngineCore, dice: Dice, options: CrowdOptions): CrowdRun {
  const { numRequests, aborts, draw, onPass } = options;
  const requests: CrowdRequest[] = [];
  const answers = new Map<number, readonly Hypothesis[]>();
  const aborted = new Set<number>();
  const arrive = (): void => {
    const id = requests.length;
    const { prompt, decoding } = draw(id, [...answers.values()]);
    requests.push({ prompt, decoding });
    const client = dice.oneOf([1, 1, 1, 2, 3]);
    core.add({ id, promptTokenIds: prompt, decoding, client, streams: dice.chance(0.5) });
  };
  while (requests.length < numRequests || !core.isIdle) {
    for (let n = dice.below(4); n > 0 && requests.length < numRequests; n--) arrive();
    if (requests.length > 0 && dice.chance(aborts)) {
      const id = Math.max(0, requests.length - 1 - dice.below(8));
      if (!answers.has(id)) aborted.add(id);
      core.abort(id);
    }
    if (core.isIdle) {
      core.scheduler.pool.assertIdle();
      continue;
    }
    const record = core.step();
    core.stepTook(1, record); // Every pass takes equally long, so guessing, if it is on, always seems worth it.
    for (const { request, hypotheses } of record.finished) {
      assert.ok(!answers.has(request.id) && !aborted.has(request.id), `${request.id} was answered twice`);
      answers.set(request.id, hypotheses);
    }
    onPass?.(record);
  }
  core.scheduler.pool.assertIdle();
  return { requests, answers, aborted };
}
