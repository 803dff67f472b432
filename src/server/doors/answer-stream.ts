// Answers that are sent while they grow. Pieces of text become the bytes of one of two forms: a JSON list, whose bytes
// joined are those of the ordinary answer and a line feed, or one JSON object a line. They are written as they come:
// nothing collects them, so that what a caller sees is the pace of the model. Every form ends with a line feed: clients
// that read a stream line by line, SageMaker's own among them, wait for the end of the last line for ever.
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

/** Turns pieces into the text of an answer; what is not known before all is done comes with `end`. */
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
  const told = new Set<number>();
  return {
    piece({ index, text }) {
      told.add(index);
      return jsonLine({ index, text });
    },
    // A reader counts the texts by their lines: those that are empty have one too.
    end({ sequences }) {
      const lines = sequences.map(({ text }, index) =>
        text === "" && !told.has(index) ? jsonLine({ index, text }) : "",
      );
      return lines.join("");
    },
  };
}

/** Lines that also tell how likely the tokens were that they bring; the first of a text those of the input too. */
function scoredLines(echo: boolean, form: (tokenId: number) => TokenForm): PieceWriter {
  const listers: LogprobLister[] = [];
  let prompt: GeneratedPrompt | undefined;
  return {
    prompt(told) {
      prompt = told;
    },
    piece({ index, text, tokens }) {
      listers[index] ??= new LogprobLister(prompt as GeneratedPrompt, form, echo);
      const token_ids = tokens.map(({ tokenId }) => tokenId);
      return jsonLine({ index, text, token_ids, ...listers[index].next(tokens) });
    },
    end: () => "",
  };
}

/** The first text grows; the others, which stand after it in the list, follow whole. */
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

/** As between the quotes of a JSON string; whole characters in, so that the parts of a text are the whole's. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Generates and writes the pieces, and what is known in the end. */
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

/** How the bytes of a growing answer travel. */
export interface AnswerFrames {
  /** Type of what travels. */
  readonly contentType: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Puts bytes of the answer into the form in which they travel. */
  readonly frame: (bytes: Buffer) => Uint8Array;
  /** Ends an answer that has begun and cannot be finished; the connection is cut when it returns nothing. */
  readonly fail: (error: unknown) => Uint8Array | undefined;
}

export interface StreamOptions {
  readonly reply: FastifyReply;
  /** Sent with the first bytes, beside those set on the reply. */
  readonly headers: OutgoingHttpHeaders;
  readonly frames: AnswerFrames;
  /** Aborted: the caller has left. */
  readonly gone: AbortSignal;
  /** Writes the answer, part by part; to be given up when `signal` is aborted. */
  readonly produce: (write: (text: string) => void, signal: AbortSignal) => Promise<void>;
  /** Bytes that may wait for a caller who reads more slowly than they come. */
  readonly unreadBytesMax: number;
}

/**
 * Answers with 200 and pieces. The headers go out with the first of them: until then an error is thrown, and can be
 * answered like any other; from then on it is part of the stream. What its caller does not read is held up to a limit, with
 * which the generation ends: it cannot wait for one caller, since others share its passes.
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
    raw.on("error", () => {}); // The caller left; the signal of the request knows that already.
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
