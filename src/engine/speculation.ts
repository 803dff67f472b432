// Speculation: guessed tokens are computed in the same pass as the token before them. The bits of a row do not depend on what
// else is in the pass, and random numbers depend on seed, sequence and position only. So the row after a right guess is exactly
// the row of a later pass, and the rows after a wrong guess are thrown away. This file decides which guesses to try. The
// scheduler computes them and compares.
import type { BackendLimits } from "../model/backend.ts";
import { type Candidate, planGuesses } from "./guess-plan.ts";
import { PassTimes } from "./pass-times.ts";
import { type Guess, PromptLookup } from "./prompt-lookup.ts";
import { isPrompt, numLogitRows, owed, type Planned, type Sequence, type SequenceGroup } from "./sequence.ts";

/** The most guessed tokens of a sequence in one pass. */
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

  /** Records the time of a pass, from its schedule to its update. All of its rows must have had logits. */
  observe(rows: number, time: number): void {
    this.#times.observe(rows, time);
  }

  /** For some sequences of a pass: the guessed tokens to compute after the token that the sequence owes. */
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

  /** The rows of a pass, and the room that its limits leave. */
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
   * There are no guesses for beams, which may be replaced at each step, nor for the first step of a request, which may fork. The
   * number of guesses is limited so that they never need more pages than the request has reserved.
   */
  #guess(group: SequenceGroup, sequence: Sequence): Guess | undefined {
    const { strategy, request } = group;
    const isAlone = !strategy.together || strategy.width === 1;
    if (!isAlone || isPrompt(group) || owed(sequence) !== 1) return undefined;
    const { maxLength } = request.decoding;
    group.lookup ??= new PromptLookup(strategy.width, request.promptTokenIds.length, maxLength);
    // The last token of a text is never fed to the model.
    const count = Math.min(GUESSES_MAX, maxLength - 1 - sequence.tokenIds.length);
    return group.lookup.guess(sequence.index, sequence.tokenIds, count);
  }
}
