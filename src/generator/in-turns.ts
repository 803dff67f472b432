// Cooperative scheduling of long work on the main thread: the work runs in shares of about a millisecond, and the event loop
// runs between them. So a long text does not block other requests.
import { nextTurn } from "../event-loop.ts";
import type { Steps, Work } from "../tokenizer/work.ts";

/** Units of work in one share, about a millisecond. The unit is defined by `Work`. */
const SHARE = 20_000;

/** Runs the work to its end. The first share runs immediately. */
export async function inTurns<T>(begin: (work: Work) => Steps<T>): Promise<T> {
  const work = { left: SHARE };
  const steps = begin(work);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    await nextTurn();
    work.left = SHARE;
  }
}
