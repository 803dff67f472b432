// Reads a streamed answer: JSON lines, cut at any place, in frames of `application/vnd.amazon.eventstream`. Checksums are not
// compared, because TCP and TLS have their own. `src/server/doors/event-stream.ts` describes the layout.
import { ApiError, streamError } from "./api-error.ts";

const PRELUDE_BYTES = 12;
const CRC_BYTES = 4;
const STRING_TYPE = 7;
const FRAME_BYTES_MAX = 1 << 24;
const LINE_LENGTH_MAX = 1 << 24;

/** The values of the lines, as they come. @throws ApiError for an exception in the stream, or a stream that is cut or malformed */
export async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<unknown, void> {
  const utf8 = new TextDecoder();
  let line = "";
  for await (const payload of payloads(body)) {
    const lines = (line + utf8.decode(payload, { stream: true })).split("\n");
    line = lines.pop() as string;
    if (line.length > LINE_LENGTH_MAX) throw invalid(`a line has more than ${LINE_LENGTH_MAX} characters`);
    for (const each of lines) yield parsed(each);
  }
  if (line !== "") throw new ApiError("stream_broken", "The stream ended within a line");
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new ApiError("invalid_answer", "A line of the stream is not JSON", { cause });
  }
}

async function* payloads(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let rest = new Uint8Array(0);
  for await (const chunk of chunks(body)) {
    rest = joined(rest, chunk);
    for (;;) {
      const length = frameLength(rest);
      if (length === undefined || rest.length < length) break;
      yield payloadOf(rest.subarray(0, length));
      rest = rest.slice(length);
    }
  }
  if (rest.length > 0) throw new ApiError("stream_broken", "The stream ended within a frame");
}

/** Iterates over a stream, which not every browser can do itself. If the caller leaves the loop, the stream is cancelled. */
async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {}); // It fails if the stream has failed already.
  }
}

function frameLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < PRELUDE_BYTES) return undefined;
  const length = viewOf(bytes).getUint32(0);
  const headers = viewOf(bytes).getUint32(4);
  if (length > FRAME_BYTES_MAX || PRELUDE_BYTES + headers + CRC_BYTES > length) {
    throw invalid(`a frame claims ${length} bytes, ${headers} of them headers`);
  }
  return length;
}

function payloadOf(frame: Uint8Array): Uint8Array {
  const headersEnd = PRELUDE_BYTES + viewOf(frame).getUint32(4);
  const headers = headersOf(frame.subarray(PRELUDE_BYTES, headersEnd));
  const payload = frame.subarray(headersEnd, frame.length - CRC_BYTES);
  if (headers.get(":message-type") === "event") return payload;
  const type = headers.get(":exception-type") ?? headers.get(":error-code") ?? "unknown";
  throw streamError(type, new TextDecoder().decode(payload));
}

/** Reads the headers: length of the name, name, type, length of the value, value. Strings only. */
function headersOf(bytes: Uint8Array): Map<string, string> {
  const view = viewOf(bytes);
  const utf8 = new TextDecoder();
  const headers = new Map<string, string>();
  try {
    for (let at = 0; at < bytes.length; ) {
      const nameEnd = at + 1 + view.getUint8(at);
      const valueBegin = nameEnd + 3;
      if (view.getUint8(nameEnd) !== STRING_TYPE) throw new RangeError("not a string");
      const valueEnd = valueBegin + view.getUint16(nameEnd + 1);
      headers.set(
        utf8.decode(bytes.subarray(at + 1, nameEnd)),
        utf8.decode(bytes.subarray(valueBegin, valueEnd)),
      );
      at = valueEnd;
    }
  } catch (cause) {
    throw new ApiError("invalid_answer", "The headers of a frame cannot be read", { cause });
  }
  return headers;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function invalid(what: string): ApiError {
  return new ApiError("invalid_answer", `The stream cannot be read: ${what}`);
}
