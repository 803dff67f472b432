import assert from "node:assert/strict";
import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryDirectory, writeSafetensors } from "../../../../test/support/checkpoints.ts";
import {
  legacyFile,
  legacyOf,
  op,
  type SavedTensor,
  type StateDictOptions,
  stateDictPickle,
  zipFile,
  zipItems,
  zipOf,
} from "../../../../test/support/pickles.ts";
import { SafetensorsFile } from "../safetensors.ts";
import { numbersOf } from "../tensor.ts";
import { PytorchFile } from "./pytorch-file.ts";

const directory = temporaryDirectory();
after(() => directory.remove());
const path = join(directory.path, "pytorch_model.bin");

const FORMATS = { zip: zipFile, legacy: legacyFile } as const;

function opened(bytes: Uint8Array): PytorchFile {
  writeFileSync(path, bytes);
  return PytorchFile.open(path);
}

/** 0, 1, 2, … */
function counting(count: number): Uint8Array {
  return new Uint8Array(Float32Array.from({ length: count }, (_, i) => i).buffer);
}

const table: SavedTensor = { name: "table", shape: [3, 4], dtype: "F32", bytes: counting(12) };

function numbers(file: PytorchFile, name: string, shape: readonly number[]): number[] {
  const count = shape.reduce((product, n) => product * n, 1);
  return [...numbersOf(file.tensor(name, shape), 0, count)];
}

for (const [format, write] of Object.entries(FORMATS)) {
  describe(`tensors of the ${format} format`, () => {
    it("are those of safetensors, bit for bit, in every type", () => {
      const doubles = new Uint8Array(Float64Array.of(1 + 2 ** -24, 0.1, -1e300, NaN, 2 ** -149, -0).buffer);
      const halves = new Uint8Array(Uint16Array.of(0, 1, 0x8000, 0x3c00, 0x7e01, 0xfc00).buffer);
      const tensors: SavedTensor[] = [
        { name: "f64", shape: [2, 3], dtype: "F64", bytes: doubles },
        { name: "f32", shape: [2, 3], dtype: "F32", bytes: counting(6) },
        { name: "f16", shape: [2, 3], dtype: "F16", bytes: halves },
        { name: "bf16", shape: [2, 3], dtype: "BF16", bytes: halves },
      ];
      const other = join(directory.path, "model.safetensors");
      writeSafetensors(other, tensors);
      const [file, expected] = [opened(write(tensors)), SafetensorsFile.open(other)];
      const bits = (one: PytorchFile | SafetensorsFile, name: string) =>
        new Uint32Array(numbersOf(one.tensor(name, [2, 3]), 0, 6).buffer);
      for (const { name } of tensors) assert.deepEqual(bits(file, name), bits(expected, name), name);
      const rounded = Float32Array.of(1, 0.1, -Infinity, NaN, 2 ** -149, -0);
      assert.deepEqual([...numbersOf(file.tensor("f64", [2, 3]), 0, 6)], [...rounded]);
      expected.close();
      file.close();
    });

    it("are read row by row, however they lie: transposed, in part, repeated, shared", () => {
      const shared = { ...table, storage: "s" };
      const file = opened(
        write([
          { ...shared, name: "whole" },
          { ...shared, name: "tied" },
          { ...shared, name: "transposed", shape: [4, 3], strides: [1, 4] },
          { ...shared, name: "columns", shape: [3, 2], strides: [4, 1], offset: 2 },
          { ...shared, name: "second", shape: [2, 2], strides: [8, 2], offset: 1 },
          { ...shared, name: "repeated", shape: [2, 3], strides: [0, 1], offset: 9 },
          { ...shared, name: "cube", shape: [2, 1, 3], strides: [1, 99, 4] },
          { ...shared, name: "one", shape: [], offset: 11 },
          { ...shared, name: "none", shape: [0, 4] },
        ]),
      );
      const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
      assert.deepEqual(numbers(file, "whole", [3, 4]), all);
      assert.deepEqual(numbers(file, "tied", [3, 4]), all);
      const transposed = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11];
      assert.deepEqual(numbers(file, "transposed", [4, 3]), transposed);
      assert.deepEqual([...numbersOf(file.tensor("transposed", [4, 3]), 5, 4)], transposed.slice(5, 9));
      assert.deepEqual(numbers(file, "columns", [3, 2]), [2, 3, 6, 7, 10, 11]);
      assert.deepEqual(numbers(file, "second", [2, 2]), [1, 3, 9, 11]);
      assert.deepEqual(numbers(file, "repeated", [2, 3]), [9, 10, 11, 9, 10, 11]);
      assert.deepEqual(numbers(file, "cube", [2, 1, 3]), [0, 4, 8, 1, 5, 9]);
      assert.deepEqual(numbers(file, "one", []), [11]);
      assert.deepEqual(numbers(file, "none", [0, 4]), []);
      file.close();
    });

    it("long runs of a part are read from the file, from and to any number", () => {
      const bytes = counting(40 * 400);
      const file = opened(write([{ ...table, bytes, shape: [40, 200], strides: [400, 1], offset: 150 }]));
      const expected = Array.from({ length: 8000 }, (_, i) => 400 * Math.floor(i / 200) + 150 + (i % 200));
      assert.deepEqual(numbers(file, "table", [40, 200]), expected);
      const part = numbersOf(file.tensor("table", [40, 200]), 333, 555);
      assert.deepEqual([...part], expected.slice(333, 888));
      file.close();
    });

    it("are found in every dress that people save them in", () => {
      const dresses: StateDictOptions[] = [
        { metadata: true },
        { nested: true },
        { protocol: 3 },
        { protocol: 4 },
      ];
      for (const dress of dresses) {
        const file = opened(write([table], dress));
        assert.deepEqual([...file.tensors.keys()], ["table"]);
        assert.deepEqual(numbers(file, "table", [3, 4]).at(-1), 11, JSON.stringify(dress));
        file.close();
      }
    });

    it("masks of other types are listed, and are no weights", () => {
      const mask = { shape: [2, 2], bytes: new Uint8Array(4) };
      const file = opened(
        write([
          { ...mask, name: "byte", dtype: "U8" },
          { ...mask, name: "bool", dtype: "BOOL" },
          { name: "__proto__", shape: [1], dtype: "F32", bytes: counting(1) },
        ]),
      );
      assert.throws(() => file.tensor("bool", [2, 2]), {
        code: "invalid_checkpoint",
        message: `${path}: tensor bool has type "BOOL", expected F32, F16, BF16 or F64`,
      });
      assert.throws(() => file.tensor("byte", [4]), {
        message: /tensor byte has shape \[2,2\], expected \[4\]/,
      });
      assert.throws(() => file.tensor("toString", [1]), { message: /tensor toString is missing/ });
      assert.deepEqual(numbers(file, "__proto__", [1]), [0]);
      file.close();
    });

    it("a file cut at any byte is refused, or all that it still has is right", () => {
      const bytes = write([table, { ...table, name: "b" }], { metadata: true });
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(
          () => opened(bytes.subarray(0, length)),
          { code: "invalid_checkpoint" },
          `${length} bytes`,
        );
      }
      assert.equal(opened(bytes).tensors.size, 2);
    });

    it("a file with any byte changed is refused, or read inside of its bounds", () => {
      const bytes = write([table, { ...table, name: "b", strides: [1, 3] }]);
      let refused = 0;
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ (1 << (at % 8));
        try {
          const file = opened(changed);
          for (const [name, { shape, dtype }] of file.tensors) {
            if (dtype === "F32") numbers(file, name, shape);
          }
          file.close();
        } catch (error) {
          assert.equal((error as { code?: string }).code, "invalid_checkpoint", `byte ${at}: ${error}`);
          refused++;
        }
      }
      assert.ok(refused > bytes.length / 8 && refused < bytes.length);
    });

    it("the hash changes with the place of a tensor", () => {
      const hashOf = (tensor: SavedTensor): string =>
        opened(write([tensor, { ...table, name: "z" }])).headerHash;
      assert.equal(hashOf(table), hashOf(table));
      assert.notEqual(hashOf(table), hashOf({ ...table, strides: [1, 3] }));
      assert.match(hashOf(table), /^[0-9a-f]{64}$/);
    });
  });
}

describe("places beyond 32 bits", () => {
  it("are read from the ZIP64 fields", () => {
    const file = opened(zipFile([table], { zip64: true }));
    assert.equal(numbers(file, "table", [3, 4]).at(-1), 11);
    file.close();
  });

  it("a storage of 4.3 GB, most of it a hole in the file", () => {
    const hole = 4_300_000_000;
    const tensor = { ...table, shape: [3], offset: hole / 4 - 3, bytes: new Uint8Array(0) };
    const { pickle } = stateDictPickle([tensor], { isLegacy: true });
    const length = { length: hole / 4, key: "0", bytes: new Uint8Array(0) };
    const honest = replaced(pickle, op.int(0), op.int(hole / 4));
    const head = legacyOf(honest, [length]);
    writeFileSync(path, head);
    truncateSync(path, head.length + hole);
    const fd = openSync(path, "r+");
    writeSync(fd, counting(3), 0, 12, head.length + hole - 12);
    closeSync(fd);
    const file = PytorchFile.open(path);
    assert.deepEqual(numbers(file, "table", [3]), [0, 1, 2]);
    file.close();
  });
});

/** The length in the persistent id is the first zero. */
function replaced(bytes: Buffer, from: Buffer, to: Buffer): Buffer {
  const at = bytes.indexOf(from);
  return Buffer.concat([bytes.subarray(0, at), to, bytes.subarray(at + from.length)]);
}

describe("files that are something else get a sentence", () => {
  const { pickle, storages } = stateDictPickle([table], { isLegacy: true });
  const legacy = legacyFile([table]);
  const items = zipItems([table]);
  const without = (name: string) => items.filter((item) => !item.name.endsWith(name));
  const archive = (name: string, bytes: string | Uint8Array) => ({
    name: `archive/${name}`,
    bytes: Buffer.from(bytes),
  });
  const data = items.findIndex(({ name }) => name.endsWith("data/0"));
  /** The zip with the data's entry changed. */
  const withData = (change: object) =>
    zipOf(items.map((item, i) => (i === data ? { ...item, ...change } : item)));
  const last = { ...archive("last", "x"), listed: { size: 60 } };
  /** Two storages whose names have the same length. Their names in the directory are exchanged. */
  function swapped(): Buffer {
    const both = zipItems([table, { ...table, name: "other" }]);
    const bytes = zipOf(both);
    const a = bytes.lastIndexOf("archive/data/0");
    const b = bytes.lastIndexOf("archive/data/1");
    bytes.write("1", a + 13);
    bytes.write("0", b + 13);
    return bytes;
  }
  const cases: [string, Uint8Array | string, RegExp][] = [
    ["empty", "", /is empty$/],
    ["a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\n", /is a pointer of Git LFS/],
    ["a web page", "<!DOCTYPE html><title>404</title>", /is a web page/],
    ["a tar file", Buffer.concat([Buffer.alloc(257), Buffer.from("ustar")]), /is a tar file/],
    ["noise", "weights", /is not a file of torch\.save/],
    ["a plain pickle", Buffer.from("\x80\x02}q\x00.", "latin1"), /not one that torch\.save wrote/],
    ["another format number", replaced(legacy, op.int(1001), op.int(1002)), /its format is not 1001/],
    ["big-endian", replaced(legacy, op.true, op.false), /little-endian/],
    ["a storage too many", legacyOf(pickle, storages, ["0", "1"]), /list of storages is not that/],
    ["a storage twice", legacyOf(pickle, storages, ["0", "0"]), /list of storages is not that/],
    ["a storage too few", legacyOf(pickle, storages, []), /list of storages is not that/],
    [
      "another number of elements",
      legacyOf(
        pickle,
        storages.map((one) => ({ ...one, length: 13 })),
      ),
      /storage "0" has 13 numbers, expected 12/,
    ],
    ["a zip of something", zipOf([{ name: "a/b", bytes: new Uint8Array(3) }]), /no single data\.pkl/],
    [
      "two pickles",
      zipOf([...items, { name: "b/data.pkl", bytes: new Uint8Array(3) }]),
      /no single data\.pkl/,
    ],
    ["TorchScript", zipOf([...items, archive("constants.pkl", "")]), /is a TorchScript program/],
    ["big-endian zip", zipOf([...without("byteorder"), archive("byteorder", "big")]), /byte order is "big"/],
    ["no storage", zipOf(without("data/0")), /lacks the storage "0"/],
    ["a short storage", withData({ bytes: counting(11) }), /storage "0" has 44 bytes, expected 48/],
    ["deflated", withData({ method: 8 }), /"archive\/data\/0" is compressed/],
    ["swelling", withData({ listed: { size: 48, packed: 4 } }), /"archive\/data\/0" is compressed/],
    ["encrypted", withData({ flags: 0x0809 }), /"archive\/data\/0" is encrypted/],
    [
      "two of a name",
      zipOf([...items, ...items.slice(data, data + 1)]),
      /has two entries "archive\/data\/0"/,
    ],
    ["overlapping", withData({ listed: { size: 4800 } }), /"archive\/\w+" overlaps|does not lie in the file/],
    ["one over another", withData({ listed: { size: 70 } }), /overlaps another/],
    ["on top of another", withData({ listed: { position: 0 } }), /differs from what the zip directory says/],
    ["each in the other's place", swapped(), /differs from what the zip directory says/],
    ["into the directory", zipOf([...items, last]), /"archive\/last" does not lie in the file/],
    ["far away", withData({ listed: { position: 1 << 30 } }), /does not lie in the file/],
    ["outside", zipOf([...items, { name: "../../x", bytes: new Uint8Array(1) }]), /is no path inside/],
    ["absolute", zipOf([...items, { name: "/etc/x", bytes: new Uint8Array(1) }]), /is no path inside/],
    ["of Windows", zipOf([...items, { name: "a\\x", bytes: new Uint8Array(1) }]), /is no path inside/],
  ];
  for (const [name, bytes, message] of cases) {
    it(name, () => {
      const error = refusal(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
      assert.match(error, message);
    });
  }
});

function refusal(bytes: Uint8Array): string {
  try {
    opened(bytes).close();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    assert.equal(code, "invalid_checkpoint", message);
    assert.ok(message.startsWith(`${path}: `) && !message.includes("\n"), message);
    return message;
  }
  return assert.fail("it was read");
}
