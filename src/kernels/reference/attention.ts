// Causal attention over pages of keys and values, in plain TypeScript: the definition of its bits. A score has one accumulator,
// d ascending. An output has one accumulator, positions ascending. Keys and values are f32 or 8 bits. With 8 bits each position
// of a head has two scales in bfloat16, one for its keys and one for its values. A score is multiplied by the scale of its keys,
// and a weight by the scale of its values. In f32 both scales are 1.

import type { Arguments } from "../instruction.ts";
import { type LinearMemory, rowStride } from "../memory.ts";
import { KV_MAX, KV_SCALE_BYTES, PAGE_POSITIONS } from "../numbers.ts";
import { headBytes, type KvKind, valueStride } from "../program.ts";
import { nearest } from "./int8.ts";
import { exp, partialSums } from "./math.ts";

const f = Math.fround;

type StoreKv = Arguments<"storeKv"> | Arguments<"storeKvInt8">;
type Attention = Arguments<"attention"> | Arguments<"attentionInt8">;

/** Where one position of a head lies: indexes of its first key and its first value, and of their scales. */
interface Place {
  /** The next key is `PAGE_POSITIONS` numbers further, the next value 1. */
  readonly key: number;
  readonly value: number;
  /** Indexes of 16-bit words. Unused in f32. */
  readonly keyScale: number;
  readonly valueScale: number;
}

/** `table`: the address of a sequence's page numbers. */
function placeOf(
  { i32 }: LinearMemory,
  kind: KvKind,
  a: StoreKv | Attention,
  { table, position, head }: { table: number; position: number; head: number },
): Place {
  const { headSize } = a;
  const page = i32[(table >>> 2) + Math.floor(position / PAGE_POSITIONS)] as number;
  const slot = position % PAGE_POSITIONS;
  const begin = 4 * a.pages + page * a.pageBytes + head * headBytes(kind, headSize);
  const first = begin / (kind === "f32" ? 4 : 1);
  const values = first + headSize * PAGE_POSITIONS;
  const scales = (begin + headBytes(kind, headSize)) / KV_SCALE_BYTES - 2 * PAGE_POSITIONS + slot;
  return {
    key: first + slot,
    value: values + slot * valueStride(headSize),
    keyScale: scales,
    valueScale: scales + PAGE_POSITIONS,
  };
}

/** A bfloat16 number, which is the upper half of an f32. */
function fromBf16(bits: number): number {
  return new Float32Array(Int32Array.of(bits << 16).buffer)[0] as number;
}

/** The bits of the smallest bfloat16 that is not below x ≥ 0. */
function bf16Above(x: number): number {
  if (Number.isNaN(x)) return 0x7fc0;
  return ((new Int32Array(Float32Array.of(x).buffer)[0] as number) + 0xffff) >>> 16;
}

/**
 * Quantises the keys or values of one head to integers up to `KV_MAX`. Returns the bits of their scale, which is rounded up so
 * that no integer is too large. If 1 / scale is too large for f32, all integers are 0.
 */
function quantizeHead(x: Float32Array, set: (i: number, value: number) => void): number {
  let largest = 0;
  for (const value of x) largest = Math.max(largest, Math.abs(value));
  const scale = bf16Above(f(largest / KV_MAX));
  const quotient = f(1 / fromBf16(scale));
  const inverse = quotient < Number.POSITIVE_INFINITY ? quotient : 0;
  x.forEach((value, i) => {
    set(i, nearest(f(value * inverse)));
  });
  return scale;
}

function storeKvOf(kind: KvKind, memory: LinearMemory, a: StoreKv): void {
  const { f32, i32, wasm } = memory;
  const { heads, headSize } = a;
  const width = heads * headSize;
  const numbers = kind === "f32" ? f32 : new Int8Array(wasm.buffer);
  const scales = new Uint16Array(wasm.buffer);
  for (let item = 0; item < a.items; item++) {
    const [row, head] = [Math.floor(item / heads), item % heads];
    const position = i32[a.positions + row] as number;
    const table = i32[a.pageTables + row] as number;
    const place = placeOf(memory, kind, a, { table, position, head });
    const from = a.qkv + row * rowStride(3 * width) + width + head * headSize;
    const k = f32.subarray(from, from + headSize);
    const v = f32.subarray(from + width, from + width + headSize);
    const setKey = (i: number, value: number): void => {
      numbers[place.key + i * PAGE_POSITIONS] = value;
    };
    const setValue = (i: number, value: number): void => {
      numbers[place.value + i] = value;
    };
    if (kind === "f32") {
      k.forEach((value, i) => void setKey(i, value));
      v.forEach((value, i) => void setValue(i, value));
    } else {
      scales[place.keyScale] = quantizeHead(k, setKey);
      scales[place.valueScale] = quantizeHead(v, setValue);
    }
    for (let i = headSize; i < valueStride(headSize); i++) setValue(i, 0);
  }
}

function attentionOf(kind: KvKind, memory: LinearMemory, a: Attention): void {
  const { f32, i32, wasm } = memory;
  const { heads, headSize } = a;
  const width = heads * headSize;
  const numbers = kind === "f32" ? f32 : new Int8Array(wasm.buffer);
  const scales = new Uint16Array(wasm.buffer);
  const scaleAt = (index: number): number => (kind === "f32" ? 1 : fromBf16(scales[index] as number));
  for (let item = 0; item < a.items; item++) {
    const [row, head] = [Math.floor(item / heads), item % heads];
    const table = i32[a.pageTables + row] as number;
    const count = (i32[a.positions + row] as number) + 1;
    const places = Array.from({ length: count }, (_, position) =>
      placeOf(memory, kind, a, { table, position, head }),
    );
    const q = a.qkv + row * rowStride(3 * width) + head * headSize;
    const weights = Float32Array.from(places, ({ key, keyScale }) => {
      let sum = 0;
      for (let i = 0; i < headSize; i++) {
        sum = f(sum + f((f32[q + i] as number) * (numbers[key + i * PAGE_POSITIONS] as number)));
      }
      return sum * f(a.scale * scaleAt(keyScale));
    });
    const largest = weights.reduce((m, w) => Math.max(m, w), -Infinity);
    for (let j = 0; j < count; j++) weights[j] = exp(f((weights[j] as number) - largest));
    const total = partialSums(count, (j) => weights[j] as number);
    places.forEach(({ valueScale }, j) => {
      weights[j] = (weights[j] as number) * scaleAt(valueScale);
    });
    for (let i = 0; i < headSize; i++) {
      let sum = 0;
      places.forEach(({ value }, j) => {
        sum = f(sum + f((weights[j] as number) * (numbers[value + i] as number)));
      });
      f32[a.out + row * rowStride(width) + head * headSize + i] = f(sum / total);
    }
  }
}

export function storeKv(memory: LinearMemory, a: Arguments<"storeKv">): void {
  storeKvOf("f32", memory, a);
}

export function storeKvInt8(memory: LinearMemory, a: Arguments<"storeKvInt8">): void {
  storeKvOf("int8", memory, a);
}

export function attention(memory: LinearMemory, a: Arguments<"attention">): void {
  attentionOf("f32", memory, a);
}

export function attentionInt8(memory: LinearMemory, a: Arguments<"attentionInt8">): void {
  attentionOf("int8", memory, a);
}
