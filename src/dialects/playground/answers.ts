// Makes the answers of the playground's routes from the results of the core. Their types are in `events.ts`.
import type { BeamStepTrace, TracedCandidate } from "../../decoding/beam-trace.ts";
import type { TokenLogprobs } from "../../decoding/token-logprobs.ts";
import type {
  AnswerToken,
  GeneratedPrompt,
  Generation,
  TextPiece,
  TokenForm,
} from "../../request/generation.ts";
import {
  type Alternative,
  type BeamCandidate,
  type BeamStep,
  type EndEvent,
  type NextToken,
  type Scored,
  type StartEvent,
  type Token,
  type TokensEvent,
  type TracedToken,
  VERSION,
} from "./events.ts";

/** How many of the most likely next tokens are sent with their names. */
const NUM_NAMED = 200;

export type TokenForms = (tokenId: number) => TokenForm;

export function tokenOf(id: number, form: TokenForms): Token {
  const { name, isSpecial } = form(id);
  return { id, name, ...(isSpecial && { special: true }) };
}

/** Makes the events of one generation. */
export class TraceEvents {
  readonly #form: TokenForms;
  readonly #seed: number;
  #numSteps = 0;
  /** For each sequence: how many of its new tokens have been sent. */
  readonly #numSent: number[] = [];

  constructor(seed: number, form: TokenForms) {
    this.#seed = seed;
    this.#form = form;
  }

  start({ tokenIds, text, logprobs }: GeneratedPrompt): StartEvent {
    const prompt = promptTokens(tokenIds, logprobs, this.#form);
    return { type: "start", version: VERSION, seed: this.#seed, prompt, text };
  }

  piece({ index, tokens }: TextPiece): TokensEvent[] {
    if (tokens.length === 0) return [];
    this.#numSent[index] = (this.#numSent[index] ?? 0) + tokens.length;
    return [
      { type: "tokens", sequence: index, tokens: tokens.map((token) => tracedToken(token, this.#form)) },
    ];
  }

  steps(steps: readonly BeamStepTrace[]): { readonly type: "beams"; readonly steps: BeamStep[] } {
    return { type: "beams", steps: steps.map((step) => beamStep(step, this.#numSteps++, this.#form)) };
  }

  /** `answer`: what the server's own route for generation would have answered. */
  end(generation: Generation, answer: unknown, fingerprint: string | undefined): EndEvent {
    const { seed, promptTokens, cachedTokens, generatedTokens, timing } = generation;
    return {
      type: "end",
      sequences: generation.sequences.map((sequence, i) => {
        const { text, tokenIds, tokens, endToken, finishReason, stop, score } = sequence;
        return {
          text,
          tokenIds,
          rest: tokens.slice(this.#numSent[i] ?? 0).map((token) => tracedToken(token, this.#form)),
          ...(endToken && { endToken: tracedToken(endToken, this.#form) }),
          finishReason,
          ...(stop !== undefined && { stop }),
          ...(score !== undefined && { score }),
        };
      }),
      seed,
      promptTokens,
      cachedTokens,
      generatedTokens,
      ...timing,
      fingerprint: fingerprint ?? null,
      answer,
    };
  }
}

function tracedToken({ tokenId, text, logprobs }: AnswerToken, form: TokenForms): TracedToken {
  const own = { ...tokenOf(tokenId, form), text };
  if (logprobs === undefined) return { ...own, logprob: null };
  const { logprob, rank, choice } = logprobs;
  return {
    ...own,
    logprob: finite(logprob),
    ...(rank !== undefined && { rank }),
    alternatives: alternativesOf(logprobs, form),
    ...(choice && {
      choice: {
        probability: choice.probability,
        filters: choice.filters,
        ...(choice.draw && { draw: choice.draw }),
      },
    }),
  };
}

function alternativesOf({ top, choice }: TokenLogprobs, form: TokenForms): Alternative[] {
  return top.map(({ tokenId, logprob }, i) => ({
    ...tokenOf(tokenId, form),
    logprob: finite(logprob),
    ...(choice && { probability: choice.topProbabilities[i] as number }),
  }));
}

/** The tokens of a prompt or of a scored text. A character of several tokens belongs to the token that completes it. */
function promptTokens(
  tokenIds: readonly number[],
  logprobs: readonly TokenLogprobs[] | undefined,
  form: TokenForms,
): TracedToken[] {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return tokenIds.map((tokenId, i) => {
    const text = decoder.decode(form(tokenId).bytes, { stream: i < tokenIds.length - 1 });
    const own = logprobs?.[i - 1];
    return tracedToken({ tokenId, text, ...(own && { logprobs: own }) }, form);
  });
}

function beamStep(step: BeamStepTrace, number: number, form: TokenForms): BeamStep {
  const candidate = ({ parent, tokenId, score }: TracedCandidate): BeamCandidate => ({
    parent,
    token: tokenOf(tokenId, form),
    score,
  });
  return {
    step: number,
    beams: step.beams.map(candidate),
    ended: step.ended.map((one) => ({
      ...candidate(one),
      normalised: one.normalised,
      isKept: one.isKept,
    })),
    dropped: step.dropped.map(candidate),
    banned: step.banned
      .filter(({ tokens }) => tokens.length > 0)
      .map(({ beam, tokens }) => ({
        beam,
        tokens: tokens.map(({ tokenId, value }) => ({ ...tokenOf(tokenId, form), logprob: value })),
      })),
  };
}

export function nextTokenOf({ prompt, next }: Generation, form: TokenForms): NextToken {
  const { logits = new Float32Array(0), changed = [] } = next ?? {};
  const ids = Array.from(logits.keys()).sort(
    (a, b) => (logits[b] as number) - (logits[a] as number) || a - b,
  );
  return {
    prompt: prompt.tokenIds.map((id) => tokenOf(id, form)),
    logits: littleEndian(logits).toString("base64"),
    changed: changed.map(([id, logit]) => [id, Number.isFinite(logit) ? logit : null]),
    top: ids.slice(0, NUM_NAMED).map((id) => tokenOf(id, form)),
  };
}

function littleEndian(values: Float32Array): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeFloatLE(value, 4 * i);
  return bytes;
}

export function scoredOf({ prompt }: Generation, form: TokenForms): Scored {
  const { logprobs = [] } = prompt;
  const logprob = logprobs.reduce((sum, one) => sum + one.logprob, 0);
  return {
    tokens: promptTokens(prompt.tokenIds, logprobs, form),
    logprob: finite(logprob),
    perplexity: logprobs.length > 0 ? finite(Math.exp(-logprob / logprobs.length)) : null,
  };
}

/** JSON has no infinity, so −∞ becomes the lowest number. */
function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  return value > 0 ? Number.MAX_VALUE : -Number.MAX_VALUE;
}
