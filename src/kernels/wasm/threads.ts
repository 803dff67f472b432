// The control block in shared memory and the barrier between kernels. Waiting spins, since the next kernel usually starts
// within microseconds, and then sleeps, so that an idle engine costs nothing.
import {
  CONTROL_ARRIVED, CONTROL_GENERATION, CONTROL_PARTS, CONTROL_PHASE, CONTROL_PROGRAM, CONTROL_SLEEPERS, CONTROL_STOP,
} from "./numbers.generated";

const GENERATION: usize = CONTROL_GENERATION; // raised by the leader for every program; helpers wait for it
const PROGRAM: usize = CONTROL_PROGRAM;
const PARTS: usize = CONTROL_PARTS;
const STOP: usize = CONTROL_STOP;
const ARRIVED: usize = CONTROL_ARRIVED; // threads that reached the barrier
const PHASE: usize = CONTROL_PHASE; // raised when all have arrived
const SLEEPERS: usize = CONTROL_SLEEPERS; // threads that sleep, or are about to

// Waking a thread takes longer than most kernels run. Who sleeps before a wake-up could be over makes the others wait, sleep
// and be woken in turn, at every kernel. Where threads are more than cores, a long spin only keeps the one waited for from
// running: after a spin in vain come some short ones.
const SPINS: i32 = 400000;
const SHORT_SPINS: i32 = 4000;
const SHORT_WAITS: i32 = 32;

/**
 * Sleeps while the word at `address` is `seen`, perhaps less long. It is JavaScript's, since the baseline compiler of
 * Node.js 20 forgets what a function keeps in registers across WebAssembly's own wait: afterwards `seen` would be another
 * number. A call of an import is safe, and no optimiser can put its body here.
 */
@external("env", "sleep") declare function sleep(address: usize, seen: i32): void;

/** Waits at a barrier that are left for which this thread spins shortly. */
let shortWaits: i32 = 0;

/** Blocks until the word at `address` differs from `seen`; returns whether `spins` looks at it were enough. */
// @ts-ignore: decorator
@inline
function waitForChange(address: usize, seen: i32, spins: i32): bool {
  for (let i = 0; i < spins; i++) {
    if (atomic.load<i32>(address) != seen) return true;
  }
  atomic.add<i32>(SLEEPERS, 1);
  while (atomic.load<i32>(address) == seen) sleep(address, seen);
  atomic.sub<i32>(SLEEPERS, 1);
  return false;
}

/** Wakes who waits for a change at `address`, after it: a thread that is not counted yet will see the change. */
// @ts-ignore: decorator
@inline
function wake(address: usize): void {
  if (atomic.load<i32>(SLEEPERS) > 0) atomic.notify(address, -1);
}

/** Returns when all `parts` threads have called it; what they wrote before is visible to all. */
export function barrier(parts: i32): void {
  if (parts == 1) return;
  const phase = atomic.load<i32>(PHASE);
  if (atomic.add<i32>(ARRIVED, 1) == parts - 1) {
    atomic.store<i32>(ARRIVED, 0);
    atomic.add<i32>(PHASE, 1);
    wake(PHASE);
  } else if (shortWaits > 0) {
    shortWaits--;
    waitForChange(PHASE, phase, SHORT_SPINS);
  } else if (!waitForChange(PHASE, phase, SPINS)) {
    shortWaits = SHORT_WAITS;
  }
}

/** The leader's side: hands `program` to the helpers. */
export function publish(program: usize, parts: i32): void {
  if (parts == 1) return;
  atomic.store<i32>(PROGRAM, <i32>program);
  atomic.store<i32>(PARTS, parts);
  atomic.add<i32>(GENERATION, 1);
  wake(GENERATION);
}

/** The helper's side: waits for a program after number `seen`, and returns its number. Numbers wrap around. */
export function nextProgram(seen: i32): i32 {
  waitForChange(GENERATION, seen, SPINS);
  return atomic.load<i32>(GENERATION);
}

/** Whether the engine stops: then there is no program behind the number. */
export function isStopping(): bool {
  return atomic.load<i32>(STOP) != 0;
}

export function publishedProgram(): usize {
  return <usize>atomic.load<i32>(PROGRAM);
}

export function publishedParts(): i32 {
  return atomic.load<i32>(PARTS);
}
