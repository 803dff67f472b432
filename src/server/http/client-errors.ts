// Answers to what never became a request: broken HTTP, oversized headers, time run out. Node reports them on the socket,
// before any framework sees them.
import { randomUUID } from "node:crypto";
import type { FastifyBaseLogger } from "fastify";
import { AwsError, renderRawError } from "./http-errors.ts";

/** Codes of Node's HTTP parser and timers, and what they mean to a caller; undefined: there is nobody to tell. */
function describe(code: string): AwsError | undefined {
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
      return code.startsWith("HPE_")
        ? new AwsError("MalformedHttpRequestException", "The request is not well-formed HTTP/1.1")
        : undefined;
  }
}

/** The last bytes for a connection with this error; undefined: it can only be closed. */
export function answerToClientError({ code = "" }: NodeJS.ErrnoException, log: FastifyBaseLogger) {
  const answer = describe(code);
  return answer && renderLastAnswer(answer, log, code);
}

/** An answer that the connection ends with; it is logged, since no request is. */
export function renderLastAnswer(answer: AwsError, log: FastifyBaseLogger, cause: string): string {
  const requestId = randomUUID();
  const { status, type: errorType } = answer;
  log.info({ reqId: requestId, status, errorType, cause }, "connection refused");
  return renderRawError(answer, requestId, new Date());
}
