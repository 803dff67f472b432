// Why a request to the hub failed, whether a retry may succeed, and the error message if none does. Text from a server is
// shortened and stripped of control characters before it becomes part of a message.
import { type ErrorCode, GptError, messageOf } from "../errors.ts";

interface FailureFacts {
  /** True: a retry may succeed. */
  readonly isTransient: boolean;
  readonly code: ErrorCode;
  /** The message, without the number of attempts. */
  readonly sentence: string;
  /** How long the server asks to wait. Undefined: it does not say, and the usual wait applies. */
  readonly waitMs?: number;
  /** A sentence for the user before the wait. Undefined: none. */
  readonly notice?: string;
  /** Undefined: the server did not answer. */
  readonly answer?: RefusedWith;
}

export interface RefusedWith {
  readonly status: number;
  /** The hub's X-Error-Code. Empty: none was sent, as by a server that is not a hub or does not have the route. */
  readonly errorCode: string;
  /** False: the answer came from another host, to which the hub had redirected. */
  readonly isHub: boolean;
}

export class Failure extends Error {
  readonly facts: FailureFacts;

  constructor(facts: FailureFacts, options?: ErrorOptions) {
    super(facts.sentence, options);
    this.facts = facts;
  }

  /** The error to report after `numTries` failed attempts. */
  toError(numTries: number): GptError {
    const { code, sentence } = this.facts;
    const tries = numTries > 1 ? `; tried ${numTries} times` : "";
    return new GptError(code, `${sentence}${tries}`, { cause: this });
  }
}

/** The answer that caused an error. Undefined: no answer caused it. */
export function answerOf(error: unknown): RefusedWith | undefined {
  const failure = error instanceof Failure ? error : (error as { cause?: unknown }).cause;
  return failure instanceof Failure ? failure.facts.answer : undefined;
}

const QUOTED_MAX = 200;

/** A server's text, shortened and in quotes. */
export function quoteServer(text: string): string {
  return JSON.stringify(printable(text).trim().slice(0, QUOTED_MAX));
}

/** Replaces control characters and direction marks by spaces: printed, they could rewrite the user's terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, " ");
}

/** The failure for a host whose answer is not one that a hub gives. */
export function notAHub(host: string, what: string): Failure {
  return new Failure({
    isTransient: false,
    code: "hub_unreachable",
    sentence: `${host} does not answer like a hub (${what}); check HF_ENDPOINT and proxies`,
  });
}

const TRANSIENT_CODES: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
  "UND_ERR_SOCKET",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
]);

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS_/;

/** The failure for a connection error. `proxy`: the host of the proxy, if there was one. */
export function connectionFailure(cause: unknown, host: string, proxy: string | undefined): Failure {
  const code = codeOf(cause);
  const proxyStatus = Number(/Proxy response \((\d+)\)/.exec(messageOf(cause))?.[1] ?? 0);
  if (code.startsWith("HPE_")) return notAHub(host, "what it sends is not HTTP");
  const through = proxy === undefined ? "" : `; through the proxy ${proxy}`;
  const reason = proxyStatus > 0 ? `the proxy answers ${proxyStatus}` : reasonOf(cause, code);
  return new Failure(
    {
      isTransient: TRANSIENT_CODES.has(code) || [502, 503, 504].includes(proxyStatus),
      code: "hub_unreachable",
      sentence: `cannot reach ${host}: ${reason}${through}`,
    },
    { cause },
  );
}

/** A host may have several addresses, and Node then throws one error that holds one for each. The first one is reported. */
function codeOf(cause: unknown): string {
  const { code, errors } = cause as { code?: unknown; errors?: readonly unknown[] };
  if (typeof code === "string") return code;
  return errors?.[0] === undefined ? "" : codeOf(errors[0]);
}

function reasonOf(cause: unknown, code: string): string {
  if (CERTIFICATE.test(code)) {
    const message = printable(messageOf(cause)) || code;
    return `its certificate is not trusted (${message}); NODE_EXTRA_CA_CERTS names a file of certificates that are`;
  }
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: "the connection is refused",
    ECONNRESET: "the connection is cut",
    EPIPE: "the connection is cut",
    UND_ERR_SOCKET: "the connection is cut",
    UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "the connection is cut",
    ENOTFOUND: "no such name",
    EAI_AGAIN: "its name cannot be looked up now",
    UND_ERR_CONNECT_TIMEOUT: "no connection in time",
    UND_ERR_HEADERS_TIMEOUT: "no answer in time",
    UND_ERR_BODY_TIMEOUT: "silence in the middle of an answer",
  };
  return known[code] ?? (printable(messageOf(cause)) || code);
}
