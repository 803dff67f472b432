// Answers to connections that never became a request: broken HTTP, oversized headers, time run out. Node reports them
// on the socket, before any framework sees them.
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { FastifyBaseLogger } from "fastify";
import { AwsError, renderRawError } from "./http-errors.ts";

/** Codes of Node's HTTP parser and timers, and what they mean to a caller. */
function describe(code: string | undefined): AwsError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new AwsError("RequestHeaderFieldsTooLargeException", "The headers of the request are too large");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return new AwsError(
        "RequestEntityTooLargeException",
        "The chunk extensions of the request are too large",
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new AwsError("RequestTimeoutException", "The request did not arrive in time");
    default:
      return new AwsError("MalformedHttpRequestException", "The request is not well-formed HTTP/1.1");
  }
}

/** Answers and closes the connection; one that is already gone is only closed. */
export function answerClientError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  log: FastifyBaseLogger,
): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = randomUUID();
  const answer = describe(error.code);
  log.info(
    { reqId: requestId, status: answer.status, errorType: answer.type, cause: error.code },
    "connection refused",
  );
  socket.end(renderRawError(answer, requestId, new Date()));
}
