// Compares what all models of this process may need with the memory of the machine. A model that cannot fit is refused
// before anything is loaded. A model that fits idle but not under full load causes a warning. It counts what was promised,
// not the bytes in use.
import { GptError } from "../errors.ts";
import type { MemoryLimit } from "./memory.ts";

const MIB = 2 ** 20;

/**
 * The process besides its models, in bytes: Node's heaps, the tokenizer, connections. Measured with `serve` under
 * limits of a control group: it starts and answers one request with 56 MiB, and 16 wide requests at once with 128.
 */
export const PROCESS_BYTES = { least: 56 * MIB, busy: 128 * MIB } as const;

/** What one model takes, in bytes. The object itself stands for the model in `release`. */
export interface MemoryNeed {
  /** Its name in sentences. */
  readonly name: string;
  readonly precision: "int8" | "f32";
  /** Including the keys and values of one context. */
  readonly least: number;
  /** Including every page of keys and values. */
  readonly full: number;
}

export class MemoryBudget {
  readonly #limit: MemoryLimit;
  #needs: readonly MemoryNeed[] = [];

  constructor(limit: MemoryLimit) {
    this.#limit = limit;
  }

  /**
   * Adds a model to the count.
   * @returns a warning if all models fit idle, but not under full load
   * @throws GptError `invalid_config` with both numbers if they do not fit at all; the model is then not counted
   */
  claim(need: MemoryNeed): string | undefined {
    const needs = [...this.#needs, need];
    const least = PROCESS_BYTES.least + sum(needs.map((each) => each.least));
    const busy = PROCESS_BYTES.busy + sum(needs.map((each) => each.full));
    const limit = limitInWords(this.#limit);
    const int8 = needs.some(({ precision }) => precision === "f32") ? "use --precision int8, " : "";
    const remedy = `Give it more memory, ${int8}or take a smaller checkpoint`;
    if (least > this.#limit.bytes) {
      throw new GptError(
        "invalid_config",
        `${inWords(needs)} cannot run in ${limit}: ${mib(least)} MiB are the least, with the keys and values of one ` +
          `context. ${remedy}`,
      );
    }
    this.#needs = needs;
    if (busy <= this.#limit.bytes) return undefined;
    const surplus = busy - this.#limit.bytes;
    // Each model has its own cache of the size in the settings, and always room for one context.
    const isCache = surplus <= sum(needs.map(({ full, least }) => full - least));
    const lower = `Lower --kv-cache-mb by ${Math.ceil(surplus / needs.length / MIB)}, or give it more memory`;
    return (
      `${inWords(needs)} may need ${mib(busy)} MiB under load, and there is ${limit}: above it the kernel ends the ` +
      `process. ${isCache ? lower : remedy}`
    );
  }

  /**
   * Why a model has no room beside those that are counted already and are being used; undefined: it has. All are taken at
   * their fullest: who is ended by the kernel in the middle of a reload has lost more than a reload.
   */
  refusalBeside(need: MemoryNeed): string | undefined {
    const busy = PROCESS_BYTES.busy + sum([...this.#needs, need].map((each) => each.full));
    if (busy <= this.#limit.bytes) return undefined;
    return (
      `${need.name} has no room beside ${inWords(this.#needs)}: together they may need ${mib(busy)} MiB, and there is ` +
      limitInWords(this.#limit)
    );
  }

  /** Counts a model out that is closed, or that came to nothing. */
  release(need: MemoryNeed): void {
    this.#needs = this.#needs.filter((each) => each !== need);
  }
}

/** "the container's limit of 256 MiB (FILE)" */
export function limitInWords({ bytes, file }: MemoryLimit): string {
  if (file === undefined) return `this machine's memory of ${mib(bytes)} MiB`;
  return `the container's memory limit of ${mib(bytes)} MiB (${file})`;
}

function inWords(needs: readonly MemoryNeed[]): string {
  return needs.map(({ name }) => name).join(" and ");
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Whole mebibytes, for messages. */
export function mib(bytes: number): string {
  return (bytes / MIB).toFixed(0);
}
