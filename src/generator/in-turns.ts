// Work that takes long is done in shares, and others have their turn between them: no text holds the event loop for long.
import { nextTurn } from "../event-loop.ts";
import type { Steps, Work } from "../tokenizer/work.ts";

/** About a millisecond of work: see `Work`. */
const SHARE = 20_000;

/** Does the work to its end; its first share at once. */
export async function inTurns<T>(begin: (work: Work) => Steps<T>): Promise<T> {
  const work = { left: SHARE };
  const steps = begin(work);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    await nextTurn();
    work.left = SHARE;
  }
}
