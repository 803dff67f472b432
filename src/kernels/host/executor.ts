// Runs kernel programs in WebAssembly, on the calling thread and on `threads − 1` helper threads that share its memory.
import { type MessagePort, Worker } from "node:worker_threads";
import { GptError } from "../../errors.ts";
import type { LogitsRow } from "../logits-row.ts";
import type { LinearMemory, SharedMemory } from "../memory.ts";
import { CONTROL } from "../numbers.ts";
import type { Executor, LogitsPlace } from "../program.ts";
import { type CompiledKernels, compileKernels, instantiateKernels, preferredBuild } from "./kernel-build.ts";
import { type LogitsExports, WasmLogitsRow } from "./wasm-logits-row.ts";

/** The exports of `wasm/index.ts` that the calling thread uses. */
export interface KernelExports extends LogitsExports {
  run(program: number, parts: number): void;
}

/** The data that a helper thread gets at its start. */
export interface HelperData {
  readonly kernels: CompiledKernels;
  readonly memory: SharedMemory;
  /** The thread's number, from 1 on; the calling thread is number 0. `parts`: the number of threads. */
  readonly part: number;
  readonly parts: number;
  /** The number of the current step when it was started. */
  readonly seen: number;
  /** The thread holds it as long as it lives. */
  readonly lifeline: Lifeline | undefined;
}

/** A port that tells whether a thread is alive: when the thread ends, for whatever reason, the other end gets a `close` event. */
export type Lifeline = MessagePort;

export class WasmExecutor implements Executor {
  readonly name: string;
  readonly memory: LinearMemory;
  readonly ready: Promise<void>;
  readonly #kernels: KernelExports;
  readonly #threads: number;
  readonly #helpers: Worker[];
  readonly #exits: Promise<unknown>[];

  private constructor(name: string, memory: LinearMemory, kernels: KernelExports, helpers: Worker[]) {
    this.name = name;
    this.memory = memory;
    this.#exits = helpers.map((helper) => new Promise((resolve) => helper.once("exit", resolve)));
    // Helpers keep the process alive only until all of them run.
    this.ready = Promise.all(helpers.map(whenOnline)).then(() => {
      for (const helper of helpers) helper.unref();
    });
    this.#kernels = kernels;
    this.#helpers = helpers;
    this.#threads = helpers.length + 1;
  }

  /**
   * Starts an executor on `threads` threads, this one included. If there are lifelines, each helper gets one. If a helper dies,
   * `run` may wait for ever, so only another thread can notice the death. Once `ready` has resolved, every helper holds its
   * lifeline.
   */
  static start(
    memory: LinearMemory,
    threads: number,
    lifelines: readonly Lifeline[] = [],
    kernels = compileKernels(preferredBuild()),
  ): WasmExecutor {
    const exports = instantiateKernels<KernelExports>(kernels, memory.wasm);
    const seen = Atomics.load(memory.i32, CONTROL.step >>> 2);
    const helpers = Array.from({ length: threads - 1 }, (_, i) => {
      const lifeline = lifelines[i];
      const workerData: HelperData = {
        kernels,
        memory: memory.wasm,
        part: i + 1,
        parts: threads,
        seen,
        lifeline,
      };
      const transferList = lifeline ? [lifeline] : [];
      const entry = new URL("./helper-thread.js", import.meta.url);
      return new Worker(entry, { workerData, transferList, stdin: false });
    });
    return new WasmExecutor(kernels.build, memory, exports, helpers);
  }

  run(program: number): void {
    this.#kernels.run(program, this.#threads);
  }

  logitsRow(place: LogitsPlace): LogitsRow {
    return new WasmLogitsRow(this.memory, this.#kernels, place);
  }

  /** Ends the helper threads. */
  async close(): Promise<void> {
    await this.ready.catch(() => {});
    const { i32 } = this.memory;
    Atomics.store(i32, CONTROL.stop >>> 2, 1);
    for (const word of [CONTROL.programs, CONTROL.step]) {
      Atomics.add(i32, word >>> 2, 1);
      Atomics.notify(i32, word >>> 2);
    }
    for (const helper of this.#helpers) helper.ref();
    await Promise.all(this.#exits);
  }
}

/** Resolves when a thread is online. Then it has its data, and so its lifeline. */
function whenOnline(helper: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    helper.once("online", resolve);
    helper.once("exit", () => reject(new GptError("engine_failed", "a helper thread of the engine ended")));
  });
}
