// A file that changes while it is watched.
import { chmodSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A file whose time of change moves on with every write, whatever the clock of the file system can tell apart. */
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
    /** Puts a new file in its place, as careful writers do. */
    replace(content: unknown): void {
      put(`${path}.new`, content);
      renameSync(`${path}.new`, path);
    },
    remove: () => rmSync(path, { recursive: true }),
    setMode: (mode: number) => chmodSync(path, mode),
  };
}
