// Streams answers while they are generated, in one of two forms: as a JSON list, whose parts joined are the ordinary answer
// and a line feed, or as JSON lines. Pieces are written as they come and are not collected, so a caller sees the pace of the
// model. Both forms end with a line feed: clients that read line by line, such as SageMaker's, would wait for it for ever.
import type { OutgoingHttpHeaders } from "node:http";
import type { FastifyReply } from "fastify";
import { assert, GptError } from "../../errors.ts";
import type {
  GeneratedPrompt,
  GenerateOptions,
  Generation,
  GenerationParams,
  TextPiece,
  TokenForm,
} from "../../request/generation.ts";
import { LogprobLister } from "../../request/logprob-lists.ts";
import { jsonLine } from "../../wording.ts";
import type { ResponseType } from "./envelope.ts";

/** Turns pieces into the text of an answer. `end` gets what is known only when everything is done. */
export interface PieceWriter {
  prompt?(prompt: GeneratedPrompt): void;
  piece(piece: TextPiece): string;
  end(generation: Generation): string;
}

export function pieceWriter(
  type: ResponseType,
  { tellsLogprobs, echo = true }: GenerationParams,
  form: (tokenId: number) => TokenForm,
): PieceWriter {
  if (type !== "application/jsonlines") return jsonList();
  return tellsLogprobs ? scoredLines(echo, form) : jsonLines();
}

function jsonLines(): PieceWriter {
  const begun = new Set<number>();
  return {
    piece({ index, text }) {
      begun.add(index);
      return jsonLine({ index, text });
    },
    // Every text has a line, an empty one too, so that a reader can count the texts.
    end({ sequences }) {
      const lines = sequences.map(({ text }, index) =>
        text === "" && !begun.has(index) ? jsonLine({ index, text }) : "",
      );
      return lines.join("");
    },
  };
}

/** JSON lines with the log-probabilities of their tokens. With `echo` the first line of a text has those of the input too. */
function scoredLines(echo: boolean, form: (tokenId: number) => TokenForm): PieceWriter {
  const listers: LogprobLister[] = [];
  let prompt: GeneratedPrompt | undefined;
  return {
    prompt(value) {
      prompt = value;
    },
    piece({ index, text, tokens }) {
      listers[index] ??= new LogprobLister(prompt as GeneratedPrompt, form, echo);
      const token_ids = tokens.map(({ tokenId }) => tokenId);
      return jsonLine({ index, text, token_ids, ...listers[index].next(tokens) });
    },
    end: () => "",
  };
}

/** The JSON list. The first text is sent while it is generated. The others follow whole, because they stand after it. */
function jsonList(): PieceWriter {
  let sent = "";
  const opening = (): string => (sent === "" ? '["' : "");
  return {
    piece({ index, text }) {
      if (index !== 0) return "";
      const head = opening();
      sent += text;
      return head + escaped(text);
    },
    end({ sequences: [first, ...others] }) {
      const text = first?.text ?? "";
      assert(text.startsWith(sent), "the pieces of a sequence are the beginning of its text");
      const rest = `${opening()}${escaped(text.slice(sent.length))}"`;
      return `${[rest, ...others.map((other) => JSON.stringify(other.text))].join(",")}]\n`;
    },
  };
}

/** Escapes a piece for a JSON string. Pieces are whole characters, so the escaped pieces joined are the escaped text. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Generates, writes each piece, and at the end what is known only then. */
export async function writePieces(
  writer: PieceWriter,
  write: (text: string) => void,
  generate: (options: GenerateOptions) => Promise<Generation>,
): Promise<void> {
  const generation = await generate({
    onPiece: (piece) => write(writer.piece(piece)),
    onPrompt: (prompt) => writer.prompt?.(prompt),
  });
  write(writer.end(generation));
}

/** How the bytes of a streamed answer are framed. */
export interface AnswerFrames {
  /** Content type of the framed answer. */
  readonly contentType: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Frames some bytes of the answer. */
  readonly frame: (bytes: Buffer) => Uint8Array;
  /** The last bytes of an answer that began and cannot be finished. If it returns undefined, the connection is cut. */
  readonly fail: (error: unknown) => Uint8Array | undefined;
}

export interface StreamOptions {
  readonly reply: FastifyReply;
  /** Sent with the first bytes, in addition to the headers set on the reply. */
  readonly headers: OutgoingHttpHeaders;
  readonly frames: AnswerFrames;
  /** Aborted when the caller has left. */
  readonly gone: AbortSignal;
  /** Writes the answer part by part. It must give up when `signal` is aborted. */
  readonly produce: (write: (text: string) => void, signal: AbortSignal) => Promise<void>;
  /** Bytes that may wait for a slow reader. */
  readonly unreadBytesMax: number;
}

/**
 * Answers with 200 and a stream. The headers are sent with the first piece. An error before that is thrown and answered like
 * any other; a later one becomes part of the stream. There is no back-pressure, because other requests share the passes and
 * must not wait for one slow reader: unread bytes are held up to a limit, and beyond it the generation is ended.
 */
export async function sendStream(options: StreamOptions): Promise<void> {
  const { reply, headers, frames, produce, gone, unreadBytesMax } = options;
  const raw = reply.raw;
  const stalled = new AbortController();
  let begun = false;
  const begin = (): void => {
    if (begun || raw.destroyed) return;
    begun = true;
    reply.hijack();
    raw.on("error", () => {}); // The caller left. The request's own signal reports that.
    const type = { "content-type": frames.contentType, ...frames.headers };
    raw.writeHead(200, { ...(reply.getHeaders() as OutgoingHttpHeaders), ...headers, ...type });
  };
  const write = (text: string): void => {
    if (text === "" || raw.destroyed || stalled.signal.aborted) return;
    begin();
    raw.write(frames.frame(Buffer.from(text)));
    if (raw.writableLength > unreadBytesMax) stalled.abort();
  };
  try {
    await produce(write, AbortSignal.any([gone, stalled.signal]));
    if (stalled.signal.aborted) throw unread(unreadBytesMax);
    begin(); // An answer may be empty.
    raw.end();
  } catch (error) {
    if (!begun) throw error;
    const last = frames.fail(stalled.signal.aborted ? unread(unreadBytesMax) : error);
    if (last === undefined) raw.destroy();
    else raw.end(last);
  }
}

function unread(bytesMax: number): GptError {
  return new GptError(
    "cancelled",
    `more than ${bytesMax} bytes of the stream were not read, so it ends here`,
  );
}
