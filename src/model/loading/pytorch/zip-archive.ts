// Reads the directory of a zip file whose entries are not compressed: the name of each entry and its place in the file. Since
// nothing is unpacked, a zip bomb does no harm. The checksums (CRC-32) are not compared. PyTorch does not compare them either,
// and can be told to write none; weights are read in pieces here; and files from the hub are hashed while they are fetched.
// Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
import { createHash } from "node:crypto";
import { quote } from "../../../wording.ts";
import type { OpenFile } from "../open-file.ts";

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 65_535;
const END64_LOCATOR_SIGNATURE = 0x07064b50;
const END64_LOCATOR_BYTES = 20;
const END64_SIGNATURE = 0x06064b50;
const END64_BYTES = 56;
const ENTRY_SIGNATURE = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const ENCRYPTED = 0x0001 | 0x0040 | 0x2000;
const ALL_ONES = 0xffff_ffff;
const SIZES_EXTRA = 1;

const DIRECTORY_BYTES_MAX = 64_000_000;
const ENTRIES_MAX = 200_000;

export interface ZipEntry {
  /** Positions in the file, in bytes. */
  readonly begin: number;
  readonly end: number;
}

export interface ZipDirectory {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** SHA-256 of the directory's bytes. */
  readonly hash: string;
}

interface Extent {
  readonly begin: number;
  readonly size: number;
  readonly count: number;
}

interface Listed {
  readonly name: string;
  readonly rawName: Buffer;
  readonly size: number;
  /** Position of its local header. */
  readonly position: number;
}

/** @throws GptError `invalid_checkpoint` when it is not a zip file of stored entries, each in a place of its own. */
export function readZipDirectory(file: OpenFile): ZipDirectory {
  const extent = findDirectory(file);
  const bytes = file.bytes(extent.begin, extent.size);
  const listed = listEntries(file, bytes, extent.count);
  const entries = new Map<string, ZipEntry>();
  let free = 0;
  for (const one of listed.sort((a, b) => a.position - b.position)) {
    const place = placeOf(file, one, extent.begin);
    if (one.position < free) throw file.invalid(`its entry ${quote(one.name)} overlaps another`);
    if (entries.has(one.name)) throw file.invalid(`has two entries ${quote(one.name)}`);
    entries.set(one.name, place);
    free = place.end;
  }
  return { entries, hash: createHash("sha256").update(bytes).digest("hex") };
}

function findDirectory(file: OpenFile): Extent {
  const tail = file.bytes(
    Math.max(0, file.size - END_BYTES - COMMENT_BYTES_MAX),
    Math.min(file.size, END_BYTES + COMMENT_BYTES_MAX),
  );
  let at = tail.length - END_BYTES;
  while (at >= 0 && !(tail.readUInt32LE(at) === END_SIGNATURE && isLast(tail, at))) at--;
  if (at < 0) throw file.invalid("is truncated: the directory that ends a zip file is missing");
  const position = file.size - tail.length + at;
  const plain: Extent = {
    count: tail.readUInt16LE(at + 10),
    size: tail.readUInt32LE(at + 12),
    begin: tail.readUInt32LE(at + 16),
  };
  const extent = largeDirectory(file, position) ?? plain;
  const { begin, size, count } = extent;
  if (tail.readUInt32LE(at + 4) !== 0 || !(begin + size <= position)) {
    throw file.invalid(`its zip directory of ${size} bytes at byte ${begin} does not lie in the file`);
  }
  if (size > DIRECTORY_BYTES_MAX || count > ENTRIES_MAX || count * ENTRY_BYTES > size) {
    throw file.invalid(`has a zip directory of ${count} entries in ${size} bytes`);
  }
  return extent;
}

function isLast(tail: Buffer, at: number): boolean {
  return at + END_BYTES + tail.readUInt16LE(at + 20) === tail.length;
}

/** The place of the directory from the ZIP64 record, with numbers of 64 bits. Undefined if the file has none. */
function largeDirectory(file: OpenFile, end: number): Extent | undefined {
  const locatorAt = end - END64_LOCATOR_BYTES;
  if (locatorAt < 0) return undefined;
  const locator = file.bytes(locatorAt, END64_LOCATOR_BYTES);
  if (locator.readUInt32LE() !== END64_LOCATOR_SIGNATURE) return undefined;
  const position = Number(locator.readBigUInt64LE(8));
  if (position + END64_BYTES > locatorAt) throw file.invalid("its ZIP64 record does not lie in the file");
  const record = file.bytes(position, END64_BYTES);
  if (record.readUInt32LE() !== END64_SIGNATURE) throw file.invalid("its ZIP64 record is damaged");
  const [count, size, begin] = [32, 40, 48].map((at) => Number(record.readBigUInt64LE(at)));
  return { begin, size, count } as Extent;
}

function listEntries(file: OpenFile, bytes: Buffer, count: number): Listed[] {
  const listed: Listed[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const isThere = at + ENTRY_BYTES <= bytes.length && bytes.readUInt32LE(at) === ENTRY_SIGNATURE;
    const nameEnd = isThere ? at + ENTRY_BYTES + bytes.readUInt16LE(at + 28) : Infinity;
    const extraEnd = isThere ? nameEnd + bytes.readUInt16LE(at + 30) : Infinity;
    const next = isThere ? extraEnd + bytes.readUInt16LE(at + 32) : Infinity;
    if (next > bytes.length) throw file.invalid(`its zip directory is damaged at entry ${i + 1} of ${count}`);
    const rawName = bytes.subarray(at + ENTRY_BYTES, nameEnd);
    const header = bytes.subarray(at, at + ENTRY_BYTES);
    listed.push(listedEntry(file, header, rawName, bytes.subarray(nameEnd, extraEnd)));
    at = next;
  }
  return listed;
}

function listedEntry(file: OpenFile, header: Buffer, rawName: Buffer, extra: Buffer): Listed {
  const name = rawName.toString("utf8");
  const shown = quote(name);
  if (!/^[^/\\\0]+(\/[^/\\\0]+)*$/.test(name) || name.split("/").some((part) => /^\.\.?$/.test(part))) {
    throw file.invalid(`its entry ${shown} is no path inside of an archive`);
  }
  if ((header.readUInt16LE(8) & ENCRYPTED) !== 0) throw file.invalid(`its entry ${shown} is encrypted`);
  // Those that do not fit into 32 bits are in the extra field, in this order.
  const fields = [24, 20, 42].map((at) => header.readUInt32LE(at));
  const [size, packed, position] = largeNumbers(fields, extra);
  if (size === undefined || packed === undefined || position === undefined) {
    throw file.invalid(`its entry ${shown} lacks its size`);
  }
  if (header.readUInt16LE(10) !== 0 || size !== packed) {
    throw file.invalid(
      `its entry ${shown} is compressed, and only stored entries are read, as PyTorch writes them`,
    );
  }
  return { name, rawName, size, position };
}

function largeNumbers(fields: readonly number[], extra: Buffer): readonly (number | undefined)[] {
  let [at, end] = [0, 0];
  for (let start = 0; start + 4 <= extra.length; start += 4 + extra.readUInt16LE(start + 2)) {
    if (extra.readUInt16LE(start) !== SIZES_EXTRA) continue;
    at = start + 4;
    end = Math.min(extra.length, at + extra.readUInt16LE(start + 2));
    break;
  }
  return fields.map((field) => {
    if (field !== ALL_ONES) return field;
    if (at + 8 > end) return undefined;
    at += 8;
    return Number(extra.readBigUInt64LE(at - 8));
  });
}

/** The local header of an entry repeats its name. Its sizes are not compared, because they may be after the data instead. */
function placeOf(file: OpenFile, { name, rawName, size, position }: Listed, limit: number): ZipEntry {
  const outside = () => file.invalid(`its entry ${quote(name)} does not lie in the file`);
  if (position + LOCAL_BYTES + rawName.length > limit) throw outside();
  const header = file.bytes(position, LOCAL_BYTES + rawName.length);
  const isSame = header.readUInt32LE() === LOCAL_SIGNATURE && header.subarray(LOCAL_BYTES).equals(rawName);
  if (!isSame || header.readUInt16LE(26) !== rawName.length || header.readUInt16LE(8) !== 0) {
    throw file.invalid(`its entry ${quote(name)} differs from what the zip directory says`);
  }
  const begin = position + LOCAL_BYTES + rawName.length + header.readUInt16LE(28);
  if (begin + size > limit) throw outside();
  return { begin, end: begin + size };
}
