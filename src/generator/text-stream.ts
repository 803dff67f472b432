// The texts of all sequences of one request, while they grow and at the end. Streamed or not, a text is put together from the
// same parts. So the pieces of a sequence joined together are exactly its text.
import type { Hypothesis, SettledTokens } from "../decoding/strategy.ts";
import type { AnswerToken, GeneratedSequence, TextPiece } from "../request/generation.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type AnswerText, answerText, type Part } from "./answer-text.ts";

export interface TextStreamOptions {
  readonly promptTokenIds: readonly number[];
  readonly tokenizer: Tokenizer | undefined;
  /** The stop strings of the request. */
  readonly stops?: readonly string[];
  /** True: a stop string or stop token stays in the text. Default: false. */
  readonly includeStop?: boolean;
  /** What every text begins with. Undefined: the prompt. "": nothing. */
  readonly prefix?: string;
  /** True: a piece is also sent if it has tokens but no text. Default: false. */
  readonly tellsTokens?: boolean;
  readonly onPiece?: ((piece: TextPiece) => void) | undefined;
}

interface Line {
  readonly answer: AnswerText;
  /** Number of tokens so far, including the prompt. */
  numTokens: number;
  text: string;
  readonly tokens: AnswerToken[];
  /** How many characters of `text` and how many of `tokens` have been sent, and whether any piece has been sent. */
  textSent: number;
  tokensSent: number;
  isSent: boolean;
}

export class TextStream {
  readonly #options: TextStreamOptions;
  readonly #stopBytes: readonly Uint8Array[];
  readonly #lines: Line[] = [];

  constructor(options: TextStreamOptions) {
    const { stops = [], includeStop = false } = options;
    this.#options = options;
    this.#stopBytes = includeStop ? [] : stops.map((stop) => new TextEncoder().encode(stop));
  }

  /** Takes new tokens of the first sequences, in the order of the answer. */
  push(sequences: readonly SettledTokens[]): void {
    for (const [index, tokens] of sequences.entries()) {
      this.#take(index, tokens);
      this.#send(index);
    }
  }

  /** The sequences of the answer, once it is known. The rest of each text is sent first. */
  finish(hypotheses: readonly Hypothesis[]): GeneratedSequence[] {
    return hypotheses.map((hypothesis, index) => {
      const { promptTokenIds, stops = [] } = this.#options;
      const { tokenIds, logprobs, finishReason, stop, score } = hypothesis;
      const taken = this.#lines[index]?.numTokens ?? promptTokenIds.length;
      const end = this.#endToken(hypothesis);
      const rest = {
        tokenIds: tokenIds.slice(taken, end ? -1 : undefined),
        ...(logprobs && { logprobs: logprobs.slice(taken - promptTokenIds.length) }),
      };
      const isCut = stop?.kind === "string" && !this.#options.includeStop;
      const line = this.#take(index, rest, isCut);
      const last = line.answer.end(isCut ? stop.keptBytes : undefined);
      this.#append(line, last);
      this.#send(index, true);
      return {
        text: line.text,
        tokenIds,
        tokens: line.tokens,
        ...(last.rest !== "" && { rest: last.rest }),
        finishReason,
        ...(end && { endToken: end }),
        ...(stop && { stop: stop.kind === "string" ? (stops[stop.index] as string) : stop.tokenId }),
        ...(score !== undefined && { score }),
      };
    });
  }

  /** The last token, if it is an end-of-text or stop token that ended the sequence and is not part of the text. */
  #endToken({ tokenIds, finishReason, stop, logprobs }: Hypothesis): AnswerToken | undefined {
    const isToken = stop === undefined || (stop.kind === "token" && !this.#options.includeStop);
    if (finishReason !== "stop" || !isToken) return undefined;
    const own = logprobs?.at(-1);
    return { tokenId: tokenIds.at(-1) as number, text: "", ...(own && { logprobs: own }) };
  }

  #take(index: number, { tokenIds, logprobs }: SettledTokens, isCut = false): Line {
    this.#lines[index] ??= this.#start();
    const line = this.#lines[index];
    line.numTokens += tokenIds.length;
    for (const [i, id] of tokenIds.entries()) {
      if (isCut) line.answer.keep(id, logprobs?.[i]);
      else this.#append(line, line.answer.push(id, logprobs?.[i]));
    }
    return line;
  }

  #append(line: Line, { text, tokens }: Part): void {
    line.text += text;
    line.tokens.push(...tokens);
  }

  #start(): Line {
    const { tokenizer, promptTokenIds, prefix } = this.#options;
    const answer = answerText(tokenizer, promptTokenIds, this.#stopBytes);
    const text = prefix ?? answer.promptText;
    const sent = { textSent: 0, tokensSent: 0, isSent: false };
    return { answer, numTokens: promptTokenIds.length, text, tokens: [], ...sent };
  }

  /** With `tellsTokens` the first piece is always sent, even if it is empty: the prompt's tokens come with it. */
  #send(index: number, isLast = false): void {
    const { onPiece, tellsTokens } = this.#options;
    const line = this.#lines[index] as Line;
    const text = line.text.slice(line.textSent);
    const tokens = line.tokens.slice(line.tokensSent);
    const isWanted = tellsTokens && (tokens.length > 0 || (isLast && !line.isSent));
    if (text === "" && !isWanted) return;
    line.textSent = line.text.length;
    line.tokensSent = line.tokens.length;
    line.isSent = true;
    onPiece?.({ index, text, tokens });
  }
}
