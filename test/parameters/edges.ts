// The behaviour at extreme values of the parameters: for each parameter, requests and their results. The reference page prints
// this table. test/parameters/edges.test.ts does not compile without a test for every line of it. "transformers" means the release
// that conformance/generation/requirements.txt pins.
import type { requestSchema } from "../../src/request/params.ts";

type Parameter = keyof ReturnType<typeof requestSchema>["shape"];

export const EDGES = {
  input: {
    empty:
      "A text from nothing: the prompt is the end-of-text token, which counts as one token of `max_length` and does not show.",
    "`<|endoftext|>`":
      "The special token, not its thirteen characters; alone it is the same as an empty input.",
    "`One<|endoftext|> two`":
      "Goes on after it: only a new end-of-text token ends a sequence. The answer begins with `One two`.",
    "with U+0000, U+FEFF, U+0085, unassigned characters, any line ends":
      "They are kept; the answer begins with the input.",
    'with a surrogate that lacks its other half, as in `"\\ud800"`':
      "U+FFFD stands in its place, in the prompt and in the answer.",
    "longer than the context, be it a megabyte of spaces":
      "Refused with `prompt_too_long`. Nothing is cut off.",
  },
  max_length: {
    "`n_positions`":
      "The most there is; one more is refused with `invalid_field`. transformers can add one further token, which is never fed back.",
    "the prompt's tokens, or fewer": "Refused with `prompt_too_long`; the message names both numbers.",
    "one more than the prompt's tokens, be they `n_positions` − 1": "One new token.",
    "of a model with several end-of-text tokens": "Each of them ends a sequence before that length.",
    "of a model whose end-of-text token lies outside the vocabulary, or that has none":
      "All sequences have that length.",
    "of a model with a `generation_config.json`":
      "The end-of-text tokens are those of this file, as in transformers, even if it names none.",
  },
  max_new_tokens: {
    "more than fit after the prompt into `n_positions`": "Refused with `prompt_too_long`.",
    "beside `max_length`": "Refused with `invalid_field`.",
    "0": "The input comes back, with `logprobs` and how likely its tokens were.",
  },
  num_return_sequences: {
    "in `greedy`": "So many equal texts, computed once. transformers refuses more than one.",
    "above `num_beams` in `beam`": "Refused with `invalid_field`, the default of 3 too.",
  },
  mode: {
    "any, with a vocabulary of one token": "That token, up to `max_length`.",
    "any, with one token left by filters or bans": "That token.",
  },
  top_p: {
    "0, or less than the largest probability":
      "The most likely token: greedy search. The token that crosses `top_p` always stays.",
    "with tokens of equal probability at its edge": "Lower token ids first.",
    "1": "No filter.",
  },
  top_k: {
    "1": "The most likely token: greedy search.",
    "above the vocabulary": "Keeps all tokens, like 0.",
    "with tokens of equal probability at the k-th place": "All of them stay.",
  },
  temperature: {
    "1e-3, or anything down to the smallest number above 0": "The most likely token: greedy search.",
    "0": "Refused with `invalid_field`.",
    "100 and above": "Next to uniform over what the other filters leave.",
  },
  num_beams: {
    "1": "Greedy search, with the n-gram ban; no score.",
    "above the vocabulary":
      "As many beams as there are different continuations, and in the next step more. When a search ends before there are as many texts as asked for, the best ones are repeated, with scores near −1e9.",
    "with candidates of equal score":
      "That of the better beam comes first, then the lower token id; between finished texts the older one.",
  },
  no_repeat_ngram_size: {
    "1": "No token occurs twice; those of the prompt count, and an end-of-text token is banned like any other.",
    "longer than the sequence": "No ban.",
    "with every token banned, in `greedy`": "Token 0, as in transformers.",
    "with every token banned, in the sampled modes": "Token 0. transformers stops with an error.",
    "with every token banned, in `beam`":
      "The beam ends as it stands, without a score and with finish reason `length`. Such beams come after all finished texts, in the order in which they ended. transformers returns unfinished beams of score −1e9 in no defined order.",
  },
  seed: {
    "-1, null or none": "A random one, which the answer names.",
    "4294967295, the largest": "Like any other.",
  },
} as const satisfies Partial<Record<Parameter, Record<string, string>>>;

/** The same for parameters that SageMaker's contract does not have. */
export const FURTHER_EDGES = {
  truncate: {
    "as many as the prompt has tokens, or more": "No effect.",
    "with a long input":
      "The model reads the last tokens only; the answer begins with the whole input all the same.",
  },
  min_p: {
    "1": "The tokens that are as likely as the most likely one.",
  },
  length_penalty: {
    "0": "The sum of the log-probabilities decides, so that short texts win.",
  },
  early_stopping: {
    true: "The search ends with the step in which `num_beams` texts have ended.",
  },
  best_of: {
    "below `num_return_sequences`": "Refused with `invalid_field` in the modes that read it.",
    "with texts of equal mean log-probability": "The one drawn first.",
  },
  repetition_penalty: {
    "with a token that occurs often": "Counts once, as in transformers.",
  },
  frequency_penalty: {
    "with tokens of the input": "They do not count; neither do they for `presence_penalty`.",
  },
  presence_penalty: {
    "with a token that was generated often": "Counts once.",
  },
  logit_bias: {
    "of a token outside the vocabulary": "Refused with `invalid_field`.",
    "in beam mode": "Is added to log-probabilities, as in transformers; the scores are those with it.",
  },
  ignore_eos: {
    "with `stop_token_ids` that name the end-of-text token": "That ends a text all the same.",
  },
  stop: {
    "an empty list": "None.",
    "an empty string": "Refused with `invalid_field`.",
    "in the input, or half in it":
      "Is not seen: only new tokens are searched. transformers searches the input too.",
    "inside a token, or over several": "The text ends before it; the rest of its last token is dropped.",
    "two that end with the same token":
      "The one that ends first; of two that end at the same place the longer one.",
    "completed by the last token that `max_length` allows": "Finish reason `stop`.",
    "in beam mode": "A text with it has ended, and competes with the others as one with an end-of-text does.",
  },
  stop_token_ids: {
    "of a token outside the vocabulary": "Refused with `invalid_field`.",
  },
  min_new_tokens: {
    "beside `stop`": "Does not delay stop strings, as in transformers.",
    "above what `max_length` leaves": "No end-of-text comes.",
  },
  logprobs: {
    "0": "The numbers of the tokens themselves.",
    "with filters, penalties or a temperature": "The numbers of the model before all of them, in every mode.",
    "of the first token of the input": "`null`: nothing is before it.",
  },
  include_stop: {
    "with a stop string that ends inside a token": "The whole token stays in the text.",
  },
  echo: {
    false: "The texts begin behind the input.",
  },
} as const satisfies Record<Exclude<Parameter, keyof typeof EDGES>, Record<string, string>>;
