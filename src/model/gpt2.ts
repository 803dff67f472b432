// GPT-2's forward pass over paged keys and values (Radford et al. 2019; the names are those of model.py in openai/gpt-2). A batch
// mixes chunks of prompts and single tokens. Every token is a row, and its result does not depend on the other rows.
import type { LogitsRow } from "../kernels/logits-row.ts";
import { type Arena, type LinearMemory, rowStride } from "../kernels/memory.ts";
import { PAGE_POSITIONS } from "../kernels/numbers.ts";
import {
  allocateProgram,
  allocateQuantized,
  type Epilogue,
  type Executor,
  headBytes,
  Kernels,
  type KvLayer,
  type Linear,
  logitsScratchBytes,
  type ProgramSpace,
  type Quantized,
  type RowTable,
} from "../kernels/program.ts";
import type { Backend, BackendLimits, ForwardBatch } from "./backend.ts";
import type { Gpt2Config } from "./gpt2-config.ts";
import { allocateWeights, type Gpt2Weights, type Precision } from "./weights.ts";

/** What the memory of a model is laid out for. */
export interface MemoryPlan {
  readonly precision: Precision;
  readonly pages: number;
  readonly maxBatchTokens: number;
  readonly maxLogitRows: number;
  readonly threads: number;
}

/** Bytes of keys and values of one layer in a page. They have the precision of the weights. */
function layerBytes({ nHead, headSize }: Gpt2Config, precision: Precision): number {
  return nHead * headBytes(precision, headSize);
}

/** Bytes of one page: 16 positions of keys and values, all layers and heads. */
export function pageBytes(config: Gpt2Config, precision: Precision): number {
  return config.nLayer * layerBytes(config, precision);
}

/** Addresses of activations. B = maxBatchTokens, R = maxLogitRows. */
interface Activations {
  readonly tokens: number; // [B]
  readonly positions: number; // [B]
  readonly pageTables: number; // [B], the address of each row's page numbers
  readonly pageNumbers: number; // [B, pages of a context]
  readonly copies: number; // (from, to) pairs
  readonly logitRows: number; // [R]
  readonly x: number; // [B, C], the residual stream
  readonly a: number; // [B, C], normalised or attended
  readonly qkv: number; // [B, 3C]
  readonly hidden: number; // [B, F]
  readonly quantized: Quantized; // input of an 8-bit matrix; room for the widest one
  readonly last: number; // [R, C]
  readonly logits: number; // [R, V]
  readonly rowScratch: number; // for operations on a row of logits
}

export interface Gpt2Layout {
  readonly weights: Gpt2Weights;
  readonly pages: number;
  readonly activations: Activations;
  readonly program: ProgramSpace;
}

/** Lays out everything that the model needs. The memory itself is allocated later. */
export function layoutGpt2(arena: Arena, config: Gpt2Config, plan: MemoryPlan): Gpt2Layout {
  const { maxBatchTokens: rows, maxLogitRows } = plan;
  const pagesOfContext = Math.ceil(config.contextLength / PAGE_POSITIONS);
  const activation = (width: number, count = rows): number => arena.floats(count * rowStride(width));
  const isQuantized = plan.precision !== "f32";
  const widest = Math.max(config.nInner, config.nEmbd);
  return {
    weights: allocateWeights(arena, config, plan.precision),
    pages: arena.allocate(plan.pages * pageBytes(config, plan.precision)),
    activations: {
      tokens: arena.floats(rows),
      positions: arena.floats(rows),
      pageTables: arena.floats(rows),
      pageNumbers: arena.floats(rows * pagesOfContext),
      copies: arena.floats(2 * plan.pages),
      logitRows: arena.floats(maxLogitRows),
      x: activation(config.nEmbd),
      a: activation(config.nEmbd),
      qkv: activation(3 * config.nEmbd),
      hidden: activation(config.nInner),
      quantized: allocateQuantized(arena, { rows: isQuantized ? rows : 0, width: widest }),
      last: activation(config.nEmbd, maxLogitRows),
      logits: activation(config.vocabSize, maxLogitRows),
      rowScratch: arena.allocate(logitsScratchBytes(config.vocabSize)),
    },
    program: allocateProgram(arena, {
      maxInstructions: 12 * config.nLayer + 8,
      contextLength: config.contextLength,
      threads: plan.threads,
    }),
  };
}

export class Gpt2 implements Backend {
  readonly limits: BackendLimits;
  readonly #config: Gpt2Config;
  readonly #precision: Precision;
  readonly #layout: Gpt2Layout;
  readonly #memory: LinearMemory;
  readonly #kernels: Kernels;
  readonly #executor: Executor;

  constructor(config: Gpt2Config, layout: Gpt2Layout, plan: MemoryPlan, executor: Executor) {
    this.#config = config;
    this.#precision = plan.precision;
    this.#layout = layout;
    this.#executor = executor;
    this.#memory = executor.memory;
    this.#kernels = new Kernels(executor, layout.program);
    this.limits = {
      vocabSize: config.vocabSize,
      contextLength: config.contextLength,
      pages: plan.pages,
      pagePositions: PAGE_POSITIONS,
      maxBatchTokens: plan.maxBatchTokens,
      maxLogitRows: plan.maxLogitRows,
    };
  }

  forward(batch: ForwardBatch): LogitsRow[] {
    const { rows, logitRows } = this.#writeRows(batch);
    this.#recordCopies(batch);
    this.#recordBlocks(rows);
    this.#recordHead(logitRows);
    this.#kernels.run();
    const { vocabSize: width } = this.#config;
    const { logits, rowScratch: scratch } = this.#layout.activations;
    return Array.from({ length: logitRows }, (_, row) =>
      this.#executor.logitsRow({ address: logits + 4 * row * rowStride(width), width, scratch }),
    );
  }

  /** The name of the build of the kernels. */
  get kernels(): string {
    return this.#executor.name;
  }

  close(): Promise<void> {
    return this.#executor.close();
  }

  /** Writes the token, position and page table of every row, and the list of rows whose logits are wanted. */
  #writeRows(batch: ForwardBatch): { rows: RowTable; logitRows: number } {
    const at = this.#layout.activations;
    const { i32 } = this.#memory;
    let row = 0;
    let pageNumber = at.pageNumbers >>> 2;
    let logitRows = 0;
    for (const chunk of batch.chunks) {
      const pageTable = pageNumber * 4;
      for (const page of chunk.pages) i32[pageNumber++] = page;
      for (const [i, tokenId] of chunk.tokenIds.entries()) {
        i32[(at.tokens >>> 2) + row] = tokenId;
        i32[(at.positions >>> 2) + row] = chunk.position + i;
        i32[(at.pageTables >>> 2) + row] = pageTable;
        const isLast = i === chunk.tokenIds.length - 1;
        if (chunk.logits === "all" || (chunk.logits === "last" && isLast)) {
          i32[(at.logitRows >>> 2) + logitRows++] = row;
        }
        row += 1;
      }
    }
    if (row > this.limits.maxBatchTokens || logitRows > this.limits.maxLogitRows) {
      throw new Error(`a batch of ${row} tokens and ${logitRows} rows of logits is over the limits`);
    }
    const rows = { tokens: at.tokens, positions: at.positions, pageTables: at.pageTables, rows: row };
    return { rows, logitRows };
  }

  #recordCopies(batch: ForwardBatch): void {
    if (batch.copies.length === 0) return;
    const { activations, pages } = this.#layout;
    this.#memory
      .ints(activations.copies, 2 * batch.copies.length)
      .set(batch.copies.flatMap((c) => [c.from, c.to]));
    this.#kernels.copyPages(activations.copies, batch.copies.length, {
      address: pages,
      pageBytes: pageBytes(this.#config, this.#precision),
    });
  }

  /** Records the embeddings and all blocks. The result is the residual stream x. */
  #recordBlocks(rows: RowTable): void {
    const { nEmbd: width, activation } = this.#config;
    const { weights, activations } = this.#layout;
    const { x, a, qkv, hidden } = activations;
    const k = this.#kernels;
    const shape = { rows: rows.rows, width };
    k.embed(x, weights.wte, weights.wpe, width, rows); // [B, C]
    for (const [layer, block] of weights.blocks.entries()) {
      const kv = this.#kvLayer(layer);
      k.layerNorm(a, x, block.ln1, shape); // [B, C]
      this.#linear(qkv, a, block.cAttn, rows.rows, "store"); // [B, 3C]
      k.storeKv(qkv, rows, kv);
      k.attention(a, qkv, rows, kv, this.#attentionScale(layer)); // [B, C]
      this.#linear(x, a, block.attnProj, rows.rows, "add"); // [B, C]
      k.layerNorm(a, x, block.ln2, shape); // [B, C]
      this.#linear(hidden, a, block.cFc, rows.rows, activation); // [B, F]
      this.#linear(x, hidden, block.mlpProj, rows.rows, "add"); // [B, C]
    }
  }

  /** Records the output head for the rows whose logits are wanted. */
  #recordHead(rows: number): void {
    if (rows === 0) return;
    const { weights, activations } = this.#layout;
    const { x, last, logitRows, logits } = activations;
    const shape = { rows, width: this.#config.nEmbd };
    this.#kernels.gatherRows(last, x, logitRows, shape); // [R, C]
    this.#kernels.layerNorm(last, last, weights.lnF, shape); // [R, C]
    this.#linear(logits, last, weights.head, rows, "store"); // [R, V]
  }

  /** Records out = epilogue(x·W + b) in the precision of the weights. */
  #linear(out: number, x: number, linear: Linear, rows: number, epilogue: Epilogue): void {
    if (linear.kind === "f32") {
      this.#kernels.matmul(out, x, linear, rows, epilogue);
      return;
    }
    const { quantized } = this.#layout.activations;
    this.#kernels.quantize(linear.kind, quantized, x, { rows, width: linear.inWidth });
    this.#kernels.matmulQuantized(out, quantized, linear, rows, epilogue);
  }

  #kvLayer(layer: number): KvLayer {
    const { nHead: heads, headSize } = this.#config;
    const precision = this.#precision;
    return {
      kind: precision,
      address: this.#layout.pages + layer * layerBytes(this.#config, precision),
      pageBytes: pageBytes(this.#config, precision),
      heads,
      headSize,
    };
  }

  /** d^-½, if the checkpoint was trained with it; divided by the layer's number, if it was trained so. */
  #attentionScale(layer: number): number {
    const { scaleAttnWeights, scaleAttnByInverseLayerIdx, headSize } = this.#config;
    const scale = scaleAttnWeights ? 1 / Math.sqrt(headSize) : 1;
    return scaleAttnByInverseLayerIdx ? scale / (layer + 1) : scale;
  }
}
