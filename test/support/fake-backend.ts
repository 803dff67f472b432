// A backend whose KV memory is the list of token ids written to each page, and whose logits are a hash of the tokens
// that a row can see. A wrong page, position or copy changes the text or trips an assertion.
import assert from "node:assert/strict";
import { uniform } from "../../src/decoding/random.ts";
import { type LogitsRow, PlainLogitsRow } from "../../src/kernels/logits-row.ts";
import type { Backend, BackendLimits, ForwardBatch, ForwardChunk } from "../../src/model/backend.ts";

export class FakeBackend implements Backend {
  readonly limits: BackendLimits;
  readonly #pages: (number | undefined)[][];
  /** Tokens computed in all passes. */
  numTokens = 0;

  constructor(limits: Partial<BackendLimits> = {}) {
    this.limits = {
      ...{
        vocabSize: 17,
        contextLength: 64,
        pages: 60,
        pagePositions: 4,
        maxBatchTokens: 24,
        maxLogitRows: 12,
      },
      ...limits,
    };
    this.#pages = Array.from({ length: this.limits.pages }, () => []);
  }

  forward({ copies, chunks }: ForwardBatch): LogitsRow[] {
    const sources = new Set(copies.map((copy) => copy.from));
    for (const { from, to } of copies) {
      assert.ok(!sources.has(to), `page ${to} is copied from and to in one pass`);
      this.#pages[to] = [...(this.#pages[from] as number[])];
    }
    const numTokens = chunks.reduce((sum, chunk) => sum + chunk.tokenIds.length, 0);
    assert.ok(numTokens > 0 && numTokens <= this.limits.maxBatchTokens, `${numTokens} tokens in a pass`);
    assert.ok(chunks.filter((chunk) => chunk.logits !== "none").length <= this.limits.maxLogitRows);
    this.numTokens += numTokens;
    this.#assertDistinctPlaces(chunks);
    for (const chunk of chunks) {
      for (const [i, tokenId] of chunk.tokenIds.entries()) this.#place(chunk, chunk.position + i)(tokenId);
    }
    return chunks.filter((chunk) => chunk.logits !== "none").map((chunk) => this.#logits(chunk));
  }

  async close(): Promise<void> {}

  #place(chunk: ForwardChunk, position: number): (tokenId: number) => void {
    const page = chunk.pages[Math.floor(position / this.limits.pagePositions)];
    assert.ok(page !== undefined, `position ${position} has no page`);
    return (tokenId) => {
      (this.#pages[page] as number[])[position % this.limits.pagePositions] = tokenId;
    };
  }

  #assertDistinctPlaces(chunks: readonly ForwardChunk[]): void {
    const places = new Set<string>();
    for (const { pages, position, tokenIds } of chunks) {
      for (let p = position; p < position + tokenIds.length; p++) {
        const place = `${pages[Math.floor(p / this.limits.pagePositions)]}:${p % this.limits.pagePositions}`;
        assert.ok(!places.has(place), `place ${place} is written twice in a pass`);
        places.add(place);
      }
    }
  }

  #logits(chunk: ForwardChunk): LogitsRow {
    const end = chunk.position + chunk.tokenIds.length;
    let hash = 17;
    for (let position = 0; position < end; position++) {
      const page = this.#pages[
        chunk.pages[Math.floor(position / this.limits.pagePositions)] as number
      ] as number[];
      const tokenId = page[position % this.limits.pagePositions];
      assert.ok(tokenId !== undefined, `position ${position} was never written`);
      hash = (Math.imul(hash, 31) + tokenId + 1) >>> 0;
    }
    const { vocabSize: length } = this.limits;
    return new PlainLogitsRow(Float32Array.from({ length }, (_, token) => 6 * uniform(hash, token, 0)));
  }
}
