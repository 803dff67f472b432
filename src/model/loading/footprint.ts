// How much memory a model needs, known before any is taken, and the sentence for one that WebAssembly cannot address.
import { basename } from "node:path";
import { GptError } from "../../errors.ts";
import { Arena, MEMORY_BYTES_MAX } from "../../kernels/memory.ts";
import { PAGE_POSITIONS } from "../../kernels/numbers.ts";
import type { MemoryNeed } from "../../machine/memory-budget.ts";
import { DEFAULT_PASS } from "../backend.ts";
import { type Gpt2Capacity, layoutGpt2, pageBytes } from "../gpt2.ts";
import { countParameters, type Gpt2Config } from "../gpt2-config.ts";
import type { Precision } from "../weights.ts";
import { readConfig } from "./checkpoint.ts";
import { allocateStaging } from "./packing.ts";

const MIB = 2 ** 20;

/** In bytes; `total` is more than the sum by the activations and the like. */
export interface Footprint {
  readonly weights: number;
  readonly keysAndValues: number;
  readonly total: number;
}

/** Every layer takes as much as the first, so two small layouts tell of any number of layers in no time. */
export function footprintOf(config: Gpt2Config, capacity: Gpt2Capacity): Footprint {
  const [one, two] = [layOut({ ...config, nLayer: 1 }, capacity), layOut({ ...config, nLayer: 2 }, capacity)];
  const all = (key: keyof Footprint): number => one[key] + (config.nLayer - 1) * (two[key] - one[key]);
  return { weights: all("weights"), keysAndValues: all("keysAndValues"), total: all("total") };
}

function layOut(config: Gpt2Config, capacity: Gpt2Capacity): Footprint {
  const arena = new Arena();
  const { weights } = layoutGpt2(arena, config, capacity);
  allocateStaging(arena, config);
  const keysAndValues = capacity.pages * pageBytes(config, capacity.precision);
  return { weights: weights.region.bytes, keysAndValues, total: arena.size };
}

/** Pages that a budget buys; at least one full context is always kept. */
export function pagesFor(config: Gpt2Config, precision: Precision, kvCacheMb: number): number {
  const perContext = Math.ceil(config.contextLength / PAGE_POSITIONS);
  // A page of a model without layers takes nothing, but is still counted.
  const bytes = pageBytes({ ...config, nLayer: Math.max(1, config.nLayer) }, precision);
  return Math.max(perContext, Math.floor((kvCacheMb * MIB) / bytes));
}

/** What a model's memory is laid out by. */
export interface CapacityOptions {
  readonly precision: Precision;
  /** Memory for keys and values, in MiB; at least one full context is always kept. */
  readonly kvCacheMb: number;
  readonly threads: number;
  /** Tokens in one pass, and rows of logits out of it. Default: `DEFAULT_PASS`. */
  readonly passTokensMax?: number;
  readonly passRowsMax?: number;
}

export function capacityFor(config: Gpt2Config, options: CapacityOptions): Gpt2Capacity {
  const { precision, threads, passTokensMax, passRowsMax } = options;
  return {
    precision,
    pages: pagesFor(config, precision, options.kvCacheMb),
    maxBatchTokens: passTokensMax ?? DEFAULT_PASS.tokens,
    maxLogitRows: passRowsMax ?? DEFAULT_PASS.rows,
    threads,
  };
}

/**
 * What a checkpoint takes; only its config.json is read.
 * @throws GptError `invalid_checkpoint`
 */
export function memoryNeed(directory: string, options: CapacityOptions): MemoryNeed {
  const config = readConfig(directory);
  const bytes = (kvCacheMb: number): number =>
    footprintOf(config, capacityFor(config, { ...options, kvCacheMb })).total;
  return {
    name: basename(directory),
    precision: options.precision,
    least: bytes(0),
    full: bytes(options.kvCacheMb),
  };
}

/** @throws GptError `invalid_config` that names sizes and limit, and says what would fit. */
export function assertAddressable(config: Gpt2Config, capacity: Gpt2Capacity): void {
  const { keysAndValues, total } = footprintOf(config, capacity);
  if (total <= MEMORY_BYTES_MAX) return;
  const besides = total - keysAndValues;
  const least = (precision: Gpt2Capacity["precision"]): number =>
    footprintOf(config, { ...capacity, precision, pages: pagesFor(config, precision, 0) }).total;
  const model = `a model of ${(countParameters(config) / 1e6).toFixed(1)} M parameters in ${capacity.precision}`;
  const limit = "WebAssembly memory ends at 4 GiB";
  if (least(capacity.precision) <= MEMORY_BYTES_MAX) {
    const largest = Math.floor((MEMORY_BYTES_MAX - besides) / MIB);
    throw new GptError(
      "invalid_config",
      `${model} needs ${gib(besides)} GiB besides ${gib(keysAndValues)} GiB for keys and values, and ${limit}: ` +
        `lower --kv-cache-mb to ${largest} or less`,
    );
  }
  const int8Fits = capacity.precision === "f32" && least("int8") <= MEMORY_BYTES_MAX;
  const way = int8Fits
    ? `use --precision int8, which needs ${gib(least("int8"))} GiB`
    : "use a smaller checkpoint";
  throw new GptError(
    "invalid_config",
    `${model} needs ${gib(least(capacity.precision))} GiB with the keys and values of one context, and ${limit}: ${way}`,
  );
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}
