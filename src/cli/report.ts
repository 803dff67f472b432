// How a command that failed is told, and with which exit code.
import { GptError } from "../errors.ts";

/** Errors of ours are one sentence; anything else is a defect, and its stack is wanted. */
export function report(error: unknown): number {
  const text =
    error instanceof GptError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`gpt2-api: ${text}\n`);
  return error instanceof GptError && error.code === "invalid_config" ? 2 : 1;
}

/** Tells the person at the terminal what they should know. */
export function warn(message: string): void {
  process.stderr.write(`gpt2-api: ${message}\n`);
}

/** For servers: a disk that is full or a pipe that is closed takes the log away, not the service. */
export function outliveOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}
