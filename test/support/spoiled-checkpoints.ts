// Spoils the files of a checkpoint, for tests of what is refused.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Sets fields of config.json. */
export function patch(fields: Record<string, unknown>): (path: string) => void {
  return (path) => {
    const file = join(path, "config.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...fields }));
  };
}

/** Rewrites the header of model.safetensors. The offsets in it count from the header's end. */
export function editHeader(path: string, edit: (header: Record<string, object>) => object): void {
  const file = join(path, "model.safetensors");
  const bytes = readFileSync(file);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header = Buffer.from(JSON.stringify(edit(JSON.parse(bytes.toString("utf8", 8, end)))));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(file, Buffer.concat([length, header, bytes.subarray(end)]));
}
