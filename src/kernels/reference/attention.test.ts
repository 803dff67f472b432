// 8-bit keys and values by their definition: they are close to the numbers that were stored, whatever their size, and attention
// reads them so. `../kernels.test.ts` tests that every build has the same bits.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { uniform } from "../../decoding/random.ts";
import { Arena, LinearMemory, rowStride } from "../memory.ts";
import { KV_MAX, PAGE_POSITIONS } from "../numbers.ts";
import { allocateProgram, headBytes, Kernels, type KvKind } from "../program.ts";
import { ReferenceExecutor } from "./kernels.ts";

const HEAD_SIZE = 20;
const ROWS = PAGE_POSITIONS + 4;
const PAGES = [1, 0];

/** Stores one head of one sequence from its beginning, and runs attention on it. */
function attended(kind: KvKind, qkv: (i: number) => number) {
  const arena = new Arena();
  const space = allocateProgram(arena, { maxInstructions: 4, contextLength: 64, threads: 1 });
  const stride = rowStride(3 * HEAD_SIZE);
  const x = arena.floats(ROWS * stride);
  const out = arena.floats(ROWS * rowStride(HEAD_SIZE));
  const [positions, pageTables, numbers] = [
    arena.floats(ROWS),
    arena.floats(ROWS),
    arena.floats(PAGES.length),
  ];
  const pageBytes = headBytes(kind, HEAD_SIZE);
  const kv = {
    kind,
    pageBytes,
    heads: 1,
    headSize: HEAD_SIZE,
    address: arena.allocate(PAGES.length * pageBytes),
  };
  const memory = new LinearMemory(arena.size);
  memory.floats(x, ROWS * stride).forEach((_, i, all) => void all.fill(qkv(i), i, i + 1));
  memory.ints(positions, ROWS).set(Array.from({ length: ROWS }, (_, i) => i));
  memory.ints(pageTables, ROWS).fill(numbers);
  memory.ints(numbers, PAGES.length).set(PAGES);
  const kernels = new Kernels(new ReferenceExecutor(memory), space);
  const rows = { tokens: 0, positions, pageTables, rows: ROWS };
  kernels.storeKv(x, rows, kv);
  kernels.attention(out, x, rows, kv, 0.25);
  kernels.run();
  const results = Array.from({ length: ROWS }, (_, row) =>
    Array.from(memory.floats(out + 4 * row * rowStride(HEAD_SIZE), HEAD_SIZE)),
  );
  return { memory, kv, stored: (row: number) => memory.floats(x + 4 * row * stride, 3 * HEAD_SIZE), results };
}

describe("8-bit keys and values", () => {
  it("are within half a step of what was stored, which is at most a hundredth larger than it must be", () => {
    const { memory, kv, stored } = attended(
      "int8",
      (i) => 10 ** (8 * uniform(1, 0, i >> 6) - 4) * (uniform(2, 0, i) - 0.5),
    );
    for (let row = 0; row < ROWS; row++) {
      const slot = row % PAGE_POSITIONS;
      const page = kv.address + (PAGES[Math.floor(row / PAGE_POSITIONS)] as number) * kv.pageBytes;
      const bytes = new Int8Array(memory.wasm.buffer, page, kv.pageBytes);
      const scales = new Uint16Array(
        memory.wasm.buffer,
        page + kv.pageBytes - 4 * PAGE_POSITIONS,
        2 * PAGE_POSITIONS,
      );
      for (const [scaleAt, begin, byteAt] of [
        [slot, HEAD_SIZE, (i: number) => i * PAGE_POSITIONS + slot],
        [
          PAGE_POSITIONS + slot,
          2 * HEAD_SIZE,
          (i: number) => HEAD_SIZE * PAGE_POSITIONS + slot * HEAD_SIZE + i,
        ],
      ] as const) {
        const scale = new Float32Array(Int32Array.of((scales[scaleAt] as number) << 16).buffer)[0] as number;
        const exact = stored(row).subarray(begin, begin + HEAD_SIZE);
        const largest = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        assert.ok(scale >= largest / KV_MAX && scale <= (1.01 * largest) / KV_MAX, `${scale} for ${largest}`);
        exact.forEach((value, i) => {
          const difference = Math.abs((bytes[byteAt(i)] as number) * scale - value);
          assert.ok(
            difference <= 0.5001 * scale,
            `row ${row}: ${value} is off by ${difference / scale} steps`,
          );
        });
      }
    }
  });

  it("give about what f32 ones give", () => {
    const number = (i: number): number => 4 * uniform(3, 0, i) - 2;
    const [exact, close] = [attended("f32", number), attended("int8", number)];
    let largest = 0;
    exact.results.forEach((row, r) => {
      row.forEach((value, i) => {
        largest = Math.max(largest, Math.abs(value - (close.results[r]?.[i] as number)));
      });
    });
    assert.ok(largest > 0 && largest < 0.03, `off by ${largest}`);
  });
});
