// The native kernels, as WebAssembly sees them: two imported functions, and masks of what they do in the place of the code
// here. Where none are built the masks are 0.

/** Kernels with a native form, as bits by their numbers. */
@external("env", "nativeKernels") declare const nativeKernels: i32;

/** Sums over a row of logits with a native form, as bits by their numbers. */
@external("env", "nativeRowSums") declare const nativeRowSums: i32;

/** Runs items `first` to `last` of an instruction, as thread `part`. */
@external("env", "runNative") export declare function runNative(instruction: usize, part: i32, first: i32, last: i32): void;

/** Computes a sum over what the scratch names, and stores it there. See `ROW_SCRATCH` in `../numbers.ts`. */
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
