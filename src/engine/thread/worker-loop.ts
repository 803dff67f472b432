// The loop of the engine thread: read all messages, run a step, send its results, repeat. It sleeps when there is nothing to do.
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { GptError } from "../../errors.ts";
import type { EngineCore } from "../engine-core.ts";
import { SYSTEM_CLOCK } from "./clock.ts";
import type { FromEngine, ToEngine } from "./messages.ts";

/** Runs until a `close` message comes. Then it waits for the promise of `beforeEnd`. */
export function runEngineLoop(
  core: EngineCore,
  port: MessagePort,
  beforeEnd: () => Promise<void> | undefined = () => undefined,
): void {
  let running = false;
  let closing = false;
  const post = (message: FromEngine<never>): void => port.postMessage(message);

  const handle = (message: ToEngine): void => {
    if (message.type === "close") closing = true;
    else if (message.type === "abort") core.abort(message.id);
    else submit(message.request);
  };
  const submit = (request: Extract<ToEngine, { type: "submit" }>["request"]): void => {
    try {
      core.add(request);
    } catch (error) {
      if (!(error instanceof GptError)) throw error;
      post({ type: "refused", id: request.id, code: error.code, message: error.message });
    }
  };
  /** Handles all new requests and aborts. Called before each pass, so that none has to wait until the engine is idle. */
  const drain = (): void => {
    for (let item = receiveMessageOnPort(port); item; item = receiveMessageOnPort(port)) handle(item.message);
  };
  const work = (): void => {
    for (drain(); !core.isIdle && !closing; drain()) {
      const beganMs = SYSTEM_CLOCK.now();
      const result = core.step();
      core.stepTook(SYSTEM_CLOCK.now() - beganMs, result);
      const { started, prefilled, progress, finished, failed } = result;
      const answers = finished.map(({ request: { id }, ...answer }) => ({ id, ...answer }));
      post({ type: "pass", beganMs, started, prefilled, progress, finished: answers, stats: core.stats() });
      for (const { request, message } of failed) {
        post({ type: "refused", id: request.id, code: "engine_failed", message });
      }
    }
    running = false;
    if (closing) {
      void Promise.resolve(beforeEnd())
        .then(() => core.close())
        .then(() => port.close());
    } else {
      core.scheduler.pool.assertIdle();
      post({ type: "idle", stats: core.stats() });
    }
  };
  port.on("message", (message: ToEngine) => {
    handle(message);
    if (running) return;
    running = true;
    // Requests that arrive in the same turn of the event loop share their first pass.
    setImmediate(work);
  });
}
