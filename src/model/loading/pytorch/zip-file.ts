// Files of `torch.save` since PyTorch 1.6: a zip file with an entry for the pickle, and an entry for each storage.
import { quote } from "../../../wording.ts";
import type { OpenFile } from "../open-file.ts";
import { ByteCursor } from "./byte-cursor.ts";
import type { Contents } from "./contents.ts";
import { readStateDict } from "./state-dict.ts";
import { readZipDirectory, type ZipEntry } from "./zip-archive.ts";

const PICKLE_BYTES_MAX = 64_000_000;
const BYTE_ORDER_BYTES_MAX = 16;

/** @throws GptError `invalid_checkpoint` */
export function readZipFile(file: OpenFile): Contents {
  const { entries, hash } = readZipDirectory(file);
  const [root, ...others] = [...entries.keys()].flatMap(
    (name) => /^([^/]+)\/data\.pkl$/.exec(name)?.[1] ?? [],
  );
  if (root === undefined || others.length > 0) {
    throw file.invalid("is a zip file, but not one that torch.save wrote: it has no single data.pkl");
  }
  if (entries.has(`${root}/constants.pkl`)) {
    throw file.invalid("is a TorchScript program, not weights: save the model's state_dict() instead");
  }
  checkByteOrder(file, entries.get(`${root}/byteorder`));
  const { begin, end } = entries.get(`${root}/data.pkl`) as ZipEntry;
  if (end - begin > PICKLE_BYTES_MAX) {
    throw file.invalid(`its pickle has ${end - begin} bytes, and at most ${PICKLE_BYTES_MAX} are read`);
  }
  const cursor = new ByteCursor(file, begin, end);
  const { tensors, storages } = readStateDict(cursor);
  const places = new Map<string, number>();
  for (const { key, type, length } of storages.values()) {
    const entry = entries.get(`${root}/data/${key}`);
    const bytes = length * type.bytes;
    if (entry === undefined) throw file.invalid(`lacks the storage ${quote(key)}, which its pickle names`);
    if (entry.end - entry.begin !== bytes) {
      const size = entry.end - entry.begin;
      throw file.invalid(`its storage ${quote(key)} has ${size} bytes, expected ${bytes}`);
    }
    places.set(key, entry.begin);
  }
  return { tensors, places, hash: `${cursor.digest()} ${hash}` };
}

/**
 * The entry exists since PyTorch 2.1. Older files have the byte order of the machine, which is little-endian on all common ones.
 */
function checkByteOrder(file: OpenFile, entry: ZipEntry | undefined): void {
  if (entry === undefined) return;
  const length = Math.min(entry.end - entry.begin, BYTE_ORDER_BYTES_MAX);
  const order = file.bytes(entry.begin, length).toString("latin1");
  if (order !== "little") throw file.invalid(`its byte order is ${quote(order)}, expected "little"`);
}
