// Parses server-sent events from bytes in any pieces. It supports the parts of the format that this server writes: names, data over
// several lines, comments. Reference: WHATWG HTML, section 9.2.6. It does not know what an event means.

export interface ServerSentEvent {
  /** "message" if the event has no name. */
  readonly name: string;
  readonly data: string;
}

export class EventReader {
  readonly #utf8 = new TextDecoder();
  #rest = "";
  #name = "";
  #data: string[] = [];

  /** Adds bytes, and returns the events that are complete now. */
  push(bytes: Uint8Array): ServerSentEvent[] {
    this.#rest += this.#utf8.decode(bytes, { stream: true });
    const events: ServerSentEvent[] = [];
    for (let line = this.#nextLine(); line !== undefined; line = this.#nextLine()) {
      const event = this.#take(line);
      if (event) events.push(event);
    }
    return events;
  }

  /** The next line without its end. A CR at the end of the bytes may be half of a CR LF, so it waits. */
  #nextLine(): string | undefined {
    const end = /\r\n|\n|\r(?!$)/.exec(this.#rest);
    if (!end) return undefined;
    const line = this.#rest.slice(0, end.index);
    this.#rest = this.#rest.slice(end.index + end[0].length);
    return line;
  }

  #take(line: string): ServerSentEvent | undefined {
    if (line === "") {
      const event = { name: this.#name || "message", data: this.#data.join("\n") };
      const isEmpty = this.#data.length === 0;
      this.#name = "";
      this.#data = [];
      return isEmpty ? undefined : event;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    if (field === "data") this.#data.push(value);
    return undefined;
  }
}
