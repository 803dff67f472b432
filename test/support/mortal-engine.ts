// An engine in a thread of its own, with a small checkpoint. Tests can kill its threads.

import type { EngineInfo } from "../../src/engine/thread/entry.ts";
import {
  type EngineThread,
  WorkerEngine,
  type WorkerEngineOptions,
} from "../../src/engine/thread/worker-engine.ts";
import { spawnEngineThread } from "../../src/generator/load-generator.ts";
import { writeCheckpoint } from "./checkpoints.ts";

/** A prompt of only this token kills a helper thread of the engine. */
export const FATAL_TOKEN = 13;

const OPTIONS = { precision: "f32", kvCacheMb: 8, threads: 2, prefixCache: true } as const;
const ENTRY = new URL("./mortal-engine-thread.js", import.meta.url);

const STILLBORN = new URL("./stillborn-engine-thread.js", import.meta.url);

export interface MortalEngineOptions extends Partial<WorkerEngineOptions> {
  /** Helper threads from this number on, counted from 0, end while they start. */
  readonly stillbornFrom?: number;
}

/** Writes the checkpoint to `directory`. It has no end of text. `threads` are the threads that were started so far. */
export async function startMortalEngine(directory: string, options: MortalEngineOptions = {}) {
  const { stillbornFrom = Number.POSITIVE_INFINITY, ...others } = options;
  const model = writeCheckpoint(directory, { seed: 3, V: 61, P: 1024, config: { eos_token_id: null } });
  const threads: EngineThread[] = [];
  const { engine } = await WorkerEngine.start<EngineInfo>({
    spawn: () => {
      const entry = threads.length < stillbornFrom ? ENTRY : STILLBORN;
      const thread = spawnEngineThread({ directory: model, options: OPTIONS }, entry);
      threads.push(thread);
      return thread;
    },
    queueRequestsMax: 100,
    ...others,
  });
  return { engine, threads };
}
