// What one request may have at most, whatever the settings are. Clients rely on these numbers with every server, so they belong
// to the interface and no setting changes them. The reference page lists this table. Limits that an operator may want to change
// are in `settings/schema.ts`.

interface RequestLimit {
  readonly max: number;
  /** What is counted, for the reference page. */
  readonly help: string;
}

export const REQUEST_LIMITS = {
  prompts: { max: 128, help: "Prompts in one body, where a route takes several." },
  stopStrings: { max: 64, help: "Stop strings." },
  stopStringBytes: { max: 256, help: "Bytes of a stop string in UTF-8." },
  stopTokens: { max: 64, help: "Token ids that end a text." },
  biases: { max: 1024, help: "Entries of `logit_bias`." },
  logprobs: { max: 20, help: "Most likely tokens that are listed with each token." },
  // Bodies that are too large to parse at once are refused by their number of values, before they are parsed.
  bodyValues: { max: 4000, help: "JSON values in a body." },
  playgroundBodyValues: {
    max: 100_000,
    help: "JSON values in a body of the playground's routes, which may have the token ids of a whole context.",
  },
  openaiBodyValues: {
    max: 200_000,
    help: "JSON values in a body of the OpenAI routes, which may have several prompts as token ids.",
  },
} as const satisfies Readonly<Record<string, RequestLimit>>;
