// Errors in OpenAI's form: `{"error": {message, type, param, code}}`, always with all four members. Clients look at the status
// and at `code`. LiteLLM and LangChain recognise a prompt that is too long by the first words of the message.
import { answerFor, type GptError, type PublicErrorCode } from "../../errors.ts";

export interface OpenAiError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: {
    readonly error: {
      readonly message: string;
      readonly type: string;
      readonly param: string | null;
      readonly code: string | null;
    };
  };
}

interface Treatment {
  readonly status: number;
  readonly type?: string;
  readonly code?: string;
  readonly param?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const RETRY = { "retry-after": "1" };
/** The official clients retry after a 5xx status, up to three attempts in all. This header stops them. */
const HOPELESS = { "x-should-retry": "false" };
const SERVER_ERROR = "server_error";
const INTERNAL: Treatment = { status: 500, type: SERVER_ERROR, code: "engine_failed" };

const TREATMENTS: Readonly<Record<PublicErrorCode, Treatment>> = {
  invalid_json: { status: 400 },
  invalid_body: { status: 400 },
  unknown_field: { status: 400, code: "unknown_parameter" },
  invalid_field: { status: 400, code: "invalid_value" },
  prompt_too_long: { status: 400, code: "context_length_exceeded" },
  request_too_large: { status: 400, code: "request_too_large" },
  queue_full: { status: 503, type: SERVER_ERROR, code: "overloaded", headers: RETRY },
  cancelled: { status: 503, type: SERVER_ERROR, code: "cancelled", headers: RETRY },
  timed_out: { status: 504, type: SERVER_ERROR, code: "timed_out", headers: HOPELESS },
};

/** The core's name of a field → its name in this dialect. `max_new_tokens` is a field here too, except in errors about lengths. */
const PARAMS: ReadonlyMap<string, string> = new Map([
  ["input", "prompt"],
  ["max_length", "max_tokens"],
]);
const LENGTHS: ReadonlyMap<string, string> = new Map([...PARAMS, ["max_new_tokens", "max_tokens"]]);

/** The answer for an error of the core. `contextLength`: of the model, if the request got as far as a model. */
export function openAiErrorOf(error: GptError, contextLength: number | undefined): OpenAiError {
  const treatment = answerFor(error.code, TREATMENTS, INTERNAL);
  const names = error.code === "prompt_too_long" ? LENGTHS : PARAMS;
  const param = error.field === undefined ? null : (names.get(error.field) ?? error.field);
  if (treatment === INTERNAL) return render(treatment, "The server failed; its log has the cause", null);
  if (error.code !== "prompt_too_long") return render(treatment, error.message, param);
  const limit =
    contextLength === undefined ? "" : `This model's maximum context length is ${contextLength} tokens: `;
  return render(treatment, limit + error.message, param ?? "prompt");
}

/** Refusals by the server itself, before the core is asked. Keyed by the error type in the log. */
const BY_NAME: Readonly<Record<string, Treatment>> = {
  MissingAuthenticationTokenException: { status: 401 },
  AccessDeniedException: { status: 403, code: "access_denied", param: "model" },
  ModelNotFound: { status: 404, code: "model_not_found", param: "model" },
  ModelMissing: { status: 400, code: "missing_required_parameter", param: "model" },
  UnsupportedEndpoint: { status: 404, code: "unsupported_endpoint", param: "model" },
  UnknownOperationException: { status: 404, code: "unknown_url" },
  ThrottlingException: { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded" },
  ModelNotReadyException: { status: 503, type: SERVER_ERROR, code: "model_not_ready", headers: RETRY },
  ServiceUnavailable: { status: 503, type: SERVER_ERROR, code: "overloaded", headers: RETRY },
  InternalFailure: INTERNAL,
};

export interface HttpRefusal {
  readonly type: string;
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The answer for a refusal by the server itself. Every problem with credentials is a 401 in this dialect. */
export function openAiRefusal({ type, status, message, headers = {} }: HttpRefusal): OpenAiError {
  const isOfCredentials = status === 403 || /Signature|Token|Client/.test(type);
  const treatment =
    BY_NAME[type] ?? (isOfCredentials ? { status: 401, code: "invalid_api_key" } : { status });
  const rendered = render(treatment, message, treatment.param ?? null);
  return { ...rendered, headers: { ...rendered.headers, ...headers } };
}

function render(treatment: Treatment, message: string, param: string | null): OpenAiError {
  const { status, type = "invalid_request_error", code = null, headers = {} } = treatment;
  return { status, headers, body: { error: { message, type, param, code } } };
}
