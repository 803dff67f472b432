// The packing kernels against the plain TypeScript ones, bit for bit, piece by piece and with several threads.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { uniform } from "../../decoding/random.ts";
import { WasmExecutor } from "../host/executor.ts";
import { Arena, LinearMemory, rowStride } from "../memory.ts";
import { BLOCK, BLOCK_BYTES, DIGEST_BYTES, DIGESTED_BYTES, GROUP } from "../numbers.ts";
import { allocateProgram, type Executor, Kernels, type Linear } from "../program.ts";
import { toHalf } from "./half.ts";
import { ReferenceExecutor } from "./kernels.ts";

interface Bench {
  readonly memory: LinearMemory;
  readonly kernels: Kernels;
  readonly executor: Executor;
  readonly operands: number;
}

/** Runs `work` on a fresh memory of `bytes`, and returns its contents after that. */
async function imageAfter(
  bytes: number,
  start: (memory: LinearMemory) => Executor,
  work: (bench: Bench) => void,
): Promise<Int32Array> {
  const arena = new Arena();
  const space = allocateProgram(arena, { maxInstructions: 16, contextLength: 64, threads: 3 });
  const operands = arena.allocate(bytes);
  const memory = new LinearMemory(arena.size);
  const executor = start(memory);
  work({ memory, kernels: new Kernels(executor, space), executor, operands });
  await executor.close();
  return memory.i32.slice(operands >>> 2, arena.size >>> 2);
}

async function assertSameBits(bytes: number, work: (bench: Bench) => void): Promise<Int32Array> {
  const expected = await imageAfter(bytes, (memory) => new ReferenceExecutor(memory), work);
  for (const threads of [1, 3]) {
    const actual = await imageAfter(bytes, (memory) => WasmExecutor.start(memory, threads), work);
    const at = actual.findIndex((word, i) => word !== expected[i]);
    assert.equal(at, -1, `${threads} threads: word ${at} is ${actual[at]}, not ${expected[at]}`);
  }
  return expected;
}

function packedBytes(kind: Linear["kind"], inWidth: number, outWidth: number): number {
  if (kind === "f32") return 4 * inWidth * rowStride(outWidth);
  return Math.ceil(outWidth / BLOCK) * Math.ceil(inWidth / GROUP) * BLOCK_BYTES;
}

/** Values whose quotients are ties, a group of zeros, tiny and huge numbers, NaN and infinity. */
function valueAt(i: number): number {
  if (i % 97 === 0) return 127;
  if (i % 11 === 0) return 0.5 + (i % 40) - 20;
  if (i === 1) return Number.NaN;
  if (i === 2) return Number.POSITIVE_INFINITY;
  return (4 * uniform(5, 0, i) - 2) * 2 ** (Math.floor(i / 300) % 5 === 4 ? -140 : i % 7);
}

describe("packing kernels give the reference's bits", () => {
  for (const kind of ["f32", "int8", "rotated"] as const) {
    for (const [inWidth, outWidth] of [
      [128, 48],
      [70, 22],
      [198, 7],
      [30, 64],
    ] as const) {
      it(`${kind} [${inWidth}, ${outWidth}], stored either way, in pieces`, async () => {
        const bytes = packedBytes(kind, inWidth, outWidth);
        const values = Float32Array.from({ length: inWidth * outWidth }, (_, i) => valueAt(i));
        values.fill(0, 600, 760);
        const packed = (rows: number, width: number, pieceRows: number, pack: "packInOut" | "packOutIn") =>
          assertSameBits(bytes + 4 * inWidth * outWidth + 128, ({ memory, kernels, operands }) => {
            const x = Math.ceil((operands + bytes) / 64) * 64;
            for (let begin = 0; begin < rows; begin += pieceRows) {
              const count = Math.min(pieceRows, rows - begin);
              memory.floats(x, count * width).set(values.subarray(begin * width, (begin + count) * width));
              const linear: Linear = { kind, weight: operands, bias: 0, inWidth, outWidth };
              kernels[pack](linear, x, { begin, count });
              kernels.run();
            }
          });
        const inOut = await packed(inWidth, outWidth, 64, "packInOut");
        const whole = await packed(inWidth, outWidth, 256, "packInOut");
        assert.deepEqual(inOut.subarray(0, bytes / 4), whole.subarray(0, bytes / 4));
        await packed(outWidth, inWidth, 16, "packOutIn");
      });
    }
  }

  it("half precision and bfloat16, both ways; what is too large is reported", async () => {
    const count = 16 * 5 + 6;
    for (const spoilt of [-1, 3, count - 1]) {
      const image = await assertSameBits(4096, ({ memory, kernels, operands }) => {
        const values = Float32Array.from({ length: count }, (_, i) => valueAt(i + 3) * 2 ** -(i % 20));
        if (spoilt >= 0) values[spoilt] = -65520;
        memory.floats(operands + 64, count).set(values);
        kernels.narrowHalves(operands + 1024, operands + 64, count, operands);
        kernels.run();
        // The numbers that do not fit have no halves.
        if (spoilt >= 0) new Uint16Array(memory.wasm.buffer, operands + 1024)[spoilt] = 0;
        kernels.widen("F16", operands + 2048, operands + 1024, count);
        kernels.widen("BF16", operands + 3072, operands + 1024, count);
        kernels.run();
      });
      assert.equal(new Float32Array(image.buffer)[0], spoilt >= 0 ? -65520 : 0);
      assert.equal(new Uint16Array(image.buffer)[512 + 5], toHalf(valueAt(8) * 2 ** -5));
    }
  });

  it("digests tell of any bit, and of words that changed places", async () => {
    const bytes = DIGESTED_BYTES + 640;
    const digestOf = (change: (words: Int32Array) => void) =>
      assertSameBits(bytes + 64, ({ memory, kernels, operands }) => {
        const words = memory.ints(operands + 64, bytes / 4);
        for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 0x2545f491);
        change(words);
        kernels.digest(operands, operands + 64, bytes);
        kernels.run();
      }).then((image) => image.slice(0, (2 * DIGEST_BYTES) / 4));
    const plain = await digestOf(() => {});
    const changes: ((words: Int32Array) => void)[] = [
      (words) => words.set([(words[0] as number) ^ 1]),
      (words) => words.set([(words[16] as number) ^ (1 << 31)], 16),
      (words) => {
        for (const i of [40, 56]) words[i] = (words[i] as number) ^ (1 << 31);
      },
      (words) => words.copyWithin(32, 48, 64),
      (words) => words.fill(0, words.length - 100),
    ];
    for (const change of changes) assert.notDeepEqual(await digestOf(change), plain);
  });
});
