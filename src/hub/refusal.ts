// Turns an error answer of the hub into a `Failure`. The hub explains itself by the status and by the headers X-Error-Code
// and X-Error-Message. Source of their meanings: requests to the hub, and the client library huggingface_hub.
import { Failure, printable, quoteServer, type RefusedWith } from "./failure.ts";
import type { HubEnvironment } from "./hub-environment.ts";
import { type HubAnswer, sendsInTheOpen } from "./transport.ts";

/** What was asked for, to be named in messages. */
export interface Asked {
  readonly id: string;
  readonly revision: string;
  /** The file, or a phrase for the route. */
  readonly what: string;
}

const TRANSIENT: readonly number[] = [408, 429, 500, 502, 503, 504];
const BODY_BYTES_MAX = 4096;
const DISABLED = "Access to this resource is disabled.";

/** The failure for an error answer. Reads the beginning of its body and drops the rest. */
export async function refusal(
  answer: HubAnswer,
  asked: Asked,
  environment: HubEnvironment,
): Promise<Failure> {
  const { status, url } = answer;
  const code = answer.header("x-error-code") ?? "";
  const message = printable(answer.header("x-error-message") ?? "").slice(0, 200);
  const body = await beginning(answer, environment.headersTimeoutMs);
  const isHub = url.origin === new URL(environment.endpoint).origin;
  const facts: RefusedWith = { status, errorCode: code, isHub };
  if (status === 429) return rateLimited(answer, facts);
  const failure = isHub ? byHub({ ...asked, ...facts, message }, environment) : undefined;
  if (failure !== undefined) return failure;
  const words = printable(body).trim() || message;
  const sentence = `${url.host} refuses ${asked.what}: HTTP ${status}, ${quoteServer(words)}`;
  const isTransient = TRANSIENT.includes(status);
  return new Failure({ isTransient, ...waitOf(answer), code: "hub_refused", sentence, answer: facts });
}

interface HubRefusal extends Asked, RefusedWith {
  /** X-Error-Message */
  readonly message: string;
}

/** The failure for what the hub says about a model or a token. Undefined: it is about neither. */
function byHub(asked: HubRefusal, environment: HubEnvironment): Failure | undefined {
  const { id, revision, status, errorCode, message } = asked;
  const refused = (sentence: string, code: "hub_refused" | "invalid_config" = "hub_refused") =>
    new Failure({ isTransient: false, code, sentence, answer: asked });
  if (message === DISABLED) return refused(`${id} was taken down by the hub: ${message}`);
  if (errorCode === "RevisionNotFound") return refused(`${id} has no revision "${revision}"`);
  const isUnknown = errorCode === "RepoNotFound";
  // A 404 without an error code says nothing about the model. Servers without this route send it.
  if (!isUnknown && errorCode !== "GatedRepo" && status !== 401 && status !== 403) return undefined;
  const { endpoint } = environment;
  const token = environment.token();
  if (token !== undefined && sendsInTheOpen(environment)) {
    const { host } = new URL(endpoint);
    const sentence = `HF_ENDPOINT is http: the token is not sent to ${host}, which refuses ${id}; use https`;
    return refused(sentence, "invalid_config");
  }
  if (errorCode === "GatedRepo") {
    return refused(
      `${id} is gated: ask for access at ${endpoint}/${id}, then set HF_TOKEN to a token of that account`,
    );
  }
  if (token !== undefined && !isUnknown) {
    const said = message === "" ? `HTTP ${status}` : message;
    return refused(
      `the hub refuses the token from ${token.origin}: ${said}; renew it, or unset it for public models`,
    );
  }
  return refused(
    `${id}: the hub knows no such model, or it is private; check the name, or set HF_TOKEN to a token that may read it`,
  );
}

function rateLimited(answer: HubAnswer, facts: RefusedWith): Failure {
  const wait = waitOf(answer);
  const seconds = wait.waitMs === undefined ? undefined : wait.waitMs / 1000;
  const reached = "the hub's rate limit is reached";
  const end = seconds === undefined ? "" : `; it ends in ${seconds} s`;
  return new Failure({
    isTransient: true,
    ...wait,
    code: "hub_refused",
    sentence: `${reached}${end}; a token (HF_TOKEN) raises it`,
    notice: seconds === undefined ? `${reached}; waiting` : `${reached}; waiting ${seconds} s`,
    answer: facts,
  });
}

/**
 * How long the server asks to wait: by `RateLimit: "api";r=0;t=12`, as the hub sends it (none remaining, reset in 12 s), or
 * by Retry-After in seconds. One second is added, since both are rounded down.
 */
function waitOf(answer: HubAnswer): { readonly waitMs?: number } {
  const limits = answer.status === 429 ? (answer.header("ratelimit") ?? "") : "";
  const ends = [...limits.matchAll(/;\s*r=0\s*;\s*t=(\d+)/g)].map(([, digits]) => Number(digits));
  const [, retryAfter] = /^\s*(\d+)\s*$/.exec(answer.header("retry-after") ?? "") ?? [];
  if (ends.length === 0 && retryAfter !== undefined) ends.push(Number(retryAfter));
  return ends.length > 0 ? { waitMs: 1000 * (Math.max(...ends) + 1) } : {};
}

async function beginning({ body }: HubAnswer, timeoutMs: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  const late = setTimeout(() => body.destroy(), timeoutMs);
  try {
    for await (const chunk of body.pieces()) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= BODY_BYTES_MAX) break;
    }
  } catch {
    // The part that arrived is enough for the message.
  }
  clearTimeout(late);
  return Buffer.concat(chunks).toString("utf8", 0, BODY_BYTES_MAX);
}
