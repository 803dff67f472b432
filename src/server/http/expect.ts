// `Expect: 100-continue`: a client that asks before it uploads is refused at once when the answer is known already,
// because the body is too large or nothing is signed. Everything else is told to go on.
import type { IncomingMessage } from "node:http";
import type { FastifyInstance } from "fastify";
import type { Settings } from "../../settings.ts";
import { AwsError, bodyTooLarge } from "./http-errors.ts";

/** Has to be called before any other hook that reads the body. */
export function refuseUnsentBodies(app: FastifyInstance, settings: Settings): void {
  const refusals = new WeakMap<IncomingMessage, AwsError>();
  app.server.on("checkContinue", (request, response) => {
    const refusal = refusalOf(request, settings);
    if (refusal === undefined) response.writeContinue();
    else refusals.set(request, refusal);
    app.server.emit("request", request, response);
  });
  app.addHook("onRequest", async (request, reply) => {
    const refusal = refusals.get(request.raw);
    if (refusal === undefined) return;
    // The body may come or not; only a closed connection leaves no doubt where the next request begins.
    reply.header("connection", "close");
    throw refusal;
  });
}

function refusalOf({ headers }: IncomingMessage, settings: Settings): AwsError | undefined {
  if (Number(headers["content-length"]) > settings.bodyBytesMax) return bodyTooLarge(settings);
  const isSigned = settings.auth === "none" || headers.authorization !== undefined;
  return isSigned
    ? undefined
    : new AwsError(
        { type: "MissingAuthenticationTokenException", status: 403 },
        "Missing Authentication Token",
      );
}
