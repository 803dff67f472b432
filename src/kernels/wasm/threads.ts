// The control block in shared memory: how threads share the items of a step, and how they wait for the next step. A step is one
// instruction of a program. It ends when all its items are done, not when all threads have arrived. So a thread without a core
// delays the others only if it has taken items. A waiting thread spins first, since the next step usually begins within
// microseconds. Then it sleeps on a futex, so that an idle engine costs nothing.
import {
  CONTROL_DONE, CONTROL_END_STEP, CONTROL_INSTRUCTION, CONTROL_PROGRAMS, CONTROL_PROGRAM_SLEEPERS, CONTROL_STEP, CONTROL_STEP_SLEEPERS,
  CONTROL_STOP, CONTROL_TAKEN,
} from "./numbers.generated";

const PROGRAMS: usize = CONTROL_PROGRAMS; // the engine thread adds 1 for every program
const PROGRAM_SLEEPERS: usize = CONTROL_PROGRAM_SLEEPERS; // how many threads sleep until the next program, or are about to
const STOP: usize = CONTROL_STOP;
const STEP: usize = CONTROL_STEP; // the number of the current step
const INSTRUCTION: usize = CONTROL_INSTRUCTION; // address of the current step's instruction
const END_STEP: usize = CONTROL_END_STEP; // number of the step that ended the last program
const STEP_SLEEPERS: usize = CONTROL_STEP_SLEEPERS; // how many threads sleep until the next step, or are about to
const TAKEN: usize = CONTROL_TAKEN; // 64 bits: the step's number, and how many of its items are taken
const DONE: usize = CONTROL_DONE; // how many items of the step are done

/** Replaces the number of taken items when none are left. So a late thread cannot take any, whatever number of items it read. */
const CLOSED: i32 = i32.MAX_VALUE;

// A futex wake costs more than most steps. A thread that sleeps too early comes late to the next step. So the others sleep too,
// and every step pays for a wake-up. That is why a thread spins for long. But if there are more threads than free cores, a long
// spin takes the core from the thread that is waited for. So after a long spin in vain the next waits are short ones; after
// each further long spin in vain, twice as many.
const SPINS: i32 = 1200000; // about 0.4 ms
const SHORT_SPINS: i32 = 12000;
const SHORT_WAITS: i32 = 32;
const SHORT_WAITS_MAX: i32 = 32 * SHORT_WAITS;

/** How many of this thread's next waits spin only shortly, and how many will after the next long spin in vain. */
let shortWaits: i32 = 0;
let nextShortWaits: i32 = SHORT_WAITS;

/**
 * Sleeps while the word at `address` is `seen`. It may return earlier. This is `Atomics.wait` of JavaScript, because the baseline
 * compiler of Node.js 20 does not save registers across WebAssembly's own wait instruction, so `seen` would change. A call of
 * an imported function is safe, and is never inlined.
 */
@external("env", "sleep") declare function sleep(address: usize, seen: i32): void;

/**
 * Blocks until the word at `address` differs from `seen`. Returns true if it saw the change within `spins` reads, without sleep.
 */
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
 * Adds 1 to the word at `address`, and wakes at most `most` of the threads that sleep on it (−1: all). A thread that is about to
 * sleep but not counted yet sees the new value and stays awake.
 */
// @ts-ignore: decorator
@inline
function raise(address: usize, sleepers: usize, most: i32): void {
  atomic.add<i32>(address, 1);
  if (atomic.load<i32>(sleepers) > 0) atomic.notify(address, most);
}

/** The number of the current step. Numbers wrap around, so they are only compared for equality. */
export function presentStep(): i32 {
  return atomic.load<i32>(STEP);
}

/** The address of the current step's instruction. */
export function presentInstruction(): usize {
  return <usize>atomic.load<i32>(INSTRUCTION);
}

/** Waits until `seen` is no longer the current step, and returns the number of the current one. */
export function nextStep(seen: i32): i32 {
  if (isEnd(seen)) {
    // No program runs. This wait says nothing about free cores, so it does not change the length of spins.
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

/** Whether a step that has begun is the end step of a program. Then the program is finished, and the step has no items. */
export function isEnd(step: i32): bool {
  return atomic.load<i32>(END_STEP) == step;
}

/** Begins the next step. Called by the thread that finished the current one; between programs, by the engine thread. */
export function beginStep(instruction: usize, isLast: bool): void {
  const step = presentStep() + 1;
  atomic.store<i32>(INSTRUCTION, <i32>instruction);
  atomic.store<i32>(DONE, 0);
  // Nobody could take an item while these words changed, because the previous step is closed.
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
 * The first item of step `step` that nobody has taken, of `items` items. −1: none is left, or the step is over. If the step ends
 * now, the caller's `items` may be another step's. That does no harm: then `take` fails.
 */
export function firstLeft(step: i32, items: i32): i32 {
  const taken = atomic.load<i64>(TAKEN);
  const first = <i32>taken;
  return <i32>(taken >> 32) == step && first < items ? first : -1;
}

/** Takes items `first` to `last` of `items`. Fails if another thread was faster, or if the step is over. */
export function take(step: i32, first: i32, last: i32, items: i32): bool {
  const before = takenOf(step, first);
  return atomic.cmpxchg<i64>(TAKEN, before, takenOf(step, last == items ? CLOSED : last)) == before;
}

/** Counts items that the caller has finished. Returns whether they were the last; then all results are visible to the caller. */
export function finish(count: i32, items: i32): bool {
  return atomic.add<i32>(DONE, count) + count == items;
}

/** Called by the engine thread before a program. Wakes one of the helpers that went to sleep without items, to try again. */
export function announceProgram(): void {
  raise(PROGRAMS, PROGRAM_SLEEPERS, 1);
}

export function presentProgram(): i32 {
  return atomic.load<i32>(PROGRAMS);
}

/** Sleeps until a later program than `seen` wakes this thread to try again. */
export function sleepThrough(seen: i32): void {
  waitForChange(PROGRAMS, seen, 0, PROGRAM_SLEEPERS);
}

/** Whether the engine stops. Then the new step number belongs to no step. */
export function isStopping(): bool {
  return atomic.load<i32>(STOP) != 0;
}
