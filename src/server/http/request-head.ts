// The head of a request as RFC 9110 and 9112 want it, where Node's parser takes more: one Host, a target that names a path
// here, a transfer coding that is understood, not too many lines. What a path or a header means is decided elsewhere.
import type { IncomingMessage } from "node:http";
import { AwsError } from "./http-errors.ts";
import { METHODS } from "./node-http.ts";

/**
 * Gives a target in absolute form, as clients send it to a proxy, the form that it has to a server: the path, and the
 * authority as the Host (RFC 9112, 3.2.2). To be called before anything reads the target.
 */
export function normaliseTarget(request: IncomingMessage): void {
  const [, authority, path] = /^https?:\/\/([^/?#]+)([^#]*)$/i.exec(request.url ?? "") ?? [];
  if (authority === undefined || path === undefined) return;
  request.url = path.startsWith("/") ? path : `/${path}`;
  request.headers.host = authority;
  const { rawHeaders } = request;
  const hosts = rawHeaders.flatMap((name, i) => (i % 2 === 0 && name.toLowerCase() === "host" ? [i] : []));
  for (const i of hosts) rawHeaders[i + 1] = authority;
  if (hosts.length === 0 && request.httpVersion !== "1.1") rawHeaders.push("Host", authority);
}

/** Node's parser also takes PRI, of HTTP/2's preface, which no router knows: as OPTIONS the 404 and 405 handler answers it. */
export function renameUnknownMethod(request: IncomingMessage): void {
  if (!METHODS.includes(request.method ?? "")) request.method = "OPTIONS";
}

/** An address or a registered name, and perhaps a port; empty where the target has no authority. */
const HOST = /^(\[[0-9a-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:\d*)?$/i;

/** @throws AwsError for a head that must not be answered otherwise. */
export function checkHead(request: IncomingMessage, headerLinesMax: number): void {
  const { headers, rawHeaders, httpVersion, url = "" } = request;
  const numLines = rawHeaders.length / 2;
  if (numLines > headerLinesMax) {
    throw new AwsError(
      "RequestHeaderFieldsTooLargeException",
      `The request has ${numLines} header lines, and at most ${headerLinesMax} are taken`,
    );
  }
  if (!["0.9", "1.0", "1.1"].includes(httpVersion)) {
    throw new AwsError("HttpVersionNotSupportedException", `This server speaks HTTP/1.1, not ${httpVersion}`);
  }
  if (!url.startsWith("/") && url !== "*") throw malformed("The target of the request is no path");
  const hosts = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === "host");
  const isFree = httpVersion !== "1.1" && hosts.length === 0;
  if (hosts.length !== 1 && !isFree) {
    throw malformed(`The request must have one Host header, and it has ${hosts.length || "none"}`);
  }
  if (!HOST.test(hosts[0] ?? "")) throw malformed("The Host header is no host with a port");
  checkTransferCoding(headers["transfer-encoding"], httpVersion);
}

/** RFC 9112, 6.1: a coding that is not understood is answered with 501; HTTP/1.0 has none. */
function checkTransferCoding(coding: string | undefined, httpVersion: string): void {
  if (coding === undefined) return;
  if (httpVersion !== "1.1") throw malformed("Transfer-Encoding has a meaning in HTTP/1.1 only");
  if (coding.trim().toLowerCase() === "chunked") return;
  throw new AwsError("NotImplemented", "The only Transfer-Encoding that is understood is chunked");
}

function malformed(message: string): AwsError {
  return new AwsError("MalformedHttpRequestException", message);
}
