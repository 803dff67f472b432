// The texts of one request, for all its sequences, while they grow and at the end. A text is put together once, from the
// same parts whether it is streamed or not: so the pieces of a sequence, joined, are its text.
import type { Hypothesis, SettledTokens } from "../decoding/strategy.ts";
import type { AnswerToken, GeneratedSequence, TextPiece } from "../request/generation.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type AnswerText, answerText, type Part } from "./answer-text.ts";

export interface TextStreamOptions {
  readonly promptTokenIds: readonly number[];
  readonly tokenizer: Tokenizer | undefined;
  /** Stop strings, as they were named. */
  readonly stops?: readonly string[];
  /** A stop string or stop token stays in the text. Default: false. */
  readonly includeStop?: boolean;
  /** What every text begins with; undefined: with the prompt; "": with nothing. */
  readonly prefix?: string;
  /** Pieces are told also when they bring tokens and no text. Default: false. */
  readonly tellsTokens?: boolean;
  readonly onPiece?: ((piece: TextPiece) => void) | undefined;
}

interface Line {
  readonly answer: AnswerText;
  /** Tokens taken so far, prompt included. */
  numTokens: number;
  text: string;
  readonly tokens: AnswerToken[];
  /** Of these, what is told already. */
  textTold: number;
  tokensTold: number;
  isTold: boolean;
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

  /** Further tokens of the first sequences, in the answer's order. */
  push(sequences: readonly SettledTokens[]): void {
    for (const [index, tokens] of sequences.entries()) {
      this.#take(index, tokens);
      this.#tell(index);
    }
  }

  /** The sequences of the answer, once it is known; what was not told of them is told before. */
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
      this.#tell(index, true);
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

  /** The last token where it ended the sequence and is no part of the text: an end-of-text, or a stop token. */
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
    const told = { textTold: 0, tokensTold: 0, isTold: false };
    return { answer, numTokens: promptTokenIds.length, text, tokens: [], ...told };
  }

  /** Where tokens are told, those of the prompt come with the first piece: so there is one, even if it is empty. */
  #tell(index: number, isLast = false): void {
    const { onPiece, tellsTokens } = this.#options;
    const line = this.#lines[index] as Line;
    const text = line.text.slice(line.textTold);
    const tokens = line.tokens.slice(line.tokensTold);
    const isWanted = tellsTokens && (tokens.length > 0 || (isLast && !line.isTold));
    if (text === "" && !isWanted) return;
    line.textTold = line.text.length;
    line.tokensTold = line.tokens.length;
    line.isTold = true;
    onPiece?.({ index, text, tokens });
  }
}
