// The control block in shared memory: how threads share out the items of a step, and how they wait for the next one. A step
// is one instruction of a program. It ends when all of its items are done, not when all threads have come: nobody waits for
// a thread that has no core, unless it holds items. Waiting spins, since the next step usually begins within microseconds,
// and then sleeps, so that an idle engine costs nothing.
import {
  CONTROL_DONE, CONTROL_END_STEP, CONTROL_INSTRUCTION, CONTROL_PROGRAMS, CONTROL_PROGRAM_SLEEPERS, CONTROL_STEP, CONTROL_STEP_SLEEPERS,
  CONTROL_STOP, CONTROL_TAKEN,
} from "./numbers.generated";

const PROGRAMS: usize = CONTROL_PROGRAMS; // raised by the leader for every program
const PROGRAM_SLEEPERS: usize = CONTROL_PROGRAM_SLEEPERS; // threads that sleep until the next one, or are about to
const STOP: usize = CONTROL_STOP;
const STEP: usize = CONTROL_STEP; // raised when a step begins
const INSTRUCTION: usize = CONTROL_INSTRUCTION; // of the step
const END_STEP: usize = CONTROL_END_STEP; // the step at the end of the program that ran last
const STEP_SLEEPERS: usize = CONTROL_STEP_SLEEPERS; // threads that sleep until the next step, or are about to
const TAKEN: usize = CONTROL_TAKEN; // 64 bits: the step, and how many of its items are taken
const DONE: usize = CONTROL_DONE; // items of the step that are done

/** Stands for the number of taken items when none are left. Then nothing of a step can be taken, however late a thread comes. */
const CLOSED: i32 = i32.MAX_VALUE;

// Waking a thread takes longer than most steps. Who sleeps before a wake-up could be over makes the others wait, sleep and be
// woken in turn, at every step. Where threads are more than cores that are free, a long spin only keeps the one waited for
// from running: after a spin in vain come some short ones, and after each further one twice as many.
const SPINS: i32 = 1200000; // about 0.4 ms
const SHORT_SPINS: i32 = 12000;
const SHORT_WAITS: i32 = 32;
const SHORT_WAITS_MAX: i32 = 32 * SHORT_WAITS;

/** Waits for a step that are left for which this thread spins shortly, and how many will follow the next spin in vain. */
let shortWaits: i32 = 0;
let nextShortWaits: i32 = SHORT_WAITS;

/**
 * Sleeps while the word at `address` is `seen`, perhaps less long. It is JavaScript's, since the baseline compiler of
 * Node.js 20 forgets what a function keeps in registers across WebAssembly's own wait: afterwards `seen` would be another
 * number. A call of an import is safe, and no optimiser can put its body here.
 */
@external("env", "sleep") declare function sleep(address: usize, seen: i32): void;

/** Blocks until the word at `address` differs from `seen`; returns whether `spins` looks at it were enough. */
// @ts-ignore: decorator
@inline
function waitForChange(address: usize, seen: i32, spins: i32, sleepers: usize): bool {
  for (let i = 0; i < spins; i++) {
    if (atomic.load<i32>(address) != seen) return true;
  }
  atomic.add<i32>(sleepers, 1);
  while (atomic.load<i32>(address) == seen) sleep(address, seen);
  atomic.sub<i32>(sleepers, 1);
  return false;
}

/**
 * Changes the word at `address` and wakes `most` threads that sleep until then, −1: all. A thread that is not counted yet
 * will see the change.
 */
// @ts-ignore: decorator
@inline
function raise(address: usize, sleepers: usize, most: i32): void {
  atomic.add<i32>(address, 1);
  if (atomic.load<i32>(sleepers) > 0) atomic.notify(address, most);
}

/** The number of the present step. Numbers wrap around: they are compared, never ordered. */
export function presentStep(): i32 {
  return atomic.load<i32>(STEP);
}

/** The instruction of the present step. */
export function presentInstruction(): usize {
  return <usize>atomic.load<i32>(INSTRUCTION);
}

/** Waits for the step after step `seen`, and returns its number. */
export function nextStep(seen: i32): i32 {
  if (isEnd(seen)) {
    // No program runs. How long that lasts tells nothing.
    waitForChange(STEP, seen, SPINS, STEP_SLEEPERS);
  } else if (shortWaits > 0) {
    shortWaits--;
    waitForChange(STEP, seen, SHORT_SPINS, STEP_SLEEPERS);
  } else if (waitForChange(STEP, seen, SPINS, STEP_SLEEPERS)) {
    nextShortWaits = SHORT_WAITS;
  } else {
    shortWaits = nextShortWaits;
    nextShortWaits = min(2 * nextShortWaits, SHORT_WAITS_MAX);
  }
  return presentStep();
}

/** Whether a step, which has begun, is the end of a program: all of it is done, and nothing is to be done in the step. */
export function isEnd(step: i32): bool {
  return atomic.load<i32>(END_STEP) == step;
}

/** Begins the next step. Called by who finished the present one, or by the leader between two programs. */
export function beginStep(instruction: usize, isLast: bool): void {
  const step = presentStep() + 1;
  atomic.store<i32>(INSTRUCTION, <i32>instruction);
  atomic.store<i32>(DONE, 0);
  // Nothing could be taken while these changed: the step before is closed.
  atomic.store<i64>(TAKEN, takenOf(step, isLast ? CLOSED : 0));
  if (isLast) atomic.store<i32>(END_STEP, step);
  raise(STEP, STEP_SLEEPERS, -1);
}

// @ts-ignore: decorator
@inline
function takenOf(step: i32, count: i32): i64 {
  return (<i64>step << 32) | <i64>count;
}

/**
 * Items that are taken of step `step`, which must have `items` if it is still the present one; −1: none are left. What the
 * caller read of a step's instruction may be torn when the step is over: then `take` fails.
 */
export function firstLeft(step: i32, items: i32): i32 {
  const taken = atomic.load<i64>(TAKEN);
  const first = <i32>taken;
  return <i32>(taken >> 32) == step && first < items ? first : -1;
}

/** Takes items `first` to `last` of `items`, if those before, and no others, were taken. */
export function take(step: i32, first: i32, last: i32, items: i32): bool {
  const before = takenOf(step, first);
  return atomic.cmpxchg<i64>(TAKEN, before, takenOf(step, last == items ? CLOSED : last)) == before;
}

/** Counts items that the caller took and has done; returns whether they were the last. What was written is visible then. */
export function finish(count: i32, items: i32): bool {
  return atomic.add<i32>(DONE, count) + count == items;
}

/** The leader's side, before a program: one of the threads that found nothing to do may try again. */
export function announceProgram(): void {
  raise(PROGRAMS, PROGRAM_SLEEPERS, 1);
}

export function presentProgram(): i32 {
  return atomic.load<i32>(PROGRAMS);
}

/** Sleeps until it is this thread's turn to try again, in a program after program `seen`. */
export function sleepThrough(seen: i32): void {
  waitForChange(PROGRAMS, seen, 0, PROGRAM_SLEEPERS);
}

/** Whether the engine stops: then there is no step behind the number. */
export function isStopping(): bool {
  return atomic.load<i32>(STOP) != 0;
}
