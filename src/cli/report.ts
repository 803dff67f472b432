// How the command line ends when something went wrong: the sentence, the exit code, and output that nobody reads.
import { GptError } from "../errors.ts";
import { processLimit } from "../machine/kernel-files.ts";

/** What `gpt2-api` ends with; also in docs/guides/operating.md. A signal's own end is the shell's business: 130, 143. */
export const EXIT = { success: 0, failure: 1, usage: 2 } as const;

/**
 * Tells on standard error why a command failed. Errors of ours are one sentence; anything else is a defect, and its
 * stack is wanted.
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

/** Node opens the files of many modules at once, so this is met at the start. */
function tooManyFiles(): string {
  const limit = processLimit("Max open files");
  const allowed = limit === undefined ? "" : ` (this process may open ${limit})`;
  return `Too many files are open at once${allowed}; raise the limit to 256 or more, as with \`ulimit -n 256\``;
}

/** Tells the person at the terminal what they should know. */
export function warn(message: string): void {
  process.stderr.write(`gpt2-api: ${message}\n`);
}

/**
 * For commands that print an answer. A reader that has seen enough, as `head` has, ends the command quietly; output
 * that cannot be written ends it with a sentence.
 */
export function endWithOutput(): void {
  process.stdout.on("error", onOutputError);
  process.stderr.on("error", () => {}); // There is nowhere left to tell it.
}

function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") warn(`standard output cannot be written: ${error.message}`);
  process.exit(error.code === "EPIPE" ? EXIT.success : EXIT.failure);
}

/** For servers: a disk that is full or a pipe that is closed takes the log away, not the service. */
export function outliveOutput(): void {
  process.stdout.off("error", onOutputError);
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}
