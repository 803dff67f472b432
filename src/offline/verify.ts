// Compares a loaded checkpoint with published outputs, in the calling thread and one output at a time. The checkpoint is loaded
// in f32. Texts must be equal. Numbers may differ by the tolerance that comes with them.
import type { DecodingParams, Search } from "../decoding/decoding-params.ts";
import type { Hypothesis } from "../decoding/strategy.ts";
import { EngineCore } from "../engine/engine-core.ts";
import type { Backend } from "../model/backend.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { GoldenOutput } from "./golden-outputs.ts";
import { score } from "./score.ts";

export interface VerifiedModel {
  readonly backend: Backend;
  readonly eosTokenIds: readonly number[];
  readonly tokenizer: Tokenizer;
}

/** One sentence for each difference. The list is empty if the output is the published one. */
export type Differences = readonly string[];

/** Generates what `golden` describes, and compares it. */
export function verifyOutput(model: VerifiedModel, golden: GoldenOutput): Differences {
  const prompt = model.tokenizer.encode(golden.prompt);
  const hypotheses = generate(model, golden, prompt);
  const best = hypotheses[0]?.tokenIds ?? [];
  return [
    ...compareTexts(model, golden, prompt, hypotheses),
    ...(golden.tokenIds ? compareTokens(best, golden.tokenIds) : []),
    ...compareNumbers(model.backend, golden, prompt.length, best),
  ];
}

function generate(
  { backend, eosTokenIds }: VerifiedModel,
  golden: GoldenOutput,
  prompt: readonly number[],
): readonly Hypothesis[] {
  const { numBeams = 1, noRepeatNgramSize = 0, continuations, maxNewTokens } = golden;
  const search: Search =
    numBeams > 1 ? { kind: "beam", numBeams, lengthPenalty: 1, earlyStopping: false } : { kind: "greedy" };
  const decoding: DecodingParams = {
    maxLength: maxNewTokens === undefined ? (golden.maxLength ?? 0) : prompt.length + maxNewTokens,
    numReturnSequences: continuations?.length ?? 1,
    seed: 0,
    noRepeatNgramSize,
    search,
  };
  const core = new EngineCore(backend, eosTokenIds);
  core.add({ id: 0, promptTokenIds: prompt, decoding, client: 0, streams: false });
  for (;;) {
    const [finished] = core.step().finished;
    if (finished) return finished.hypotheses;
  }
}

function compareTexts(
  { tokenizer }: VerifiedModel,
  { continuations = [], isPrefix }: GoldenOutput,
  prompt: readonly number[],
  hypotheses: readonly Hypothesis[],
): string[] {
  return continuations.flatMap((expected, i) => {
    const tokenIds = hypotheses[i]?.tokenIds.slice(prompt.length) ?? [];
    const text = tokenizer.decode(tokenIds, { skipSpecialTokens: true });
    if (isPrefix ? text.startsWith(expected) : text === expected) return [];
    const place = continuations.length > 1 ? `text ${i + 1}: ` : "";
    return [`${place}expected ${JSON.stringify(expected)}, got ${JSON.stringify(text)}`];
  });
}

function compareTokens(found: readonly number[], expected: readonly number[]): string[] {
  if (found.join() === expected.join()) return [];
  return [`expected tokens ${expected.join(" ")}, got ${found.join(" ")}`];
}

/** Compares log-probabilities and logits of the tokens after the prompt. */
function compareNumbers(
  backend: Backend,
  { logprobs = [], logits = [], tolerance = 0 }: GoldenOutput,
  promptLength: number,
  tokenIds: readonly number[],
): string[] {
  const foundLogprobs = logprobs.length > 0 ? score(backend, tokenIds).logprobs.slice(promptLength - 1) : [];
  const foundLogits = logits.map((_, i) => {
    const length = promptLength + i;
    return score(backend, tokenIds.slice(0, length)).lastLogits[tokenIds[length] as number] as number;
  });
  const compare = (what: string, found: readonly number[], expected: readonly number[]): string[] =>
    expected.flatMap((value, i) =>
      Math.abs((found[i] ?? Number.NaN) - value) <= tolerance
        ? []
        : [`${what} ${i + 1} is ${found[i]}, expected ${value} ± ${tolerance}`],
    );
  return [...compare("log-probability", foundLogprobs, logprobs), ...compare("logit", foundLogits, logits)];
}
