// Answers as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): data alone. With an id, or a
// time to reconnect, OpenAI's own client would fail at the next blank line. And the same as lines, where they are asked for.
import { jsonLine } from "../../wording.ts";
import type { AnswerFrames } from "./answer-stream.ts";

/** After so long a silence a stream tells that it is alive. */
const SILENCE_MS = 15_000;

/** How the bytes travel: as they are, past caches and proxies that would collect them. */
export const EVENT_STREAM: Omit<AnswerFrames, "fail"> = {
  contentType: "text/event-stream",
  headers: { "cache-control": "no-cache", "x-accel-buffering": "no" },
  frame: (bytes) => bytes,
};

/** One event. */
export function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** Writes events, and a sign of life where none comes for a while; to be stopped in any case. */
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

/** The same values as JSON lines, which need neither a sign of life nor an end. */
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
