// What the playground's page and its server tell each other: the bodies of its routes and the events of its stream. Types only,
// so that the page's build can import them. This is no public contract: both sides come from the same release, and VERSION
// changes with every change of meaning.
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

/** A token as people see it. */
export interface Token {
  readonly id: number;
  /** Its text; `bytes:\xe6` and the like where its bytes are no whole characters; `token_id:7` for an id without a token. */
  readonly name: string;
  /** Such as <|endoftext|>: it adds nothing to a text. */
  readonly special?: true;
}

/** One of the most likely tokens at a place. */
export interface Alternative extends Token {
  /** Natural logarithm of the model's own probability, before anything changes it. */
  readonly logprob: number;
  /** After all processors and filters, from 0 to 1; 0: it was cut. Absent in scores and beams. */
  readonly probability?: number;
}

/** A token and how it came about. */
export interface TracedToken extends Token {
  /** The characters that became complete with it: the texts of all tokens, joined, are the text. */
  readonly text: string;
  /** Null for the first token of a prompt, which has nothing before it. */
  readonly logprob: number | null;
  /** 1: it was the most likely one. */
  readonly rank?: number;
  /** The ten most likely tokens at its place, best first. */
  readonly alternatives?: readonly Alternative[];
  /** Of new tokens outside beam search. */
  readonly choice?: Choice;
}

/** How a new token was chosen. */
export interface Choice {
  /** After all processors and filters. */
  readonly probability: number;
  /** What acted on the logits, in order, and how many tokens it left. */
  readonly filters: readonly { readonly parameter: string; readonly left: number }[];
  /** Sampling: the random number, from 0 to 1, and where the token's share of it began and ended, in the order of ids. */
  readonly draw?: { readonly u: number; readonly low: number; readonly high: number };
}

/** One step of a beam search. */
export interface BeamStep {
  /** From 0. */
  readonly step: number;
  /** The beams that go on: `parent` is the number of a beam of the step before. */
  readonly beams: readonly BeamCandidate[];
  /** Candidates that ended here. `isKept`: it is among the best so far. */
  readonly ended: readonly (BeamCandidate & { readonly normalised: number; readonly isKept: boolean })[];
  /** The best candidates that did not go on. */
  readonly dropped: readonly BeamCandidate[];
  /** Tokens that the rule against repeated n-grams, or another, forbade to a beam; at most 20 of each, the likeliest first. */
  readonly banned: readonly { readonly beam: number; readonly tokens: readonly Alternative[] }[];
}

export interface BeamCandidate {
  readonly parent: number;
  readonly token: Token;
  /** Sum of the log-probabilities of its new tokens. */
  readonly score: number;
}

/** Body of `generate`: the parameters of the contract by their names, with a text or token ids, and the endpoint. */
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

/** Sent now and then until the request's first pass is done. */
export interface WaitingEvent {
  readonly type: "waiting";
  /** Requests of this model that wait, and that run. */
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

/** Further tokens of one sequence. */
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
    /** Prompt included, and the token that ended it. */
    readonly tokenIds: readonly number[];
    /** The new tokens of the text, as far as they were not sent before. */
    readonly rest: readonly TracedToken[];
    /** The token that ended it and is no part of its text. */
    readonly endToken?: TracedToken;
    readonly finishReason: "stop" | "length";
    /** The stop string, or the stop token's id. */
    readonly stop?: string | number;
    /** Beam search: the score that texts compete by. */
    readonly score?: number;
  }[];
  readonly seed: number;
  readonly promptTokens: number;
  /** Of these, found in the prefix cache. */
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly queueMs: number;
  readonly firstTokenMs: number;
  readonly totalMs: number;
  readonly fingerprint: string | null;
  /** What the contract's own route would have answered. */
  readonly answer: unknown;
}

/** The next token's distribution, enough to filter it as a request would. */
export interface NextToken {
  readonly prompt: readonly Token[];
  /** [vocab], little-endian f32 in base64: the model's logits. */
  readonly logits: string;
  /** What the penalties, the bias and the bans of the body make of them: token id → logit; null for −∞. */
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

/** A request as commands and programs, ready to be pasted. */
export interface Clients {
  readonly body: Readonly<Record<string, unknown>>;
  readonly clients: readonly { readonly client: string; readonly language: string; readonly code: string }[];
}

/** What the page needs to know once. */
export interface Facts {
  readonly version: number;
  readonly release: string;
  readonly endpoints: readonly {
    readonly name: string;
    readonly model: string;
    /** Of a model from a hub. */
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
  /** The minimum itself is not allowed. */
  readonly isAbove?: true;
  readonly values?: readonly string[];
  /** Absent: nothing is sent. */
  readonly default?: unknown;
  /** The modes that read it; absent: all. */
  readonly modes?: readonly string[];
}

export interface Refusal {
  readonly error: { readonly code: string; readonly message: string; readonly field?: string };
}
