// Loads a checkpoint for verification: the model, in the calling thread, and its tokenizer, which must exist.
import { GptError } from "../errors.ts";
import { loadModel, type ModelOptions } from "../model/loading/load-model.ts";
import { loadTokenizer } from "../tokenizer/tokenizer-files.ts";
import type { CheckpointShape } from "./golden-outputs.ts";
import type { VerifiedModel } from "./verify.ts";

/** Enough for the published output with the widest beam search. */
const KV_CACHE_MB = 64;

export interface LoadedForVerification extends VerifiedModel {
  readonly shape: CheckpointShape;
  close(): Promise<void>;
}

/** @throws GptError `invalid_checkpoint`, `invalid_tokenizer` or `invalid_config` */
export async function loadForVerification(
  directory: string,
  options: Pick<ModelOptions, "threads" | "onProblem" | "onLoading">,
): Promise<LoadedForVerification> {
  const tokenizer = await loadTokenizer(directory);
  const { backend, config } = loadModel(directory, { ...options, precision: "f32", kvCacheMb: KV_CACHE_MB });
  if (tokenizer.vocabSize > config.vocabSize) {
    await backend.close();
    throw new GptError(
      "invalid_tokenizer",
      `${directory}: the tokenizer has ${tokenizer.vocabSize} tokens and the model ${config.vocabSize}`,
    );
  }
  return {
    backend,
    tokenizer,
    eosTokenIds: config.eosTokenIds,
    shape: config,
    close: () => backend.close(),
  };
}
