// From the bytes of a request body to a JSON object. Each dialect decides which fields it accepts.

import { isUtf8 } from "node:buffer";
import { GptError } from "../errors.ts";
import { nextTurn } from "../event-loop.ts";
import { describeValue } from "../wording.ts";
import { REQUEST_LIMITS } from "./request-limits.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** The object without its null fields, for dialects in which null means "not sent". */
export function withoutNull(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

const OWN_EXAMPLE = '{"input": "Some text"}';

/**
 * The JSON object in a request body of UTF-8 bytes.
 * @throws GptError `invalid_json` or `invalid_body`
 */
export function parseJsonBody(bytes: Uint8Array, example = OWN_EXAMPLE): Fields {
  if (bytes.length === 0) {
    throw new GptError("invalid_json", `The request body is empty; send a JSON object such as ${example}`);
  }
  return requireObject(parseJson(bytes), example);
}

export interface BodyOptions {
  /** The most values that a body may have. Default: `bodyValues`. */
  readonly valuesMax?: number;
  readonly example?: string;
}

/** Bytes that are examined in one turn of the event loop. */
const SHARE_BYTES = 2 ** 18;

/**
 * The same, but refuses bodies with far too many values before they are parsed. A large body is examined in parts, and the
 * event loop serves others in between.
 * @throws GptError `invalid_json` or `invalid_body`
 */
export async function readJsonBody(bytes: Uint8Array, options: BodyOptions = {}): Promise<Fields> {
  const counter = new ValueCounter(options.valuesMax ?? REQUEST_LIMITS.bodyValues.max);
  for (let begin = 0; begin < bytes.length; begin += SHARE_BYTES) {
    if (begin > 0) await nextTurn();
    counter.take(bytes.subarray(begin, begin + SHARE_BYTES));
  }
  if (bytes.length > SHARE_BYTES) await nextTurn();
  return parseJsonBody(bytes, options.example);
}

/**
 * Counts the values of a body, part by part. Megabytes of brackets or short fields would take a second to parse, and nothing
 * else is answered meanwhile. Long strings cost little.
 */
class ValueCounter {
  readonly #max: number;
  #isText = false;
  #isEscaped = false;
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** @throws GptError `invalid_body` if there are too many */
  take(bytes: Uint8Array): void {
    let [isText, isEscaped, count] = [this.#isText, this.#isEscaped, this.#count];
    for (let i = 0; i < bytes.length; i++) {
      const char = bytes[i];
      if (isEscaped) isEscaped = false;
      else if (char === CHAR.quote) isText = !isText;
      else if (isText) isEscaped = char === CHAR.backslash;
      else if (char === CHAR.comma || char === CHAR.list || char === CHAR.object) count++;
    }
    [this.#isText, this.#isEscaped, this.#count] = [isText, isEscaped, count];
    if (count <= this.#max) return;
    const message = `The request body holds more than ${this.#max} values, more than any request has`;
    throw new GptError("invalid_body", message);
  }
}

const CHAR = { quote: 0x22, backslash: 0x5c, comma: 0x2c, list: 0x5b, object: 0x7b } as const;

// AWS CLI v2 decodes --body as base64 by default, and sends and signs the result.
const BASE64_HINT =
  "AWS CLI v2 sends such bytes unless it is called with --cli-binary-format raw-in-base64-out";

function parseJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) {
    throw new GptError("invalid_json", `The request body is not UTF-8 text; ${BASE64_HINT}`);
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString()
    .replace(/^\ufeff/, "");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GptError(
      "invalid_json",
      `The request body is not JSON: ${(cause as Error).message}${hintFor(text)}`,
      {
        cause,
      },
    );
  }
}

/** Longer bodies are not examined for a hint. */
const HINT_LENGTH = 2 ** 16;

function hintFor(text: string): string {
  if (text.length > HINT_LENGTH) return "";
  if (isEncodedObject(text)) return "; it is base64: send the JSON object as it is";
  return /[^\P{Cc}\t\n\r]/u.test(text) ? `; ${BASE64_HINT}` : "";
}

/** Whether a text is a JSON object in base64, in either alphabet, with or without line breaks. */
function isEncodedObject(text: string): boolean {
  const letters = text.replace(/\s+/g, "");
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(letters)) return false;
  try {
    return typeof JSON.parse(Buffer.from(letters, "base64").toString()) === "object";
  } catch {
    return false;
  }
}

/** @throws GptError `invalid_body` */
export function requireObject(body: unknown, example = OWN_EXAMPLE): Fields {
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Fields;
  throw new GptError(
    "invalid_body",
    `The request must be a JSON object such as ${example}, got ${describeValue(body)}`,
  );
}
