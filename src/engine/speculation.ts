// Guessed tokens for a pass. A row's bits do not depend on what else is in its pass, and a random number belongs to its seed,
// sequence and position: so the row behind a guess that is right says what it would have said in a pass of its own, and the
// rows behind a wrong one are thrown away. It decides what to try; the scheduler computes and compares.
import type { BackendLimits } from "../model/backend.ts";
import { type Candidate, planGuesses } from "./guess-plan.ts";
import { PassTimes } from "./pass-times.ts";
import { type Guess, PromptLookup } from "./prompt-lookup.ts";
import { isPrompt, numLogitRows, owed, type Planned, type Sequence, type SequenceGroup } from "./sequence.ts";

/** Tokens that are guessed for a sequence in one pass. */
const GUESSES_MAX = 15;

interface Guessed extends Candidate, Guess {
  readonly sequence: Sequence;
}

export class Speculation {
  readonly #limits: BackendLimits;
  readonly #times = new PassTimes();

  constructor(limits: BackendLimits) {
    this.#limits = limits;
  }

  /** Takes in how long a pass took, from its schedule to its update, whose rows all had logits. */
  observe(rows: number, time: number): void {
    this.#times.observe(rows, time);
  }

  /** The tokens to try behind the one that a sequence owes, for some sequences of a pass. */
  guesses(planned: readonly Planned[]): Map<Sequence, readonly number[]> {
    const { rows, room } = this.#roomOf(planned);
    if (room <= 0) return new Map();
    const places = new Map<SequenceGroup, number>();
    for (const { group } of planned) if (!places.has(group)) places.set(group, places.size);
    const numSequences = new Array<number>(places.size).fill(0);
    const candidates: Guessed[] = [];
    for (const { group, sequence, chunk } of planned) {
      if (chunk.logits === "none") continue;
      const request = places.get(group) as number;
      numSequences[request] = (numSequences[request] as number) + 1;
      const guess = this.#guess(group, sequence);
      if (guess && guess.tokenIds.length > 0) candidates.push({ request, sequence, ...guess });
    }
    if (candidates.length === 0) return new Map();
    const pass = { rows, room, numSequences };
    const counts = planGuesses(candidates, pass, (count) => this.#times.of(count));
    const tried = candidates.map(({ sequence, tokenIds }, i): [Sequence, readonly number[]] => {
      return [sequence, tokenIds.slice(0, counts[i] as number)];
    });
    return new Map(tried.filter(([, tokenIds]) => tokenIds.length > 0));
  }

  /** What the bounds of a pass leave. */
  #roomOf(planned: readonly Planned[]): { rows: number; room: number } {
    const { maxBatchTokens, maxLogitRows } = this.#limits;
    let [rows, logitRows] = [0, 0];
    for (const { chunk } of planned) {
      rows += chunk.tokenIds.length;
      logitRows += numLogitRows(chunk);
    }
    return { rows, room: Math.min(maxBatchTokens - rows, maxLogitRows - logitRows) };
  }

  /**
   * Sequences that compete with each other stand elsewhere after each step, and the first step of a request may fork: both
   * are not guessed for. A guess is never fed where the request has no page promised to it.
   */
  #guess(group: SequenceGroup, sequence: Sequence): Guess | undefined {
    const { strategy, request } = group;
    const isAlone = !strategy.together || strategy.width === 1;
    if (!isAlone || isPrompt(group) || owed(sequence) !== 1) return undefined;
    const { maxLength } = request.decoding;
    group.lookup ??= new PromptLookup(strategy.width, request.promptTokenIds.length, maxLength);
    // The last token is never fed.
    const count = Math.min(GUESSES_MAX, maxLength - 1 - sequence.tokenIds.length);
    return group.lookup.guess(sequence.index, sequence.tokenIds, count);
  }
}
