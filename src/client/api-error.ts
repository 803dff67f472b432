// What goes wrong between a client and a server, with a code that a program can act on.
import type { ErrorCode } from "../errors.ts";

/**
 * The codes of the server's errors, where it tells one, and those of what only a client sees:
 * `denied`: the server does not accept the key pair or token; `unavailable`: it has no room now, so try again later;
 * `refused`: another answer with an error status; `unreachable`: no answer came; `invalid_answer`: what came is not an
 * answer of this server; `stream_broken`: an answer that had begun did not end.
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
  /** The answer's HTTP status, where there was one. */
  readonly status: number | undefined;
  /** The server's name for the error, such as `ThrottlingException`. */
  readonly type: string | undefined;
  /** By which the server's log knows the request. */
  readonly requestId: string | undefined;
  /** After so many seconds the same request may succeed. */
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

/** An answer with an error status; its body is read. */
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

/** What ends a stream in the place of its last part. */
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
    return {}; // A proxy's page, perhaps.
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Seconds, or a date, as RFC 9110, section 10.2.3, has them. */
function retryAfterOf(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  const seconds = (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
