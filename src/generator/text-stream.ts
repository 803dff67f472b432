// From settled tokens to pieces of text, for all sequences of one request. The pieces of a sequence, joined, are its
// text; a character whose bytes are not complete waits for the rest.
import type { Hypothesis } from "../decoding/strategy.ts";
import type { TextPiece } from "../request/generation.ts";
import { Detokenizer } from "../tokenizer/detokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

interface Line {
  readonly detokenizer: Detokenizer;
  /** Tokens taken so far, prompt included. */
  numTokens: number;
  /** Text that is not handed out yet. */
  text: string;
}

export class TextStream {
  readonly #promptTokenIds: readonly number[];
  readonly #tokenizer: Tokenizer;
  readonly #onPiece: (piece: TextPiece) => void;
  readonly #lines: Line[] = [];

  constructor(promptTokenIds: readonly number[], tokenizer: Tokenizer, onPiece: (piece: TextPiece) => void) {
    this.#promptTokenIds = promptTokenIds;
    this.#tokenizer = tokenizer;
    this.#onPiece = onPiece;
  }

  /** Further tokens of the first sequences, in the answer's order. A sequence's first piece begins with the prompt. */
  push(tokenIds: readonly (readonly number[])[]): void {
    for (const [index, ids] of tokenIds.entries()) {
      this.#take(index, ids);
      this.#emit(index);
    }
  }

  /** What is left of each sequence, once the answer is known. */
  finish(hypotheses: readonly Hypothesis[]): void {
    for (const [index, { tokenIds }] of hypotheses.entries()) {
      const line = this.#take(
        index,
        tokenIds.slice(this.#lines[index]?.numTokens ?? this.#promptTokenIds.length),
      );
      line.text += line.detokenizer.flush();
      this.#emit(index);
    }
  }

  #take(index: number, tokenIds: readonly number[]): Line {
    this.#lines[index] ??= this.#start();
    const line = this.#lines[index];
    line.numTokens += tokenIds.length;
    for (const id of tokenIds) line.text += line.detokenizer.push(id);
    return line;
  }

  #start(): Line {
    const detokenizer = new Detokenizer(this.#tokenizer, { skipSpecialTokens: true });
    const text = this.#promptTokenIds.map((id) => detokenizer.push(id)).join("");
    return { detokenizer, numTokens: this.#promptTokenIds.length, text };
  }

  #emit(index: number): void {
    const line = this.#lines[index] as Line;
    if (line.text === "") return;
    this.#onPiece({ index, text: line.text });
    line.text = "";
  }
}
