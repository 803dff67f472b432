// A run: one request and its result so far, made from the events of its stream. Pure functions; the stream is read elsewhere.
import type {
  BeamStep,
  EndEvent,
  Facts,
  GenerateBody,
  PlaygroundEvent,
  Refusal,
  StartEvent,
  TracedToken,
  WaitingEvent,
} from "../../dialects/playground/events.ts";

export type RunStatus = "waiting" | "running" | "done" | "stopped" | "failed";

export interface SequenceState {
  /** New tokens so far. The array grows in place, but after each event the object around it is a new one. */
  readonly tokens: TracedToken[];
  /** The number of tokens, so that a comparison of objects notices the growth. */
  readonly numTokens: number;
  readonly end?: EndEvent["sequences"][number];
}

export interface Run {
  readonly id: number;
  readonly body: GenerateBody;
  /** How the run continues an earlier one, in words; absent for an independent prompt. */
  readonly origin?: string;
  readonly status: RunStatus;
  readonly waiting?: WaitingEvent;
  readonly start?: StartEvent;
  readonly sequences: readonly SequenceState[];
  readonly beams: readonly BeamStep[];
  readonly end?: EndEvent;
  readonly error?: Refusal["error"];
}

export function newRun(id: number, body: GenerateBody, origin?: string): Run {
  return { id, body, ...(origin && { origin }), status: "waiting", sequences: [], beams: [] };
}

/** Returns the run with one more event of its stream. */
export function withEvent(run: Run, event: PlaygroundEvent): Run {
  switch (event.type) {
    case "waiting":
      return { ...run, waiting: event };
    case "start":
      return { ...run, status: "running", start: event };
    case "tokens":
      return { ...run, sequences: withTokens(run.sequences, event.sequence, event.tokens) };
    case "beams":
      return { ...run, beams: [...run.beams, ...event.steps] };
    case "end":
      return withEnd(run, event);
    case "error":
      return { ...run, status: "failed", error: event.error };
    default:
      // Unknown events of a newer server are ignored.
      return run;
  }
}

function withTokens(
  sequences: readonly SequenceState[],
  index: number,
  tokens: readonly TracedToken[],
): readonly SequenceState[] {
  const all = Array.from(
    { length: Math.max(sequences.length, index + 1) },
    (_, i) => sequences[i] ?? { tokens: [], numTokens: 0 },
  );
  const grown = (all[index] as SequenceState).tokens;
  grown.push(...tokens);
  all[index] = { ...(all[index] as SequenceState), numTokens: grown.length };
  return all;
}

function withEnd(run: Run, end: EndEvent): Run {
  let { sequences } = run;
  for (const [index, { rest }] of end.sequences.entries()) sequences = withTokens(sequences, index, rest);
  sequences = sequences.map((sequence, index) => {
    const own = end.sequences[index];
    return own ? { ...sequence, end: own } : sequence;
  });
  return { ...run, status: "done", sequences, end };
}

/** Token ids of a sequence, from the prompt's first to the new token `last` inclusive; −1 means the prompt only. */
export function idsUpTo(run: Run, sequence: number, last: number): number[] {
  const prompt = run.start?.prompt.map(({ id }) => id) ?? [];
  const tokens = run.sequences[sequence]?.tokens ?? [];
  return [...prompt, ...tokens.slice(0, last + 1).map(({ id }) => id)];
}

/** The text of a sequence so far, with its prompt. */
export function textOf(run: Run, sequence: number): string {
  const state = run.sequences[sequence];
  return state?.end?.text ?? (run.start?.text ?? "") + (state?.tokens ?? []).map(({ text }) => text).join("");
}

/**
 * The body of a request that continues from these tokens with the parameters of another request. If its length leaves no room,
 * it is extended by as many tokens as the old request had.
 */
export function continuation(
  body: GenerateBody,
  tokenIds: readonly number[],
  numPromptTokens: number,
  { contextLength, fields }: Pick<Facts["endpoints"][number], "contextLength" | "fields">,
): GenerateBody {
  const { input: _, prompt_token_ids: __, ...rest } = body;
  const next: Record<string, unknown> = { ...rest, prompt_token_ids: tokenIds, num_return_sequences: 1 };
  // Beam search and best_of keep their numbers, but only one text is returned.
  const most = contextLength - tokenIds.length;
  const maxLength = rest.max_length ?? fields.find(({ name }) => name === "max_length")?.default;
  const asked = Number(rest.max_new_tokens ?? Number(maxLength) - numPromptTokens);
  const left = numPromptTokens + asked - tokenIds.length;
  delete next.max_length;
  next.max_new_tokens = Math.max(0, Math.min(most, left > 0 ? left : Math.max(1, asked)));
  return next;
}

/** A body with the seed that the server chose for a run, if the run has the same body. */
export function withSeedOf(body: GenerateBody, run: Run | undefined): GenerateBody {
  if (!run?.start || body.seed !== undefined) return body;
  const { seed: _, ...asked } = run.body;
  return JSON.stringify(sorted(asked)) === JSON.stringify(sorted(body))
    ? { ...body, seed: run.start.seed }
    : body;
}

const sorted = (body: object): object => Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1));
