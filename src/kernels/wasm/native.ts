// The native kernels, as seen from WebAssembly: imported, with a mask of the instructions that they run. Where they are
// not built the mask is 0. What an instruction is: `../program.ts`.

/** The instructions that native kernels run in place of those here, as bits by their numbers. */
@external("env", "nativeOps") declare const nativeOps: i32;

/** Runs items `first` to `last` of an instruction, as thread `part`. */
@external("env", "native") export declare function native(instruction: usize, part: i32, first: i32, last: i32): void;

// @ts-ignore: decorator
@inline
export function isNative(op: i32): bool {
  return op < 32 && ((nativeOps >> op) & 1) == 1;
}

// Sums over one row of logits are no instructions of a program; they are asked for in the form of one, in the control
// block, by the engine's thread alone.
export const WEIGH: i32 = 12;
export const SUM_EXP: i32 = 13;
export const MASS_ABOVE: i32 = 14;

const CALL: usize = 512;

/** `count` values, and their masses if the sum is over those; `bound`: the largest value, or a threshold. */
export function overRow(op: i32, masses: usize, values: usize, bound: f64, count: i32): f64 {
  store<i32>(CALL, op);
  store<i32>(CALL, <i32>masses, 8);
  store<i32>(CALL, <i32>values, 12);
  store<f64>(CALL, bound, 16);
  native(CALL, 0, 0, count);
  return load<f64>(CALL, 24);
}
