// Encodes the frames of `application/vnd.amazon.eventstream`, in which InvokeEndpointWithResponseStream answers: parts of the
// answer, and the exceptions that end a stream. It does not decode, and has string headers only. Integers are big-endian.
// Layout: total length, header length, CRC-32 of these eight bytes, headers, payload, CRC-32 of all before it.
import { crc32 } from "node:zlib";

const PRELUDE_BYTES = 12;
const CRC_BYTES = 4;
const STRING_TYPE = 7;

/** A PayloadPart frame: some bytes of the answer, cut at any place. */
export function payloadPart(bytes: Uint8Array): Buffer {
  return frame(
    { ":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream" },
    bytes,
  );
}

export type StreamExceptionType = "ModelStreamError" | "InternalStreamFailure";

/** The frame that ends a failed stream. Clients raise it as an exception while they iterate. */
export function exceptionFrame(type: StreamExceptionType, members: Readonly<Record<string, string>>): Buffer {
  return frame(
    { ":message-type": "exception", ":exception-type": type, ":content-type": "application/json" },
    Buffer.from(JSON.stringify(members)),
  );
}

function frame(headers: Readonly<Record<string, string>>, payload: Uint8Array): Buffer {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => stringHeader(name, value)));
  const message = Buffer.alloc(PRELUDE_BYTES + head.length + payload.length + CRC_BYTES);
  message.writeUInt32BE(message.length, 0);
  message.writeUInt32BE(head.length, 4);
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
  message.set(head, PRELUDE_BYTES);
  message.set(payload, PRELUDE_BYTES + head.length);
  const end = message.length - CRC_BYTES;
  message.writeUInt32BE(crc32(message.subarray(0, end)), end);
  return message;
}

/** One header: length of the name, name, type, length of the value, value. */
function stringHeader(name: string, value: string): Buffer {
  const nameBytes = Buffer.from(name);
  const valueBytes = Buffer.from(value);
  const valueLength = Buffer.alloc(2);
  valueLength.writeUInt16BE(valueBytes.length);
  return Buffer.concat([
    Buffer.of(nameBytes.length),
    nameBytes,
    Buffer.of(STRING_TYPE),
    valueLength,
    valueBytes,
  ]);
}
