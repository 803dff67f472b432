// A fake backend without a model. For each position its memory records the token and a hash of all tokens before it, since real keys
// and values depend on them too. The logits are a hash of the tokens that a row sees, or of the last few, so that texts repeat
// themselves. A wrong page, position or copy fails an assertion.
import assert from "node:assert/strict";
import { uniform } from "../../src/decoding/random.ts";
import type { LogitsRow } from "../../src/kernels/logits-row.ts";
import { PlainLogitsRow } from "../../src/kernels/reference/plain-logits-row.ts";
import type { Backend, BackendLimits, ForwardBatch, ForwardChunk } from "../../src/model/backend.ts";

/** What is stored for a position: its token, and a hash of all tokens up to it. */
interface Place {
  readonly tokenId: number;
  readonly hash: number;
}

/** The hash of no tokens. */
const NOTHING = 17;
const chained = (hash: number, tokenId: number): number => (Math.imul(hash, 31) + tokenId + 1) >>> 0;

export class FakeBackend implements Backend {
  readonly limits: BackendLimits;
  readonly #pages: (Place | undefined)[][];
  readonly #span: number;
  /** Number of tokens computed in all passes. */
  numTokens = 0;

  /** `span`: the number of last tokens that the logits depend on. */
  constructor(limits: Partial<BackendLimits> = {}, span = Number.POSITIVE_INFINITY) {
    this.#span = span;
    this.limits = {
      vocabSize: 17,
      contextLength: 64,
      pages: 60,
      pagePositions: 4,
      maxBatchTokens: 24,
      maxLogitRows: 12,
      ...limits,
    };
    this.#pages = Array.from({ length: this.limits.pages }, () => []);
  }

  forward({ copies, chunks }: ForwardBatch): LogitsRow[] {
    const sources = new Set(copies.map((copy) => copy.from));
    for (const { from, to } of copies) {
      assert.ok(!sources.has(to), `page ${to} is copied from and to in one pass`);
      this.#pages[to] = [...(this.#pages[from] as Place[])];
    }
    assert.ok(
      chunks.every(({ tokenIds }) => tokenIds.length > 0),
      "a chunk has no tokens",
    );
    const numTokens = chunks.reduce((sum, chunk) => sum + chunk.tokenIds.length, 0);
    assert.ok(numTokens > 0 && numTokens <= this.limits.maxBatchTokens, `${numTokens} tokens in a pass`);
    const ends = chunks.flatMap((chunk) => rowEnds(chunk).map((end) => ({ chunk, end })));
    assert.ok(ends.length <= this.limits.maxLogitRows, `${ends.length} rows of logits`);
    this.numTokens += numTokens;
    this.#assertDistinctPlaces(chunks);
    for (const chunk of chunks) this.#write(chunk);
    // Everything that a chunk reads must have been written, even if its logits are not needed.
    for (const chunk of chunks) this.#read(chunk, chunk.position + chunk.tokenIds.length);
    const hashes = ends.map(({ chunk, end }) => this.#seen(chunk, end));
    const { vocabSize: length } = this.limits;
    return hashes.map(
      (hash) => new PlainLogitsRow(Float32Array.from({ length }, (_, token) => 6 * uniform(hash, token, 0))),
    );
  }

  async close(): Promise<void> {}

  #write(chunk: ForwardChunk): void {
    let hash = this.#read(chunk, chunk.position);
    for (const [i, tokenId] of chunk.tokenIds.entries()) {
      hash = chained(hash, tokenId);
      const { page, offset } = this.#locate(chunk, chunk.position + i);
      page[offset] = { tokenId, hash };
    }
  }

  /** The hash of the tokens before position `end`. Asserts that each was written after exactly the tokens before it. */
  #read(chunk: ForwardChunk, end: number): number {
    let hash = NOTHING;
    for (let position = 0; position < end; position++) {
      const { page, offset } = this.#locate(chunk, position);
      const place = page[offset];
      assert.ok(place !== undefined, `position ${position} was never written`);
      hash = chained(hash, place.tokenId);
      assert.equal(place.hash, hash, `position ${position} was written after other tokens`);
    }
    return hash;
  }

  /** The hash of the tokens that the logits after position `end` − 1 depend on. */
  #seen(chunk: ForwardChunk, end: number): number {
    const all = this.#read(chunk, end);
    if (end <= this.#span) return all;
    let hash = NOTHING;
    for (let position = end - this.#span; position < end; position++) {
      const { page, offset } = this.#locate(chunk, position);
      hash = chained(hash, (page[offset] as Place).tokenId);
    }
    return hash;
  }

  #locate({ pages }: ForwardChunk, position: number): { page: (Place | undefined)[]; offset: number } {
    const { pagePositions } = this.limits;
    const page = this.#pages[pages[Math.floor(position / pagePositions)] ?? -1];
    assert.ok(page !== undefined, `position ${position} has no page`);
    return { page, offset: position % pagePositions };
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
}

/** The tokens of a chunk after which logits are wanted. */
export function rowEnds({ position, tokenIds, logits }: ForwardChunk): number[] {
  const end = position + tokenIds.length;
  if (logits === "all") return tokenIds.map((_, i) => position + i + 1);
  return logits === "last" ? [end] : [];
}
