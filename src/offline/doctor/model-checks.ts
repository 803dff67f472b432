// The checks of `doctor` about a model: pure functions of the facts that `model-facts.ts` gathers.
import type { GptError } from "../../errors.ts";
import type { GoldenOutput } from "../golden-outputs.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

/** `error`: why the checkpoint cannot be opened; undefined if it can. */
export function checkpointCheck(
  directory: string,
  found: { readonly parameters: number; readonly contextLength: number } | { readonly error: string },
): Finding {
  const what = "model";
  if ("error" in found) {
    return problem(what, found.error, "Give --model a folder with a complete GPT-2 checkpoint");
  }
  const millions = (found.parameters / 1e6).toFixed(1);
  return ok(what, `${directory}: ${millions} M parameters, ${found.contextLength} positions`);
}

export interface HashFacts {
  /** Number of files whose SHA-256 is known, because it is their name in the cache. */
  readonly numKnown: number;
  readonly differing: readonly string[];
}

export function hashCheck({ numKnown, differing }: HashFacts): Finding {
  const what = "hashes";
  if (differing.length > 0) {
    return problem(
      what,
      `${differing.join(" and ")} ${differing.length === 1 ? "is" : "are"} not what was downloaded`,
      "Remove the file and fetch the model again",
    );
  }
  if (numKnown === 0) return ok(what, "None are known of these files");
  return ok(what, `${numKnown} files are what was downloaded`);
}

export interface NotFinite {
  readonly tensor: string;
  readonly index: number;
  readonly value: number;
}

/** `error`: why the weights cannot be loaded; undefined if they can. */
export function weightCheck(notFinite: NotFinite | undefined, error: GptError | undefined): Finding {
  const what = "weights";
  if (notFinite !== undefined) {
    const { tensor, index, value } = notFinite;
    return problem(
      what,
      `${tensor} holds ${value} at ${index}, which makes every answer meaningless`,
      "Fetch the checkpoint again, or go back to one from before the training failed",
    );
  }
  if (error !== undefined) {
    const isCheckpoint = error.code === "invalid_checkpoint";
    const remedy = isCheckpoint ? "Give --model another checkpoint, or mend this one" : "Give it more memory";
    return problem(what, error.message, remedy);
  }
  return ok(what, "All numbers are finite");
}

/** `found`: undefined if there are no tokenizer files. */
export function tokenizerCheck(
  found: { readonly vocabSize: number } | { readonly error: string } | undefined,
  modelVocabSize: number,
): Finding {
  const what = "tokenizer";
  const remedy = "Put the checkpoint's own tokenizer files beside its weights";
  if (found === undefined) {
    return warning(what, "There are no tokenizer files, so only prompt_token_ids are answered", remedy);
  }
  if ("error" in found) return problem(what, found.error, remedy);
  const { vocabSize } = found;
  const says = `${vocabSize} tokens, and the model has ${modelVocabSize}`;
  return vocabSize > modelVocabSize
    ? problem(what, `${says}: texts with the last ones fail`, remedy)
    : ok(what, says);
}

/** The comparison with a published output. */
export interface GoldenFacts {
  /** Name of the published checkpoint. */
  readonly name: string;
  readonly output: GoldenOutput;
  readonly differences: readonly string[];
}

export function goldenCheck(found: GoldenFacts | undefined): Finding {
  const what = "output";
  if (found === undefined) return ok(what, "Nothing is published of a model of this shape");
  const { name, output, differences } = found;
  const prompt = JSON.stringify(output.prompt);
  if (differences.length === 0) return ok(what, `The text after ${prompt} is the published one of ${name}`);
  return warning(
    what,
    `The text after ${prompt} differs from the published one of ${name}: this is a fine-tuned model, or its files are damaged`,
    "See what differs: gpt2-api verify --model …",
  );
}
