// How a command ends when something goes wrong: the message, the exit code, and what happens when output cannot be written.
import { GptError } from "../errors.ts";
import { processLimit } from "../machine/kernel-files.ts";

/** Exit codes, also in docs/guides/operating.md. For a process that a signal ended the shell reports its own: 130, 143. */
export const EXIT = { success: 0, failure: 1, usage: 2 } as const;

/**
 * Prints on standard error why a command failed. A `GptError` is one sentence. Anything else is a defect, so its stack is
 * printed too.
 * @returns the exit code
 */
export function report(error: unknown): number {
  warn(sentence(error));
  return error instanceof GptError && error.code === "invalid_config" ? EXIT.usage : EXIT.failure;
}

function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/\bE[MN]FILE\b/.test(text)) return tooManyFiles();
  return error instanceof Error && !(error instanceof GptError) ? (error.stack ?? text) : text;
}

/** The process has too few file descriptors. It shows at the start, when Node opens the files of many modules at once. */
function tooManyFiles(): string {
  const limit = processLimit("Max open files");
  const allowed = limit === undefined ? "" : ` (this process may open ${limit})`;
  return `Too many files are open at once${allowed}; raise the limit to 256 or more, as with \`ulimit -n 256\``;
}

/** Prints a warning on standard error. */
export function warn(message: string): void {
  process.stderr.write(`gpt2-api: ${message}\n`);
}

/**
 * For commands that print an answer. A reader that closes the pipe early, such as `head`, ends the command quietly. Any
 * other failure to write ends it with a message.
 */
export function endWithOutput(): void {
  process.stdout.on("error", onOutputError);
  process.stderr.on("error", () => {}); // There is no place left to report it.
}

function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") warn(`standard output cannot be written: ${error.message}`);
  process.exit(error.code === "EPIPE" ? EXIT.success : EXIT.failure);
}

/** For servers: a full disk or a closed pipe costs the log, but the server goes on. */
export function outliveOutput(): void {
  process.stdout.off("error", onOutputError);
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}
