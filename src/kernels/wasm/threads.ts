// The control block in shared memory and the barrier between kernels. Waiting spins for some microseconds, since the
// next kernel usually starts that soon, and then sleeps, so that an idle engine costs nothing.
// Offsets: the same as `CONTROL` in `../program.ts`.

const GENERATION: usize = 64; // raised by the leader for every program; helpers wait for it
const PROGRAM: usize = 68;
const PARTS: usize = 72;
const STOP: usize = 76;
const ARRIVED: usize = 128; // threads that reached the barrier
const PHASE: usize = 192; // raised when all have arrived

const SPINS: i32 = 4000;

/** Blocks until the word at `address` differs from `seen`. */
// @ts-ignore: decorator
@inline
function waitForChange(address: usize, seen: i32): void {
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<i32>(address) != seen) return;
  }
  while (atomic.load<i32>(address) == seen) atomic.wait<i32>(address, seen, -1);
}

/** Returns when all `parts` threads have called it; what they wrote before is visible to all. */
export function barrier(parts: i32): void {
  if (parts == 1) return;
  const phase = atomic.load<i32>(PHASE);
  if (atomic.add<i32>(ARRIVED, 1) == parts - 1) {
    atomic.store<i32>(ARRIVED, 0);
    atomic.add<i32>(PHASE, 1);
    atomic.notify(PHASE, -1);
  } else {
    waitForChange(PHASE, phase);
  }
}

/** The leader's side: hands `program` to the helpers. */
export function publish(program: usize, parts: i32): void {
  if (parts == 1) return;
  atomic.store<i32>(PROGRAM, <i32>program);
  atomic.store<i32>(PARTS, parts);
  atomic.add<i32>(GENERATION, 1);
  atomic.notify(GENERATION, -1);
}

/** The helper's side: waits for a program after number `seen`. Returns its number, or −1 when the engine stops. */
export function nextProgram(seen: i32): i32 {
  waitForChange(GENERATION, seen);
  if (atomic.load<i32>(STOP)) return -1;
  return atomic.load<i32>(GENERATION);
}

export function publishedProgram(): usize {
  return <usize>atomic.load<i32>(PROGRAM);
}

export function publishedParts(): i32 {
  return atomic.load<i32>(PARTS);
}
