// A `TextGenerator` whose engine runs in the calling thread, with a small checkpoint made by the rule in `checkpoints.ts`.

import type { FinishedRequest } from "../../src/engine/pass-result.ts";
import { TextGenerator } from "../../src/generator/text-generator.ts";
import { loadModel } from "../../src/model/loading/load-model.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { type CheckpointOptions, writeCheckpoint } from "./checkpoints.ts";
import { anEngine } from "./engines.ts";
import { answerAll } from "./inline-engine.ts";

/** Writes the checkpoint to `directory` and loads it. Without a tokenizer, prompts must be token ids. */
export function makeGenerator(
  directory: string,
  options: CheckpointOptions,
  tokenizer?: Tokenizer,
): TextGenerator {
  const { backend, config } = loadModel(writeCheckpoint(directory, options), {
    precision: "f32",
    kvCacheMb: 1,
    threads: 1,
  });
  const engine = anEngine(
    (prompt, decoding) =>
      answerAll(backend, config.eosTokenIds, [{ prompt, decoding }])[0] as FinishedRequest,
    () => backend.close(),
  );
  const { vocabSize, contextLength, bosTokenId } = config;
  const model = {
    name: "rule",
    precision: "f32",
    kernels: "none",
    threads: 1,
    parameters: 0,
    vocabSize,
    contextLength,
  };
  return new TextGenerator(engine, model, tokenizer, bosTokenId);
}
