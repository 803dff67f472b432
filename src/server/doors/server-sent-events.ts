// Answers as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Events have data only: with an
// `id` or `retry` field OpenAI's own client would fail at the next blank line. `JsonLines` writes the same values as JSON lines.
import { jsonLine } from "../../wording.ts";
import type { AnswerFrames } from "./answer-stream.ts";

/** After this time without an event a comment is sent, so that proxies and clients see that the stream is alive. */
const SILENCE_MS = 15_000;

/** Bytes are sent as they are. The headers keep caches and proxies from collecting them. */
export const EVENT_STREAM: Omit<AnswerFrames, "fail"> = {
  contentType: "text/event-stream",
  headers: { "cache-control": "no-cache", "x-accel-buffering": "no" },
  frame: (bytes) => bytes,
};

/** One event. */
export function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** Writes events, and keep-alive comments during silence. It must be stopped in every case. */
export class ServerSentEvents {
  readonly #write: (text: string) => void;
  #isBegun = false;
  #timer: NodeJS.Timeout;

  constructor(write: (text: string) => void) {
    this.#write = write;
    this.#timer = setInterval(() => this.#isBegun && write(":\n\n"), SILENCE_MS).unref();
  }

  send(...values: readonly object[]): void {
    if (values.length === 0) return;
    this.#isBegun = true;
    this.#timer.refresh();
    this.#write(values.map(event).join(""));
  }

  end(): void {
    this.#write("data: [DONE]\n\n");
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** The same values as JSON lines, which need neither keep-alive comments nor an end. */
export class JsonLines {
  readonly #write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  send(...values: readonly object[]): void {
    this.#write(values.map(jsonLine).join(""));
  }

  end(): void {}

  stop(): void {}
}
