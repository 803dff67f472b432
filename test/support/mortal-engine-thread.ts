// The engine thread, but a prompt that is only FATAL_TOKEN kills its first helper thread before the pass.
import type { Worker } from "node:worker_threads";
import { EngineCore } from "../../src/engine/engine-core.ts";
import type { GenerationRequest } from "../../src/engine/sequence.ts";
import { FATAL_TOKEN } from "./mortal-engine.ts";

const helpers: Worker[] = [];
process.on("worker", (helper) => helpers.push(helper));

const { add } = EngineCore.prototype;
EngineCore.prototype.add = function (this: EngineCore, request: GenerationRequest): void {
  const { promptTokenIds } = request;
  if (promptTokenIds.length === 1 && promptTokenIds[0] === FATAL_TOKEN) void helpers[0]?.terminate();
  add.call(this, request);
};

await import("../../src/engine/thread/entry.ts");
