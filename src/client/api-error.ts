// The errors of the client, each with a code that a program can act on.
import type { ErrorCode } from "../errors.ts";

/**
 * The codes of the server's errors, and those that only a client sees:
 * `denied`: the server does not accept the key pair or token; `unavailable`: it has no room now, so try again later;
 * `refused`: another answer with an error status; `unreachable`: there was no answer; `invalid_answer`: the answer is not
 * one of this server; `stream_broken`: a stream was cut off.
 */
export type ApiErrorCode =
  | ErrorCode
  | "denied"
  | "unavailable"
  | "refused"
  | "unreachable"
  | "invalid_answer"
  | "stream_broken";

interface Facts extends ErrorOptions {
  readonly status?: number | undefined;
  readonly type?: string | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ApiErrorCode;
  /** The answer's HTTP status, if there was an answer. */
  readonly status: number | undefined;
  /** The server's name for the error, such as `ThrottlingException`. */
  readonly type: string | undefined;
  /** The id of the request in the server's log. */
  readonly requestId: string | undefined;
  /** Seconds after which the same request may succeed. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ApiErrorCode, message: string, facts: Facts = {}) {
    super(message, facts);
    this.code = code;
    this.status = facts.status;
    this.type = facts.type;
    this.requestId = facts.requestId;
    this.retryAfterSeconds = facts.retryAfterSeconds;
  }
}

/** The error of an answer with an error status. Reads its body. */
export async function errorOf(response: Response): Promise<ApiError> {
  const { status, headers } = response;
  const body = membersOf(await response.text().catch(() => ""));
  const type = headers.get("x-amzn-errortype") ?? undefined;
  const message = textOf(body.OriginalMessage) ?? textOf(body.Message) ?? textOf(body.message);
  return new ApiError(
    (textOf(body.ErrorCode) as ErrorCode | undefined) ?? codeOf(status),
    message ?? `The server answered with status ${status}`,
    {
      status,
      type,
      requestId: headers.get("x-amzn-requestid") ?? undefined,
      retryAfterSeconds: retryAfterOf(headers.get("retry-after")),
    },
  );
}

/** The error of an exception that ends a stream. */
export function streamError(type: string, payload: string): ApiError {
  const body = membersOf(payload);
  const message = textOf(body.Message) ?? "The stream ended with an error";
  const isTimeout = body.ErrorCode === "ModelInvocationTimeExceeded";
  return new ApiError(isTimeout ? "timed_out" : "stream_broken", message, { type });
}

function codeOf(status: number): ApiErrorCode {
  if (status === 401 || status === 403) return "denied";
  return status === 429 || status === 503 ? "unavailable" : "refused";
}

function membersOf(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // Not JSON: perhaps the page of a proxy.
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Retry-After in seconds. RFC 9110, 10.2.3, allows seconds or a date. */
function retryAfterOf(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  const seconds = (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
