// The log-probabilities of a text's tokens as parallel lists, in the form of OpenAI's completions: the tokens' names, their
// log-probabilities, the most likely tokens at each place, and the offset of each token in the text.
import type { TokenLogprobs } from "../decoding/token-logprobs.ts";
import type { AnswerToken, GeneratedPrompt, TokenForm } from "./generation.ts";

/** Four lists of one length. The first token of a prompt has nothing before it, so its numbers are null. */
export interface LogprobLists {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  /** Name → log-probability, best first, but whole numbers before all other names. The token itself is always among them. */
  readonly top_logprobs: (Readonly<Record<string, number>> | null)[];
  /** How many Unicode code points, counted from the prompt's beginning, are complete before the token's first byte. */
  readonly text_offset: number[];
}

interface ListedToken {
  readonly tokenId: number;
  readonly logprobs?: TokenLogprobs | undefined;
}

/** Builds the lists of one sequence, part by part. */
export class LogprobLister {
  readonly #form: (tokenId: number) => TokenForm;
  #decoder = newDecoder();
  #offset: number;
  /** The prompt's tokens, which stand before the first new one. */
  #before: readonly ListedToken[] = [];

  /** With `echo` the first lists begin with the prompt's tokens. */
  constructor(prompt: GeneratedPrompt, form: (tokenId: number) => TokenForm, echo: boolean) {
    this.#form = form;
    const { tokenIds, skippedTokenIds = [], logprobs = [] } = prompt;
    const numRead = (some: readonly number[]): number =>
      some.reduce((sum, id) => sum + this.#numCompleted(form(id)), 0);
    // Offsets count from the whole prompt, even if the model did not get its beginning.
    const numAll = numRead([...skippedTokenIds, ...tokenIds]);
    this.#offset = numCodePoints(prompt.text);
    if (!echo) return;
    this.#decoder = newDecoder();
    this.#offset += numRead(skippedTokenIds) - numAll;
    this.#before = tokenIds.map((tokenId, i) => ({ tokenId, logprobs: i > 0 ? logprobs[i - 1] : undefined }));
  }

  /** The lists of further new tokens. */
  next(newTokens: readonly AnswerToken[]): LogprobLists {
    const tokens = [...this.#before, ...newTokens];
    this.#before = [];
    const forms = tokens.map(({ tokenId }) => this.#form(tokenId));
    return {
      tokens: forms.map(({ name }) => name),
      token_logprobs: tokens.map(({ logprobs }) => logprobs?.logprob ?? null),
      top_logprobs: tokens.map(({ tokenId, logprobs }) => (logprobs ? this.#top(tokenId, logprobs) : null)),
      text_offset: forms.map((form) => {
        const begin = this.#offset;
        this.#offset += this.#numCompleted(form);
        return begin;
      }),
    };
  }

  /** How many code points a token completes. */
  #numCompleted({ bytes }: TokenForm): number {
    return numCodePoints(this.#decoder.decode(bytes, { stream: true }));
  }

  #top(tokenId: number, { logprob, top }: TokenLogprobs): Record<string, number> {
    const named: Record<string, number> = Object.create(null); // A token may have the name of an object's built-in member.
    for (const other of top) named[this.#form(other.tokenId).name] = other.logprob;
    named[this.#form(tokenId).name] ??= logprob;
    return named;
  }
}

function newDecoder() {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

function numCodePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
