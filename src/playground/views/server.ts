// The page's calls to its server: JSON requests, and the stream of a generation. The session's cookie authorises them; the browser never
// has a key. Errors are sentences that can be shown.
import type {
  Clients,
  Facts,
  GenerateBody,
  NextToken,
  PlaygroundEvent,
  PromptBody,
  Refusal,
  Scored,
  Tokenized,
} from "../../dialects/playground/events.ts";
import { EventReader } from "../logic/server-sent-events.ts";

/** An error whose message is shown as it is. */
export class ServerFailure extends Error {
  readonly refusal: Refusal["error"];

  constructor(refusal: Refusal["error"]) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

const UNREACHABLE =
  "The server does not answer. Is it still running? The page stays as it is; try again when it is back.";
const NO_SESSION =
  "This page has no session with the server, or it is over. Open the link that the server printed at its start.";
const BROKEN_OFF = "The connection broke off during the answer. The text so far is kept.";

export const server = {
  facts: (): Promise<Facts> => ask("facts"),
  next: (body: PromptBody, signal: AbortSignal): Promise<NextToken> => ask("next", body, signal),
  score: (body: PromptBody, signal?: AbortSignal): Promise<Scored> => ask("score", body, signal),
  tokenize: (body: PromptBody, signal?: AbortSignal): Promise<Tokenized> => ask("tokenize", body, signal),
  clients: (body: GenerateBody, signal: AbortSignal): Promise<Clients> => ask("clients", body, signal),
};

async function send(route: string, body?: object, signal?: AbortSignal): Promise<Response> {
  const options: RequestInit = {
    credentials: "same-origin",
    ...(signal && { signal }),
    ...(body && {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  };
  let response: Response;
  try {
    response = await fetch(`playground/${route}`, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServerFailure({ code: "unreachable", message: UNREACHABLE });
  }
  if (response.ok) return response;
  if (response.status === 401) throw new ServerFailure({ code: "no_session", message: NO_SESSION });
  throw new ServerFailure(await refusalOf(response));
}

async function refusalOf(response: Response): Promise<Refusal["error"]> {
  const answer = (await response.json().catch(() => undefined)) as Partial<Refusal> | undefined;
  return answer?.error ?? { code: "refused", message: `The server answered with status ${response.status}.` };
}

async function ask<T>(route: string, body?: object, signal?: AbortSignal): Promise<T> {
  const response = await send(route, body, signal);
  return (await response.json()) as T;
}

/** The events of a request as they come, up to "end" or "error". Throws if the connection breaks before. */
export async function* generate(body: GenerateBody, signal: AbortSignal): AsyncGenerator<PlaygroundEvent> {
  const response = await send("generate", body, signal);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const events = new EventReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      if (signal.aborted) throw error;
      throw new ServerFailure({ code: "broken_off", message: BROKEN_OFF });
    });
    for (const { data } of value ? events.push(value) : []) {
      const event = JSON.parse(data) as PlaygroundEvent;
      yield event;
      if (event.type === "end" || event.type === "error") return;
    }
    if (done) throw new ServerFailure({ code: "broken_off", message: BROKEN_OFF });
  }
}
