// From the bytes of a request body to a JSON object. Which fields it may have is each dialect's own business.
import { GptError } from "../errors.ts";
import { describeValue } from "../wording.ts";

export type Fields = Readonly<Record<string, unknown>>;

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

/** Of one body; a request has a dozen. */
const VALUES_MAX = 4000;

/**
 * Refuses a body with far more values than any request has before it is parsed: megabytes of brackets or short fields
 * take a second to parse, in which nothing else is answered. Text costs little, however long it is.
 * @throws GptError `invalid_body`
 */
export function refuseManyValues(bytes: Uint8Array, valuesMax = VALUES_MAX): void {
  let isText = false;
  let count = 0;
  for (let i = 0; i < bytes.length && count <= valuesMax; i++) {
    const char = bytes[i];
    if (char === CHAR.quote) isText = !isText;
    else if (isText && char === CHAR.backslash) i++;
    else if (!isText && (char === CHAR.comma || char === CHAR.list || char === CHAR.object)) count++;
  }
  if (count <= valuesMax) return;
  throw new GptError(
    "invalid_body",
    `The request body holds more than ${valuesMax} values, more than any request has`,
  );
}

const CHAR = { quote: 0x22, backslash: 0x5c, comma: 0x2c, list: 0x5b, object: 0x7b } as const;

// AWS CLI v2 takes --body for base64 unless told otherwise, and sends whatever that decodes to, correctly signed.
const BASE64_HINT =
  "AWS CLI v2 sends such bytes unless it is called with --cli-binary-format raw-in-base64-out";

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new GptError("invalid_json", `The request body is not UTF-8 text; ${BASE64_HINT}`, { cause });
  }
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

function hintFor(text: string): string {
  if (isEncodedObject(text)) return "; it is base64: send the JSON object as it is";
  return /[^\P{Cc}\t\n\r]/u.test(text) ? `; ${BASE64_HINT}` : "";
}

/** Whether a text is a JSON object in base64, in either alphabet, folded or not. */
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
