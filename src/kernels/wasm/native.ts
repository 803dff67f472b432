// The native kernels, as WebAssembly sees them: two imported functions, and two masks that tell which kernels and sums they
// replace. Without native kernels the masks are 0.

/** Bit n is set if kernel number n has a native form. */
@external("env", "nativeKernels") declare const nativeKernels: i32;

/** Bit n is set if sum number n over a row of logits has a native form. */
@external("env", "nativeRowSums") declare const nativeRowSums: i32;

/** Runs items `first` to `last` of an instruction, as thread `part`. */
@external("env", "runNative") export declare function runNative(instruction: usize, part: i32, first: i32, last: i32): void;

/** Computes a sum. The scratch has its input and gets its result. See `ROW_SCRATCH` in `../numbers.ts`. */
@external("env", "sumNative") export declare function sumNative(sum: i32, scratch: usize): void;

// @ts-ignore: decorator
@inline
export function isNativeKernel(op: i32): bool {
  return op < 32 && ((nativeKernels >> op) & 1) == 1;
}

// @ts-ignore: decorator
@inline
export function isNativeSum(sum: i32): bool {
  return ((nativeRowSums >> sum) & 1) == 1;
}
