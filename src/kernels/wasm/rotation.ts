// The rotation of `../reference/rotation.ts`, in place, with the same stages of sums and differences. It rotates one group whose
// numbers lie side by side, or four groups at once, one in each lane of 64 vectors.
import { GROUP } from "./numbers.generated";

const ROTATED_BYTES: usize = 4 * GROUP; // of one group, as floats

/** Two stages over `bytes` bytes: first of vectors that are 2·`apart` bytes apart, then of vectors `apart` bytes apart. */
// @ts-ignore: decorator
@inline
function twoStages(x: usize, bytes: usize, apart: usize): void {
  for (let block = x; block < x + bytes; block += 4 * apart) {
    for (let p = block; p < block + apart; p += 16) {
      const q = p + 2 * apart;
      const a = v128.load(p);
      const b = v128.load(p + apart);
      const c = v128.load(q);
      const d = v128.load(q + apart);
      const ac = f32x4.add(a, c);
      const bd = f32x4.add(b, d);
      v128.store(p, f32x4.add(ac, bd));
      v128.store(p + apart, f32x4.sub(ac, bd));
      const difference = f32x4.sub(a, c);
      const other = f32x4.sub(b, d);
      v128.store(q, f32x4.add(difference, other));
      v128.store(q + apart, f32x4.sub(difference, other));
    }
  }
}

/** Rotates 64 numbers that lie side by side. */
export function rotateGroup(x: usize): void {
  twoStages(x, ROTATED_BYTES, 64); // numbers 32 and 16 apart
  twoStages(x, ROTATED_BYTES, 16); // 8 and 4
  const eighth = f32x4.splat(0.125);
  const pairs = i32x4(0, 0, i32.MIN_VALUE, i32.MIN_VALUE);
  const neighbours = i32x4(0, i32.MIN_VALUE, 0, i32.MIN_VALUE);
  for (let p = x; p < x + ROTATED_BYTES; p += 16) {
    let v = v128.load(p);
    v = f32x4.add(i32x4.shuffle(v, v, 2, 3, 0, 1), v128.xor(v, pairs));
    v = f32x4.add(i32x4.shuffle(v, v, 1, 0, 3, 2), v128.xor(v, neighbours));
    v128.store(p, f32x4.mul(v, eighth));
  }
}

/** Rotates four groups, one in each lane of 64 vectors. */
export function rotateColumns(x: usize): void {
  const bytes: usize = 4 * ROTATED_BYTES;
  twoStages(x, bytes, ROTATED_BYTES); // vectors 32 and 16 apart
  twoStages(x, bytes, 64); // 8 and 4
  twoStages(x, bytes, 16); // 2 and 1
  const eighth = f32x4.splat(0.125);
  for (let p = x; p < x + bytes; p += 16) v128.store(p, f32x4.mul(v128.load(p), eighth));
}
