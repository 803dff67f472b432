// Computes how much memory a model needs, before any is allocated, and refuses a model that WebAssembly cannot address.
import { basename } from "node:path";
import { GptError } from "../../errors.ts";
import { Arena, MEMORY_BYTES_MAX } from "../../kernels/memory.ts";
import { PAGE_POSITIONS } from "../../kernels/numbers.ts";
import type { MemoryNeed } from "../../machine/memory-budget.ts";
import { DEFAULT_PASS } from "../backend.ts";
import { layoutGpt2, type MemoryPlan, pageBytes } from "../gpt2.ts";
import { countParameters, type Gpt2Config } from "../gpt2-config.ts";
import type { Precision } from "../weights.ts";
import { readConfig } from "./checkpoint.ts";
import { allocateStaging } from "./packing.ts";

const MIB = 2 ** 20;

/** In bytes. `total` also has the activations and other small parts. */
export interface Footprint {
  readonly weights: number;
  readonly keysAndValues: number;
  readonly total: number;
}

/** All layers have the same size. So the layouts of one layer and of two layers give the size of any number of layers. */
export function footprintOf(config: Gpt2Config, plan: MemoryPlan): Footprint {
  const [one, two] = [layOut({ ...config, nLayer: 1 }, plan), layOut({ ...config, nLayer: 2 }, plan)];
  const all = (key: keyof Footprint): number => one[key] + (config.nLayer - 1) * (two[key] - one[key]);
  return { weights: all("weights"), keysAndValues: all("keysAndValues"), total: all("total") };
}

function layOut(config: Gpt2Config, plan: MemoryPlan): Footprint {
  const arena = new Arena();
  const { weights } = layoutGpt2(arena, config, plan);
  allocateStaging(arena, config);
  const keysAndValues = plan.pages * pageBytes(config, plan.precision);
  return { weights: weights.region.bytes, keysAndValues, total: arena.size };
}

/** The number of pages for `kvCacheMb`. At least those of one full context. */
export function pagesFor(config: Gpt2Config, precision: Precision, kvCacheMb: number): number {
  const perContext = Math.ceil(config.contextLength / PAGE_POSITIONS);
  // Without layers a page would take no bytes, and the division would give infinitely many.
  const bytes = pageBytes({ ...config, nLayer: Math.max(1, config.nLayer) }, precision);
  return Math.max(perContext, Math.floor((kvCacheMb * MIB) / bytes));
}

/** From what the memory of a model is planned. */
export interface MemoryOptions {
  readonly precision: Precision;
  /** Memory for keys and values, in MiB. At least one full context is always kept. */
  readonly kvCacheMb: number;
  readonly threads: number;
  /** The most tokens of one pass, and the most rows of logits. Default: `DEFAULT_PASS`. */
  readonly passTokensMax?: number;
  readonly passRowsMax?: number;
}

export function planMemory(config: Gpt2Config, options: MemoryOptions): MemoryPlan {
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
 * The memory that a checkpoint needs. Reads only its configuration.
 * @throws GptError `invalid_checkpoint`
 */
export function memoryNeed(directory: string, options: MemoryOptions): MemoryNeed {
  const config = readConfig(directory);
  const bytes = (kvCacheMb: number): number =>
    footprintOf(config, planMemory(config, { ...options, kvCacheMb })).total;
  return {
    name: basename(directory),
    precision: options.precision,
    least: bytes(0),
    full: bytes(options.kvCacheMb),
  };
}

/**
 * @throws GptError `invalid_config` when the model does not fit into 4 GiB. The message has the sizes, and says what would fit.
 */
export function assertAddressable(config: Gpt2Config, plan: MemoryPlan): void {
  const { keysAndValues, total } = footprintOf(config, plan);
  if (total <= MEMORY_BYTES_MAX) return;
  const besides = total - keysAndValues;
  const least = (precision: MemoryPlan["precision"]): number =>
    footprintOf(config, { ...plan, precision, pages: pagesFor(config, precision, 0) }).total;
  const model = `a model of ${(countParameters(config) / 1e6).toFixed(1)} M parameters in ${plan.precision}`;
  const limit = "WebAssembly memory ends at 4 GiB";
  if (least(plan.precision) <= MEMORY_BYTES_MAX) {
    const largest = Math.floor((MEMORY_BYTES_MAX - besides) / MIB);
    throw new GptError(
      "invalid_config",
      `${model} needs ${gib(besides)} GiB besides ${gib(keysAndValues)} GiB for keys and values, and ${limit}: ` +
        `lower --kv-cache-mb to ${largest} or less`,
    );
  }
  const int8Fits = plan.precision === "f32" && least("int8") <= MEMORY_BYTES_MAX;
  const way = int8Fits
    ? `use --precision int8, which needs ${gib(least("int8"))} GiB`
    : "use a smaller checkpoint";
  throw new GptError(
    "invalid_config",
    `${model} needs ${gib(least(plan.precision))} GiB with the keys and values of one context, and ${limit}: ${way}`,
  );
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}
