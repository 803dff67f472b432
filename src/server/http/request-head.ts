// Checks of a request's head that RFC 9110 and 9112 ask for and Node's parser does not make: a single Host, a target with a
// path, a known transfer coding, not too many lines. What paths and headers mean is decided elsewhere.
import type { IncomingMessage } from "node:http";
import { AwsError } from "./http-errors.ts";
import { METHODS } from "./node-http.ts";

/**
 * Rewrites a target in absolute form, which clients send to a proxy: the path becomes the target, and the authority becomes
 * the Host (RFC 9112, 3.2.2). Call it before anything reads the target.
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

/** Node's parser accepts the method PRI of HTTP/2's preface, and the router does not know it. As OPTIONS it gets 404 or 405. */
export function renameUnknownMethod(request: IncomingMessage): void {
  if (!METHODS.includes(request.method ?? "")) request.method = "OPTIONS";
}

/** An IP address or a registered name, perhaps with a port. It is empty if the target has no authority. */
const HOST = /^(\[[0-9a-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:\d*)?$/i;

/** @throws AwsError for a head that RFC 9112 requires to be refused, or one with too many lines. */
export function checkHead(request: IncomingMessage, headerLinesMax: number): void {
  const { headers, rawHeaders, httpVersion, url = "" } = request;
  const numLines = rawHeaders.length / 2;
  if (numLines > headerLinesMax) {
    throw new AwsError(
      "RequestHeaderFieldsTooLargeException",
      `The request has ${numLines} header lines, and at most ${headerLinesMax} are accepted`,
    );
  }
  if (!["0.9", "1.0", "1.1"].includes(httpVersion)) {
    throw new AwsError("HttpVersionNotSupportedException", `This server speaks HTTP/1.1, not ${httpVersion}`);
  }
  if (!url.startsWith("/") && url !== "*") throw malformed("The target of the request is not a path");
  const hosts = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === "host");
  const isFree = httpVersion !== "1.1" && hosts.length === 0;
  if (hosts.length !== 1 && !isFree) {
    throw malformed(`The request must have one Host header, and it has ${hosts.length || "none"}`);
  }
  if (!HOST.test(hosts[0] ?? "")) throw malformed("The Host header is not a host, perhaps with a port");
  checkTransferCoding(headers["transfer-encoding"], httpVersion);
}

/** RFC 9112, 6.1: an unknown coding is answered with 501, and HTTP/1.0 has no transfer codings. */
function checkTransferCoding(coding: string | undefined, httpVersion: string): void {
  if (coding === undefined) return;
  if (httpVersion !== "1.1") throw malformed("Transfer-Encoding has a meaning in HTTP/1.1 only");
  if (coding.trim().toLowerCase() === "chunked") return;
  throw new AwsError("NotImplemented", "The only supported Transfer-Encoding is chunked");
}

function malformed(message: string): AwsError {
  return new AwsError("MalformedHttpRequestException", message);
}
