// Compares two ways to compute a model's logits, such as int8 with f32. `bench/quality` reports the numbers, and tests limit them.
// It gets rows of logits only, not the models.
import type { LogitsRow } from "../../src/kernels/logits-row.ts";

export interface Agreement {
  /** Number of rows compared. */
  readonly positions: number;
  /** Number of rows whose next token is known. The perplexities are over these. */
  readonly predicted: number;
  readonly referencePerplexity: number;
  readonly perplexity: number;
  /** Mean of KL(reference || candidate) over all rows, in nats. */
  readonly kl: number;
  /** Share of rows whose most probable token is the reference's. */
  readonly top1: number;
  /** Largest |difference| of two logits. */
  readonly maxLogitError: number;
}

/** What is compared of a row of logits. */
type Row = Pick<LogitsRow, "values" | "argmax" | "logSumExp">;

export class AgreementMeter {
  #positions = 0;
  #predicted = 0;
  #referenceLoss = 0;
  #loss = 0;
  #kl = 0;
  #numAgreed = 0;
  #maxLogitError = 0;

  /** Adds two rows of logits of the same position, and the token that follows, if there is one. */
  add(reference: Row, candidate: Row, next: number | undefined): void {
    const [referenceTotal, total] = [reference.logSumExp(), candidate.logSumExp()];
    let kl = total - referenceTotal; // KL = Σ p (ln p − ln q), and ln p = logit − ln Σ e^logit
    const [expected, found] = [reference.values, candidate.values];
    for (let i = 0; i < expected.length; i++) {
      const logit = expected[i] as number;
      const difference = logit - (found[i] as number);
      kl += Math.exp(logit - referenceTotal) * difference;
      this.#maxLogitError = Math.max(this.#maxLogitError, Math.abs(difference));
    }
    this.#kl += kl;
    this.#positions += 1;
    if (reference.argmax() === candidate.argmax()) this.#numAgreed += 1;
    if (next === undefined) return;
    this.#predicted += 1;
    this.#referenceLoss += referenceTotal - (reference.values[next] as number);
    this.#loss += total - (candidate.values[next] as number);
  }

  result(): Agreement {
    return {
      positions: this.#positions,
      predicted: this.#predicted,
      referencePerplexity: Math.exp(this.#referenceLoss / this.#predicted),
      perplexity: Math.exp(this.#loss / this.#predicted),
      kl: this.#kl / this.#positions,
      top1: this.#numAgreed / this.#positions,
      maxLogitError: this.#maxLogitError,
    };
  }
}
