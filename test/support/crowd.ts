// Seeded crowds of requests of all modes, and their run through an engine.
import assert from "node:assert/strict";
import type { DecodingParams, Search } from "../../src/decoding/decoding-params.ts";
import { uniform } from "../../src/decoding/random.ts";
import type { Hypothesis } from "../../src/decoding/strategy.ts";
import type { EngineCore } from "../../src/engine/engine-core.ts";
import type { PassResult } from "../../src/engine/scheduler.ts";
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

/**
 * A random request: any mode, prompt of 1 … `promptMax` tokens, at most `lengthMax` tokens in all. Given `texts`, most
 * prompts begin as one of them does.
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
  return {
    prompt,
    decoding: someDecoding({ maxLength, noRepeatNgramSize, seed, search, numReturnSequences }),
  };
}

/** All of a text or a part, alone or followed by `own`. */
function beginAs(dice: Dice, text: readonly number[], own: readonly number[], promptMax: number): number[] {
  const length = dice.chance(0.5) ? text.length : 1 + dice.below(text.length);
  return [...text.slice(0, length), ...(dice.chance(0.3) ? [] : own)].slice(0, promptMax);
}

export interface CrowdRun {
  readonly requests: readonly CrowdRequest[];
  /** By the number of the request, its place in `requests`. */
  readonly answers: ReadonlyMap<number, readonly Hypothesis[]>;
  readonly aborted: ReadonlySet<number>;
}

export interface CrowdOptions {
  readonly numRequests: number;
  /** Chance of an abort before each pass. */
  readonly aborts: number;
  /** The request of a number, given the answers so far. */
  readonly draw: (id: number, answers: readonly (readonly Hypothesis[])[]) => CrowdRequest;
  readonly onPass?: (record: PassResult) => void;
}

/** Requests that arrive between passes, from several clients, until all are answered or aborted. */
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
      core.scheduler.pool.assertAllHome();
      continue;
    }
    const record = core.step();
    for (const { request, hypotheses } of record.finished) {
      assert.ok(!answers.has(request.id) && !aborted.has(request.id), `${request.id} was answered twice`);
      answers.set(request.id, hypotheses);
    }
    onPass?.(record);
  }
  core.scheduler.pool.assertAllHome();
  return { requests, answers, aborted };
}
