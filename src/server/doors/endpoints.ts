// What the other dialects (OpenAI, TGI, the playground) need of a door's endpoints: finding them by the names that clients
// use for models, and checking that the caller may use them.
import type { FastifyRequest } from "fastify";
import { AwsError } from "../http/http-errors.ts";
import { ACCOUNT } from "./envelope.ts";
import type { ServedModel } from "./served-model.ts";

export interface Endpoints {
  /** Names of the endpoints that the caller may invoke, in their order. */
  allowed(request: FastifyRequest): readonly string[];
  /** The name of the first endpoint. */
  readonly first: string;
  /** The model of an endpoint, without any check of the caller. */
  model(name: string): ServedModel | undefined;
  /**
   * Admits a request: counts it for its key, and notes the endpoint for its log line.
   * @throws AwsError when the caller may not invoke the endpoint, or has reached a limit.
   */
  admit(request: FastifyRequest, name: string): ServedModel;
}

/**
 * The endpoint that a client means by a model's name: the endpoint of that name; else the one named as its last part, for an
 * address or `owner/name`; else the first endpoint whose model has that name.
 */
export function endpointOf(
  asked: string,
  names: readonly string[],
  modelName: (endpoint: string) => string | undefined,
): string | undefined {
  const last = asked.replace(/\/+$/, "").split("/").at(-1) ?? "";
  const exact = [asked, last].find((name) => names.includes(name));
  return exact ?? names.find((name) => last !== "" && modelName(name) === last);
}

/** AWS calls it a validation error; other dialects have a status for it. */
export class NoSuchEndpoint extends AwsError {
  constructor(name: string) {
    super("ValidationError", `Endpoint ${name} of account ${ACCOUNT} not found.`);
  }
}

/** @throws AwsError while the model loads */
export function requireLoaded({ isLoaded }: ServedModel): void {
  if (!isLoaded) throw new AwsError("ModelNotReadyException", "The model is still being loaded");
}

/** The answer of a health check while a model is not ready. */
export function notReady(): AwsError {
  return new AwsError("ServiceUnavailable", "The model is not ready");
}

/** @throws AwsError when requests should go to another server: this one will stop, or a model cannot answer. */
export function requireHealth({ server }: FastifyRequest, models: Iterable<ServedModel>): void {
  if (server.connections.isLeaving) throw new AwsError("ServiceUnavailable", "The server is stopping");
  for (const { isReady } of models) if (!isReady) throw notReady();
}
