// Where the time of a pass goes. Every instruction of its program is run as a program of its own and timed, so the times include
// the start and the end of each step. What is left of the whole pass is JavaScript and the choice of tokens.
import { performance } from "node:perf_hooks";
import { type Arguments, readArguments } from "../kernels/instruction.ts";
import type { LogitsRow } from "../kernels/logits-row.ts";
import type { LinearMemory } from "../kernels/memory.ts";
import {
  END,
  INSTRUCTION,
  INSTRUCTION_BYTES,
  KERNELS,
  type KernelName,
  PAGE_POSITIONS,
} from "../kernels/numbers.ts";
import { type Executor, headBytes, type LogitsPlace } from "../kernels/program.ts";
import { linearBytes } from "../model/weights.ts";
import { type Machine, median } from "./measure.ts";

/** All instructions of one kind and shape in a pass. */
export interface ProfileLine {
  /** The kernel, and the widths of what it multiplies or quantises. */
  readonly name: string;
  readonly count: number;
  /** Milliseconds of all of them. */
  readonly ms: number;
  /** The shortest time that the machine's limits allow. Undefined: none is known for this kernel. */
  readonly limitMs: number | undefined;
}

export interface Profile {
  readonly name: string;
  /** Median milliseconds of the whole pass, not taken apart. */
  readonly ms: number;
  /** Those that take longest come first. */
  readonly lines: readonly ProfileLine[];
}

const REPEATS = 9;
const KERNEL_NAMES = new Map(Object.entries(KERNELS).map(([name, { op }]) => [op, name as KernelName]));
const MATMULS = { matmul: "f32", matmulInt8: "int8", matmulRotated: "rotated" } as const;

interface Step {
  readonly name: string;
  readonly limitMs: number | undefined;
  readonly ms: number;
}

/** An executor that can take programs apart. Otherwise it runs them as the executor behind it does. */
class ProfilingExecutor implements Executor {
  readonly #executor: Executor;
  #steps: { readonly machine: Machine; readonly list: Step[] } | undefined;

  constructor(executor: Executor) {
    this.#executor = executor;
  }

  get name(): string {
    return this.#executor.name;
  }

  get memory(): LinearMemory {
    return this.#executor.memory;
  }

  get ready(): Promise<void> {
    return this.#executor.ready;
  }

  logitsRow(place: LogitsPlace): LogitsRow {
    return this.#executor.logitsRow(place);
  }

  close(): Promise<void> {
    return this.#executor.close();
  }

  run(program: number): void {
    if (!this.#steps) {
      this.#executor.run(program);
      return;
    }
    const { machine, list } = this.#steps;
    const { i32 } = this.memory;
    for (let at = program; i32[at >>> 2] !== END; at += INSTRUCTION_BYTES) {
      const next = (at + INSTRUCTION_BYTES + INSTRUCTION.op) >>> 2;
      const opOfNext = i32[next] as number;
      i32[next] = END;
      const start = performance.now();
      this.#executor.run(at);
      const ms = performance.now() - start;
      i32[next] = opOfNext;
      list.push({ ...describe(this.memory, at, machine), ms });
    }
  }

  /** Takes the programs apart that `run` starts. */
  stepsOf(run: () => void, machine: Machine): readonly Step[] {
    const list: Step[] = [];
    this.#steps = { machine, list };
    try {
      run();
    } finally {
      this.#steps = undefined;
    }
    return list;
  }
}

/** Profiles the passes of a model that is loaded with `instrument` among its options. */
export class Profiler {
  #executor: ProfilingExecutor | undefined;

  readonly instrument = (executor: Executor): Executor => {
    this.#executor = new ProfilingExecutor(executor);
    return this.#executor;
  };

  /** `run` computes passes, with the same programs each time, and may choose the next tokens. */
  profile(name: string, run: () => void, machine: Machine): Profile {
    if (!this.#executor) throw new Error("no model was loaded with this profiler");
    const whole: number[] = [];
    const passes: (readonly Step[])[] = [];
    for (let i = 0; i < REPEATS; i++) {
      const start = performance.now();
      run();
      whole.push(performance.now() - start);
      passes.push(this.#executor.stepsOf(run, machine));
    }
    return { name, ms: median(whole), lines: summarize(passes) };
  }
}

/** Adds up the steps of the same name in each pass, and takes the median of the passes. */
function summarize(passes: readonly (readonly Step[])[]): ProfileLine[] {
  const names = new Set(passes[0]?.map(({ name }) => name));
  const lines = [...names].map((name) => {
    const steps = passes.map((pass) => pass.filter((step) => step.name === name));
    const limits = steps[0]?.map(({ limitMs }) => limitMs) ?? [];
    return {
      name,
      count: limits.length,
      ms: median(steps.map((each) => each.reduce((sum, { ms }) => sum + ms, 0))),
      limitMs: limits.reduce((sum, each) =>
        sum === undefined || each === undefined ? undefined : sum + each,
      ),
    };
  });
  return lines.toSorted((a, b) => b.ms - a.ms);
}

/** The name of an instruction, and its limit. */
function describe(memory: LinearMemory, instruction: number, machine: Machine): Omit<Step, "ms"> {
  const op = memory.i32[(instruction + INSTRUCTION.op) >>> 2] as number;
  const kernel = KERNEL_NAMES.get(op) as KernelName;
  if (kernel === "matmul" || kernel === "matmulInt8" || kernel === "matmulRotated") {
    const kind = MATMULS[kernel];
    const { rows, inWidth, outWidth } = readArguments(memory, instruction, kernel);
    const bytesMs = (1000 * linearBytes(kind, inWidth, outWidth)) / machine.bandwidth;
    const productsMs =
      (1000 * rows * inWidth * outWidth) / (machine.ceilings[kind] ?? Number.POSITIVE_INFINITY);
    return { name: `${kernel} ${inWidth} × ${outWidth}`, limitMs: Math.max(bytesMs, productsMs) };
  }
  if (kernel === "quantize" || kernel === "quantizeRotated") {
    return { name: `${kernel} ${readArguments(memory, instruction, kernel).width}`, limitMs: undefined };
  }
  if (kernel === "attention" || kernel === "attentionInt8") {
    const bytes = keyValueBytes(memory, readArguments(memory, instruction, kernel), kernel);
    return { name: kernel, limitMs: bytes === undefined ? undefined : (1000 * bytes) / machine.bandwidth };
  }
  return { name: kernel, limitMs: undefined };
}

/** Bytes of keys and values that attention reads. Undefined if a sequence has several rows: then bandwidth is not its limit. */
function keyValueBytes(
  { i32 }: LinearMemory,
  a: Arguments<"attention">,
  kernel: "attention" | "attentionInt8",
): number | undefined {
  const rows = a.items / a.heads;
  if (new Set(i32.subarray(a.pageTables, a.pageTables + rows)).size < rows) return undefined;
  const positions = i32.subarray(a.positions, a.positions + rows).reduce((sum, last) => sum + last + 1, 0);
  const kind = kernel === "attention" ? "f32" : "int8";
  return (positions * a.heads * headBytes(kind, a.headSize)) / PAGE_POSITIONS;
}
