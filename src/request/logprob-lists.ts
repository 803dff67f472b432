// The log-probabilities of a text's tokens as lists side by side, in the form that OpenAI's completions have: names of the
// tokens, their log-probabilities, the most likely ones at their place, and where they begin in the text.
import type { TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { AnswerToken, GeneratedPrompt, TokenForm } from "./generation.ts";

/** Four lists of one length. The first token of a prompt has nothing before it: null stands for its numbers. */
export interface LogprobLists {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  /** Name → log-probability, best first. The token itself is always among them. */
  readonly top_logprobs: (Readonly<Record<string, number>> | null)[];
  /** Unicode code points from the beginning of the prompt that are complete before the token's first byte. */
  readonly text_offset: number[];
}

/** Makes the lists of one sequence, part by part. */
export class LogprobLister {
  readonly #form: (tokenId: number) => TokenForm;
  readonly #prompt: GeneratedPrompt;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #offset: number;
  #isPromptPassed = false;

  constructor(prompt: GeneratedPrompt, form: (tokenId: number) => TokenForm) {
    this.#form = form;
    this.#prompt = prompt;
    // Of a prompt whose beginning the model did not read, that counts too.
    const read = new TextDecoder("utf-8", { ignoreBOM: true });
    const numRead = prompt.tokenIds.reduce(
      (sum, id) => sum + numCodePoints(read.decode(form(id).bytes, { stream: true })),
      0,
    );
    this.#offset = numCodePoints(prompt.text) - numRead;
  }

  /** The lists of the prompt's tokens. To be asked for before those of new tokens, or not at all. */
  prompt(): LogprobLists {
    this.#isPromptPassed = true;
    const { tokenIds, logprobs = [] } = this.#prompt;
    return this.#lists(
      tokenIds.map((tokenId, i) => ({ tokenId, logprobs: i > 0 ? logprobs[i - 1] : undefined })),
    );
  }

  /** The lists of further new tokens. */
  next(tokens: readonly AnswerToken[]): LogprobLists {
    if (!this.#isPromptPassed) this.prompt();
    return this.#lists(tokens);
  }

  #lists(tokens: readonly { tokenId: number; logprobs?: TokenLogprobs | undefined }[]): LogprobLists {
    const forms = tokens.map(({ tokenId }) => this.#form(tokenId));
    return {
      tokens: forms.map(({ name }) => name),
      token_logprobs: tokens.map(({ logprobs }) => logprobs?.logprob ?? null),
      top_logprobs: tokens.map(({ tokenId, logprobs }) => (logprobs ? this.#top(tokenId, logprobs) : null)),
      text_offset: forms.map(({ bytes }) => {
        const begin = this.#offset;
        this.#offset += numCodePoints(this.#decoder.decode(bytes, { stream: true }));
        return begin;
      }),
    };
  }

  #top(tokenId: number, { logprob, top }: TokenLogprobs): Record<string, number> {
    const named: Record<string, number> = Object.create(null); // A token may be called like a member of every object.
    for (const other of top) named[this.#form(other.tokenId).name] = other.logprob;
    named[this.#form(tokenId).name] ??= logprob;
    return named;
  }
}

/** The lists of one part behind those of another. */
export function joinLists(a: LogprobLists, b: LogprobLists): LogprobLists {
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: [...a.top_logprobs, ...b.top_logprobs],
    text_offset: [...a.text_offset, ...b.text_offset],
  };
}

function numCodePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
