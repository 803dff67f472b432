// The endpoints of a door as the dialects beside SageMaker's see them: found by the names that their clients use, and given to a
// caller who may use them.
import type { FastifyRequest } from "fastify";
import { AwsError } from "../http/http-errors.ts";
import { ACCOUNT } from "./envelope.ts";
import type { ServedModel } from "./served-model.ts";

export interface Endpoints {
  /** Names of those that the caller may invoke, in order. */
  allowed(request: FastifyRequest): readonly string[];
  /** The name of the first. */
  readonly first: string;
  /** Any endpoint's model, whoever asks. */
  model(name: string): ServedModel | undefined;
  /**
   * Counts a request in, for its key and its log line.
   * @throws AwsError when the caller may not invoke it, or when his limits are reached.
   */
  admit(request: FastifyRequest, name: string): ServedModel;
}

/**
 * The endpoint that a client's name for a model means: an endpoint of that name; or of its last part, as in an address or
 * `owner/name`; or the first endpoint whose model is called so.
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

/** @throws AwsError while a model is being loaded */
export function requireLoaded({ isLoaded }: ServedModel): void {
  if (!isLoaded) throw new AwsError("ModelNotReadyException", "The model is still being loaded");
}

/** The answer to those who ask after a model's health where it is not ready. */
export function notReady(): AwsError {
  return new AwsError("ServiceUnavailable", "The model is not ready");
}

/** @throws AwsError where requests should go to another server: it will stop, or a model does not answer. */
export function requireHealth({ server }: FastifyRequest, models: Iterable<ServedModel>): void {
  if (server.connections.isLeaving) throw new AwsError("ServiceUnavailable", "The server is stopping");
  for (const { isReady } of models) if (!isReady) throw notReady();
}
