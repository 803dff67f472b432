// Every error that this software raises on purpose, in one table: its kind, and how to fix it.
// `server/` turns these codes into HTTP status codes and AWS's error names. Nothing else does.

/**
 * Who can do something about an error:
 * `caller`: the request is wrong and will fail again; `capacity`: the same request may succeed later;
 * `operator`: a file, setting or checkpoint is wrong; `engine`: our own failure.
 */
export type ErrorKind = "caller" | "capacity" | "operator" | "engine";

interface ErrorEntry {
  readonly kind: ErrorKind;
  /** One sentence for the reference page: what to do about it. */
  readonly fix: string;
}

export const ERRORS = {
  invalid_json: { kind: "caller", fix: "Send a JSON object as the request body, in UTF-8." },
  invalid_body: { kind: "caller", fix: 'Send a JSON object such as {"input": "Some text"}.' },
  unknown_field: { kind: "caller", fix: "Remove the field or correct its name." },
  invalid_field: { kind: "caller", fix: "Send a value of the type and in the range that the message names." },
  prompt_too_long: {
    kind: "caller",
    fix: "Shorten the input or raise max_length; max_length counts the prompt's tokens too.",
  },
  request_too_large: { kind: "caller", fix: "Ask for fewer sequences or beams, or raise --kv-cache-mb." },
  queue_full: { kind: "capacity", fix: "Try again after the time that Retry-After names." },
  timed_out: {
    kind: "capacity",
    fix: "Ask for fewer tokens, try again when the server is less busy, or raise --request-deadline-ms.",
  },
  cancelled: { kind: "capacity", fix: "The caller went away, or the server is stopping." },
  invalid_checkpoint: { kind: "operator", fix: "Give a directory that holds a complete GPT-2 checkpoint." },
  invalid_tokenizer: {
    kind: "operator",
    fix: "Put the checkpoint's own tokenizer files beside its weights.",
  },
  invalid_config: { kind: "operator", fix: "Correct the setting that the message names." },
  hub_refused: {
    kind: "operator",
    fix: "Check the model's name and the token of the hub (HF_TOKEN), or wait until its rate limit ends.",
  },
  hub_unreachable: {
    kind: "operator",
    fix: "Check the network, HF_ENDPOINT and the proxies; the same command continues where it stopped.",
  },
  download_failed: {
    kind: "operator",
    fix: "Free disk space, or set HF_HUB_CACHE to a folder that can be written to and keeps what is written.",
  },
  model_not_cached: {
    kind: "operator",
    fix: "Fetch the model where the hub can be reached, or copy the cache folder of such a machine here.",
  },
  cannot_listen: { kind: "operator", fix: "Choose an address of this machine and a port that is free." },
  engine_failed: { kind: "engine", fix: "See the server's log for this request id." },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** The codes that callers get. All others are internal: callers learn only that the server failed. */
export type PublicErrorCode = {
  [Code in ErrorCode]: (typeof ERRORS)[Code]["kind"] extends "caller" | "capacity" ? Code : never;
}[ErrorCode];

/** The answer for a code, in the table of a dialect. `internal`: the answer for all internal codes. */
export function answerFor<Answer>(
  code: ErrorCode,
  answers: Readonly<Record<PublicErrorCode, Answer>>,
  internal: Answer,
): Answer {
  return Object.hasOwn(answers, code) ? answers[code as PublicErrorCode] : internal;
}

/** An error with a stable code; the message is a complete sentence that names the field or file and the value. */
export class GptError extends Error {
  override readonly name = "GptError";
  readonly code: ErrorCode;
  /** The field of the request that is wrong, if one is. */
  readonly field: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions & { readonly field?: string } = {}) {
    super(message, options);
    this.code = code;
    this.field = options.field;
  }

  get kind(): ErrorKind {
    return ERRORS[this.code].kind;
  }
}

/** For programmer errors only: a condition that no input can make false. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
