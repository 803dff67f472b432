// The protocol between the playground's page and its server: the bodies of its routes and the events of its stream. Only types
// and one number, so that the page's build can import this file. It is not a public contract: both sides come from the same
// release, and VERSION changes with every change of meaning.
//
//   GET  /playground/facts      Facts
//   POST /playground/generate   GenerateBody → server-sent events, each a PlaygroundEvent; the last is "end" or "error"
//   POST /playground/next       PromptBody → NextToken
//   POST /playground/score      PromptBody → Scored
//   POST /playground/tokenize   { input } → Tokenized
//   POST /playground/clients    GenerateBody → Clients
//
// A request that is refused before its stream begins is answered with an HTTP status and a Refusal.

export const VERSION = 1;

/** A token with a readable name. */
export interface Token {
  readonly id: number;
  /** Its text. Bytes that are not whole characters are written like `bytes:\xe6`, an id without a token like `token_id:7`. */
  readonly name: string;
  /** True for tokens such as <|endoftext|>, which add nothing to a text. */
  readonly special?: true;
}

/** One of the most likely tokens at a position. */
export interface Alternative extends Token {
  /** Natural logarithm of the model's own probability, before anything changes it. */
  readonly logprob: number;
  /** Probability after all processors and filters. 0: a filter removed the token. Absent in scores and beams. */
  readonly probability?: number;
}

/** A token with how likely it was and how it was chosen. */
export interface TracedToken extends Token {
  /** The characters that this token completes. The texts of all tokens joined together are the whole text. */
  readonly text: string;
  /** Null for the first token of a prompt, since nothing precedes it. */
  readonly logprob: number | null;
  /** 1: it was the most likely token. */
  readonly rank?: number;
  /** The ten most likely tokens at its position, best first. */
  readonly alternatives?: readonly Alternative[];
  /** Only for new tokens, and not in beam search. */
  readonly choice?: Choice;
}

/** How a new token was chosen. */
export interface Choice {
  /** Its probability after all processors and filters. */
  readonly probability: number;
  /** The parameters that acted on the logits, in order, and how many tokens each one left. */
  readonly filters: readonly { readonly parameter: string; readonly left: number }[];
  /** Sampling: the random number u from 0 to 1, and the interval that made it choose this token. Intervals are in the order of ids. */
  readonly draw?: { readonly u: number; readonly low: number; readonly high: number };
}

/** One step of a beam search. */
export interface BeamStep {
  /** From 0. */
  readonly step: number;
  /** The beams after this step. `parent` is the index of a beam of the step before. */
  readonly beams: readonly BeamCandidate[];
  /** Candidates that ended in this step. `isKept`: it is among the best so far. */
  readonly ended: readonly (BeamCandidate & { readonly normalised: number; readonly isKept: boolean })[];
  /** The best of the candidates that were not taken. */
  readonly dropped: readonly BeamCandidate[];
  /** Tokens that `no_repeat_ngram_size` or another rule forbade, for each beam: at most 20, the likeliest first. */
  readonly banned: readonly { readonly beam: number; readonly tokens: readonly Alternative[] }[];
}

export interface BeamCandidate {
  readonly parent: number;
  readonly token: Token;
  /** Sum of the log-probabilities of its new tokens. */
  readonly score: number;
}

/** The body of `generate`: the parameters of the server's own dialect by name, a text or token ids, and the endpoint. */
export interface GenerateBody extends PromptBody {
  readonly [parameter: string]: unknown;
}

export interface PromptBody {
  /** Default: the first endpoint. */
  readonly endpoint?: string;
  /** Exactly one of the two. */
  readonly input?: string;
  readonly prompt_token_ids?: readonly number[];
}

export type PlaygroundEvent =
  | WaitingEvent
  | StartEvent
  | TokensEvent
  | { readonly type: "beams"; readonly steps: readonly BeamStep[] }
  | EndEvent
  | { readonly type: "error"; readonly error: Refusal["error"] };

/** Sent from time to time until the first pass of the request is done. */
export interface WaitingEvent {
  readonly type: "waiting";
  /** How many requests of this model wait, and how many run. */
  readonly waiting: number;
  readonly running: number;
}

export interface StartEvent {
  readonly type: "start";
  readonly version: number;
  readonly seed: number;
  readonly prompt: readonly TracedToken[];
  /** The prompt as text. */
  readonly text: string;
}

/** New tokens of one sequence. */
export interface TokensEvent {
  readonly type: "tokens";
  readonly sequence: number;
  readonly tokens: readonly TracedToken[];
}

export interface EndEvent {
  readonly type: "end";
  readonly sequences: readonly {
    /** Prompt included. */
    readonly text: string;
    /** Including the prompt and the token that ended it. */
    readonly tokenIds: readonly number[];
    /** The new tokens that no earlier event has sent. */
    readonly rest: readonly TracedToken[];
    /** The token that ended the sequence, if it is not part of the text. */
    readonly endToken?: TracedToken;
    readonly finishReason: "stop" | "length";
    /** The stop string, or the stop token's id. */
    readonly stop?: string | number;
    /** Beam search: the score by which texts are ranked. */
    readonly score?: number;
  }[];
  readonly seed: number;
  readonly promptTokens: number;
  /** How many of `promptTokens` were found in the prefix cache. */
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly queueMs: number;
  readonly firstTokenMs: number;
  readonly totalMs: number;
  readonly fingerprint: string | null;
  /** What the server's own route for generation would have answered. */
  readonly answer: unknown;
}

/** The distribution of the next token. It is complete, so that the page can filter it exactly as a request would. */
export interface NextToken {
  readonly prompt: readonly Token[];
  /** [vocab], little-endian f32 in base64: the model's logits. */
  readonly logits: string;
  /** The logits that penalties, bias and bans of the body change: token id → new logit. Null stands for −∞. */
  readonly changed: readonly (readonly [id: number, logit: number | null])[];
  /** The 200 most likely tokens, best first. */
  readonly top: readonly Token[];
}

export interface Scored {
  readonly tokens: readonly TracedToken[];
  /** Sum of the log-probabilities from the second token on. */
  readonly logprob: number;
  /** Null for fewer than two tokens. */
  readonly perplexity: number | null;
}

export interface Tokenized {
  readonly tokens: readonly Token[];
}

/** A request as commands and programs to paste elsewhere. */
export interface Clients {
  readonly body: Readonly<Record<string, unknown>>;
  readonly clients: readonly { readonly client: string; readonly language: string; readonly code: string }[];
}

/** What the page asks once at its start. */
export interface Facts {
  readonly version: number;
  readonly release: string;
  readonly endpoints: readonly {
    readonly name: string;
    readonly model: string;
    /** Only for a model from a hub: its name there. */
    readonly origin?: string;
    readonly precision: string;
    readonly kernels: string;
    readonly threads: number;
    readonly parameters: number;
    readonly vocabSize: number;
    readonly contextLength: number;
    readonly fingerprint: string | null;
    readonly endOfText: string | null;
    readonly fields: readonly Field[];
  }[];
  readonly modes: readonly {
    readonly name: string;
    readonly reads: readonly string[];
    readonly help: string;
  }[];
}

/** A parameter of a request. */
export interface Field {
  readonly name: string;
  readonly help: string;
  /** The range in words, such as "an integer from 1 to 256". */
  readonly range: string;
  readonly type: "integer" | "number" | "boolean" | "string" | "enum" | "json";
  readonly minimum?: number;
  readonly maximum?: number;
  /** True: the minimum itself is not allowed (an exclusive bound). */
  readonly isAbove?: true;
  readonly values?: readonly string[];
  /** Absent: the parameter has no default. */
  readonly default?: unknown;
  /** The modes that read it. Absent: all do. */
  readonly modes?: readonly string[];
}

export interface Refusal {
  readonly error: { readonly code: string; readonly message: string; readonly field?: string };
}
