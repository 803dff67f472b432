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

interface ListedToken {
  readonly tokenId: number;
  readonly logprobs?: TokenLogprobs | undefined;
}

/** Makes the lists of one sequence, part by part. */
export class LogprobLister {
  readonly #form: (tokenId: number) => TokenForm;
  readonly #decoder: ReturnType<typeof newDecoder>;
  #offset: number;
  /** Tokens of the prompt that stand before the first new one. */
  #before: readonly ListedToken[] = [];

  /** With `echo` the first lists begin with the prompt's tokens. */
  constructor(prompt: GeneratedPrompt, form: (tokenId: number) => TokenForm, echo: boolean) {
    this.#form = form;
    const { tokenIds, logprobs = [] } = prompt;
    this.#decoder = newDecoder();
    const numRead = tokenIds.reduce((sum, id) => sum + this.#numCompleted(form(id)), 0);
    this.#offset = numCodePoints(prompt.text);
    if (!echo) return;
    // Of a prompt whose beginning the model did not read, that counts too.
    this.#offset -= numRead;
    this.#decoder = newDecoder();
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

  /** Code points that become complete with a token. */
  #numCompleted({ bytes }: TokenForm): number {
    return numCodePoints(this.#decoder.decode(bytes, { stream: true }));
  }

  #top(tokenId: number, { logprob, top }: TokenLogprobs): Record<string, number> {
    const named: Record<string, number> = Object.create(null); // A token may be called like a member of every object.
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
