// Stage 1 of AWS Signature Version 4: the canonical request, made from the bytes on the wire. It reads the raw request target
// and the raw header lines, because any decoded or merged form has lost something that was signed. Strings hold one byte per
// character (Latin-1), as Node delivers them. Nothing here decides whether a request is genuine.
import { hash } from "node:crypto";

/** The head of a request as received, before any decoding. */
export interface RequestHead {
  readonly method: string;
  /** The request target exactly as on the request line: path, and query after the first `?`. */
  readonly rawUrl: string;
  /** Names and values in turn, in the order received, as in Node's `IncomingMessage.rawHeaders`. */
  readonly rawHeaders: readonly string[];
}

/** A whole request as received. */
export interface RawRequest extends RequestHead {
  readonly body: Uint8Array;
}

export interface CanonicalOptions {
  /** Lower-case names, sorted: the SignedHeaders of the signature. */
  readonly signedHeaders: readonly string[];
  /** SHA-256 of the body in lower-case hex. */
  readonly payloadHash: string;
  /** false: the path stays as it is and is encoded once, as S3 wants it. Default: true. */
  readonly normalizePath?: boolean;
  /** Takes the place of the received Host header's value. */
  readonly host?: string;
}

const PERCENT_ENCODED = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9._~-]/.test(character)
    ? character
    : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
});

/** The bytes of a raw string. Characters above U+00FF cannot come from the wire; such a text is encoded as UTF-8. */
export function wireBytes(text: string): Buffer {
  return Buffer.from(text, /^[\0-\xff]*$/.test(text) ? "latin1" : "utf8");
}

/** Percent-encodes every byte outside `A–Z a–z 0–9 - . _ ~`. */
function percentEncode(text: string): string {
  let encoded = "";
  for (const byte of wireBytes(text)) encoded += PERCENT_ENCODED[byte];
  return encoded;
}

/** Undoes percent-encoding byte by byte; `+` and a lone `%` stay as they are. */
function percentDecode(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Splits a request target at its first `?`; without one the query is empty. */
export function splitTarget(rawUrl: string): { path: string; query: string } {
  const mark = rawUrl.indexOf("?");
  return mark < 0
    ? { path: rawUrl, query: "" }
    : { path: rawUrl.slice(0, mark), query: rawUrl.slice(mark + 1) };
}

/**
 * The canonical path: empty and `.` segments dropped, `..` resolved, a trailing slash kept, then every segment
 * percent-encoded. The wire path is encoded already, so its `%20` becomes `%2520`: that is AWS's rule.
 */
export function canonicalPath(path: string, normalize = true): string {
  const segments = path.split("/");
  if (!normalize) return segments.map((segment) => percentEncode(percentDecode(segment))).join("/") || "/";
  const kept: string[] = [];
  for (const segment of segments) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(percentEncode(segment));
  }
  return `/${kept.join("/")}${kept.length > 0 && path.endsWith("/") ? "/" : ""}`;
}

/** The decoded names and values of a query string, in the order received; a name without `=` has the value "". */
export function queryParameters(query: string): [name: string, value: string][] {
  if (query === "") return [];
  return query.split("&").map((pair) => {
    const equals = pair.indexOf("=");
    return equals < 0
      ? [percentDecode(pair), ""]
      : [percentDecode(pair.slice(0, equals)), percentDecode(pair.slice(equals + 1))];
  });
}

/** The canonical query: encoded anew, sorted by encoded name and then by encoded value. */
export function canonicalQuery(query: string): string {
  return queryParameters(query)
    .map(([name, value]) => [percentEncode(name), percentEncode(value)] as const)
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Header values under their lower-case names: trimmed, inner white space folded to one space, and the values of
 * repeated lines joined by a comma without a space.
 */
export function foldHeaders(rawHeaders: readonly string[]): Map<string, string> {
  const folded = new Map<string, string>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    const value = (rawHeaders[i + 1] as string).replace(/[\t\n\v\f\r ]+/g, " ").replace(/^ | $/g, "");
    const earlier = folded.get(name);
    folded.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  return folded;
}

/** SHA-256 in lower-case hex. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

/**
 * The canonical request, one byte per character: method, path, query, signed headers, their names, payload hash.
 * A signed header that was not received counts as empty.
 */
export function canonicalRequest(request: RequestHead, options: CanonicalOptions): string {
  const { path, query } = splitTarget(request.rawUrl);
  const headers = foldHeaders(request.rawHeaders);
  if (options.host !== undefined) headers.set("host", options.host);
  return [
    request.method,
    canonicalPath(path, options.normalizePath),
    canonicalQuery(query),
    ...options.signedHeaders.map((name) => `${name}:${headers.get(name) ?? ""}`),
    "",
    options.signedHeaders.join(";"),
    options.payloadHash,
  ].join("\n");
}
