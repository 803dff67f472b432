// The directory of a zip file, at its bounds: what just fits is read, and one more is refused with a sentence.
import assert from "node:assert/strict";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryDirectory } from "../../../../test/support/checkpoints.ts";
import { type SavedTensor, zipItems, zipOf } from "../../../../test/support/pickles.ts";
import { OpenFile } from "../open-file.ts";
import { readZipDirectory } from "./zip-archive.ts";
import { readZipFile } from "./zip-file.ts";

const directory = temporaryDirectory();
after(() => directory.remove());
const path = join(directory.path, "weights.zip");

/** What `read` makes of a file of these bytes, with a hole before the last `endBytes` of them. */
function reading<Result>(
  read: (file: OpenFile) => Result,
  bytes: Uint8Array,
  hole = 0,
  endBytes = 22,
): Result {
  const endAt = Math.max(0, bytes.length - endBytes);
  const fd = openSync(path, "w");
  ftruncateSync(fd, bytes.length + hole);
  writeSync(fd, bytes.subarray(0, endAt), 0, endAt, 0);
  writeSync(fd, bytes.subarray(endAt), 0, bytes.length - endAt, endAt + hole);
  closeSync(fd);
  return OpenFile.with(path, (file) => {
    const result = read(file);
    file.close();
    return result;
  });
}

const placesIn = (bytes: Uint8Array) => [...reading(readZipDirectory, bytes).entries];

function isRefused(
  bytes: Uint8Array,
  problem: RegExp,
  hole = 0,
  read: (file: OpenFile) => unknown = readZipDirectory,
) {
  assert.throws(
    () => reading(read, bytes, hole),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, "invalid_checkpoint", error.stack);
      assert.ok(error.message.startsWith(`${path}: `), error.message);
      assert.match(error.message, problem);
      assert.ok(error.message.length < 300 && !error.message.includes("\n"));
      return true;
    },
  );
}

const items = ["a", "b"].map((name) => ({ name, bytes: new Uint8Array(8).fill(1) }));
const plain = zipOf(items);
const large = zipOf(items, { zip64: true });
const END = plain.length - 22;
const DIRECTORY = plain.indexOf("PK\x01\x02");
const LAST = plain.lastIndexOf("PK\x01\x02");

type Change = readonly [at: number, value: number, bytes?: 2 | 4];

/** The bytes of a zip file with other numbers at some places. */
function changed(zip: Buffer, ...changes: readonly Change[]): Buffer {
  const bytes = Buffer.from(zip);
  for (const [at, value, width = 4] of changes) bytes.writeUIntLE(value, at, width);
  return bytes;
}

/** A zip file whose only entry is empty and ends where the directory begins, without a byte between them. */
function tight(extraLength = 0): Buffer {
  const local = Buffer.alloc(31);
  local.write("PK\x03\x04");
  local.writeUInt16LE(1, 26);
  local.writeUInt16LE(extraLength, 28);
  local.write("a", 30);
  const listed = Buffer.alloc(47);
  listed.write("PK\x01\x02");
  listed.writeUInt16LE(1, 28);
  listed.write("a", 46);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06");
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, listed, end]);
}

describe("a zip directory", () => {
  it("lists its entries in both formats", () => {
    const expected = [
      ["a", { begin: 64, end: 72 }],
      ["b", { begin: 128, end: 136 }],
    ];
    assert.deepEqual(placesIn(plain), expected);
    assert.deepEqual(placesIn(large), expected);
    assert.deepEqual(placesIn(tight()), [["a", { begin: 31, end: 31 }]]);
  });

  it("lies before its end, to the byte", () => {
    const size = plain.readUInt32LE(END + 12);
    isRefused(changed(plain, [END + 12, size + 1]), /zip directory of \d+ bytes at byte \d+ does not lie/);
    isRefused(
      changed(plain, [END + 16, DIRECTORY + 1]),
      /zip directory of \d+ bytes at byte \d+ does not lie/,
    );
    isRefused(changed(plain, [END + 4, 1]), /does not lie in the file/);
  });

  it("has as many entries as it says, each of them whole", () => {
    isRefused(changed(plain, [END + 10, 3, 2]), /zip directory of 3 entries in 94 bytes$/);
    isRefused(changed(plain, [END + 12, 45], [END + 10, 1, 2]), /zip directory of 1 entries in 45 bytes$/);
    const spare = 46;
    const behind = Buffer.concat([plain.subarray(0, END), Buffer.alloc(spare), plain.subarray(END)]);
    const size = plain.readUInt32LE(END + 12) + spare;
    const third = changed(behind, [END + spare + 10, 3, 2], [END + spare + 12, size]);
    isRefused(third, /directory is damaged at entry 3 of 3$/);
    // The third entry has two of its 46 bytes, though the three together have room.
    const comment = changed(third, [LAST + 32, 44, 2]);
    isRefused(comment, /directory is damaged at entry 3 of 3$/);
    for (const at of [28, 30, 32]) {
      const length = plain.readUInt16LE(LAST + at);
      isRefused(changed(plain, [LAST + at, length + 1, 2]), /directory is damaged at entry 2 of 2$/);
    }
  });

  it("is not read when it is larger than any that PyTorch writes", () => {
    const hole = 64_000_000;
    const at = END - 94;
    const sized = (count: number, size: number) =>
      changed(plain, [END + 10, count, 2], [END + 12, size], [END + 16, at]);
    isRefused(sized(2, hole + 1), /zip directory of 2 entries in 64000001 bytes$/, hole);
    assert.equal(reading(readZipDirectory, sized(2, hole), hole).entries.size, 2);
  });

  it("in the format of 64 bits has no more entries either", () => {
    const end64 = large.indexOf("PK\x06\x06");
    const count = 200_001;
    const hole = count * 46;
    const bytes = changed(
      large,
      [end64 + 32, count],
      [end64 + 40, hole],
      [large.length - 42 + 8, end64 + hole],
    );
    assert.throws(() => reading(readZipDirectory, bytes, hole, large.length - end64), {
      message: `${path}: has a zip directory of ${count} entries in ${hole} bytes`,
    });
  });

  it("in the format of 64 bits stands before its locator, to the byte", () => {
    const end64 = large.indexOf("PK\x06\x06");
    const locator = large.indexOf("PK\x06\x07");
    isRefused(changed(large, [locator + 8, end64 + 1]), /ZIP64 record does not lie in the file$/);
    isRefused(changed(large, [locator + 12, 1 << 22]), /ZIP64 record does not lie in the file$/);
    isRefused(changed(large, [locator + 8, end64 - 1]), /ZIP64 record is damaged$/);
  });

  it("may be all that there is", () => {
    const end = Buffer.alloc(22);
    end.write("PK\x05\x06");
    assert.deepEqual(placesIn(end), []);
    isRefused(end.subarray(1), /is truncated: the directory that ends a zip file is missing$/);
    isRefused(changed(end, [20, 1, 2]), /is truncated/);
  });
});

describe("an entry of a zip file", () => {
  const [, last] = items;

  it("ends where the directory begins, to the byte", () => {
    // Behind its data stand 16 bytes of sizes.
    const sized = (size: number) =>
      zipOf([
        items[0] as (typeof items)[0],
        { ...last, name: "b", bytes: new Uint8Array(8), listed: { size } },
      ]);
    assert.deepEqual(placesIn(sized(8 + 16)).at(-1), ["b", { begin: 128, end: DIRECTORY }]);
    isRefused(sized(8 + 17), /entry "b" does not lie in the file$/);
    isRefused(tight(1), /entry "a" does not lie in the file$/);
  });

  it("begins before the directory with its whole head", () => {
    const listedAt = LAST + 42;
    isRefused(changed(plain, [listedAt, DIRECTORY - 30]), /entry "b" does not lie in the file$/);
    isRefused(
      changed(plain, [listedAt, DIRECTORY - 31]),
      /entry "b" differs from what the zip directory says$/,
    );
  });

  it("begins where the one before it ends, not a byte earlier", () => {
    const sized = (size: number) =>
      zipOf([{ name: "a", bytes: new Uint8Array(8), listed: { size } }, items[1] as (typeof items)[0]]);
    assert.deepEqual(placesIn(sized(24))[0], ["a", { begin: 64, end: 88 }]);
    isRefused(sized(25), /entry "b" overlaps another$/);
  });

  it("has the numbers that do not fit in a field that is long enough", () => {
    const extra = large.lastIndexOf("PK\x01\x02") + 46 + 1;
    assert.deepEqual([large.readUInt16LE(extra), large.readUInt16LE(extra + 2)], [1, 24]);
    isRefused(changed(large, [extra + 2, 23, 2]), /entry "b" lacks its size$/);
    isRefused(changed(large, [extra, 2, 2]), /entry "b" lacks its size$/);
    // The field says more than there is, and there is less than the entry needs.
    const short = changed(large, [extra + 2, 999, 2], [extra - 17, 20, 2], [extra - 15, 8, 2]);
    isRefused(short, /entry "b" lacks its size$/);
    const tiny = changed(large, [extra - 17, 3, 2], [extra - 15, 25, 2]);
    isRefused(tiny, /entry "b" lacks its size$/);
  });
});

describe("a zip file of torch.save", () => {
  const table: SavedTensor = { name: "t", shape: [1], dtype: "F32", bytes: new Uint8Array(4) };
  const withEntry = (name: string, bytes: Uint8Array) =>
    zipOf(zipItems([table]).map((item) => (item.name === name ? { name, bytes } : item)));

  it("whose pickle is too large is refused before it is read", () => {
    const pickle = withEntry("archive/data.pkl", new Uint8Array(64_000_001));
    isRefused(pickle, /its pickle has 64000001 bytes, and at most 64000000 are read$/, 0, readZipFile);
  });

  it("may have a long text for its byte order, of which little is read", () => {
    const order = withEntry("archive/byteorder", Buffer.from("big".padEnd(100_000, "!")));
    isRefused(order, /its byte order is "big!{13}", expected "little"$/, 0, readZipFile);
    isRefused(withEntry("archive/byteorder", Buffer.alloc(0)), /its byte order is ""/, 0, readZipFile);
  });
});
