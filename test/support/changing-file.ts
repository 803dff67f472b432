// A file that tests change while it is watched.
import { chmodSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A file whose modification time advances with every write, even if the file system's clock is too coarse for that. */
export function aFile(context: TestContext, name: string) {
  const directory = mkdtempSync(join(tmpdir(), "gpt2-api-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, name);
  let seconds = 1_000_000_000;
  const put = (place: string, content: unknown): void => {
    writeFileSync(place, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
    seconds++;
    utimesSync(place, seconds, seconds);
  };
  return {
    path,
    write: (content: unknown) => put(path, content),
    /** Replaces the file by renaming a new one, as careful writers do. */
    replace(content: unknown): void {
      put(`${path}.new`, content);
      renameSync(`${path}.new`, path);
    },
    remove: () => rmSync(path, { recursive: true }),
    setMode: (mode: number) => chmodSync(path, mode),
  };
}
