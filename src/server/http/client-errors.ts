// Answers to what never became a request: broken HTTP, headers that are too large, timeouts. Node reports them on the
// socket, and the framework never sees them.
import { randomUUID } from "node:crypto";
import type { FastifyBaseLogger } from "fastify";
import { AwsError, renderRawError } from "./http-errors.ts";

/** The error for a code of Node's HTTP parser and timers; undefined if the caller is gone. */
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

/** The last bytes to send on a connection with this error; undefined if it can only be closed. */
export function answerToClientError({ code = "" }: NodeJS.ErrnoException, log: FastifyBaseLogger) {
  const answer = describe(code);
  return answer && renderLastAnswer(answer, log, code);
}

/** The answer with which a connection ends. It is logged here, because there is no request to be logged. */
export function renderLastAnswer(answer: AwsError, log: FastifyBaseLogger, cause: string): string {
  const requestId = randomUUID();
  const { status, type: errorType } = answer;
  log.info({ reqId: requestId, status, errorType, cause }, "connection refused");
  return renderRawError(answer, requestId, new Date());
}
