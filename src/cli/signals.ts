// The signals of this process, from its first moment on, and its end. A server stops in order at the first SIGTERM or SIGINT;
// everything else ends at once. As process 1 of a container no signal has a default action, so here it is done by hand.
// It imports nothing, because it must be there before anything else is loaded.

const STOP_SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;
type StopSignal = keyof typeof STOP_SIGNALS;

/** What a shell tells of a process that a signal ended is this number more than the signal's. */
const SHELL_OFFSET = 128;
/**
 * How long threads may take to end; one that waits inside the kernel, for a disk perhaps, never does. A failure gets longer, so
 * that its exit code is not lost on a busy machine; a stop has its time limit to keep.
 */
const TERMINATE_MS = { stopped: 100, failed: 1000 } as const;
const WORK_MS = 100;
const LOOK_MS = 10;
/** Work of Node's own threads, for which `process.exit` waits. */
const KERNEL_WORK = /^(FSReq|GetAddrInfo|GetNameInfo)/;

/** What is needed of `process`. */
export type Host = Pick<
  NodeJS.Process,
  "pid" | "on" | "removeAllListeners" | "kill" | "exit" | "abort" | "getActiveResourcesInfo"
>;

export class Signals {
  readonly #process: Host;
  readonly #workers = new Set<{ terminate(): Promise<number> }>();
  #isServer = false;
  #onStop: ((signal: StopSignal) => void) | undefined;
  #listens = false;

  constructor(host: Host) {
    this.#process = host;
    host.on("worker", (worker) => {
      this.#workers.add(worker);
      worker.once("exit", () => this.#workers.delete(worker));
    });
    // Elsewhere the default action is better: it also ends a process whose main thread waits for a disk.
    if (host.pid === 1) this.#listen();
  }

  /** Resolves with the first SIGTERM or SIGINT from now on; the one after it ends the process at once. */
  stopped(): Promise<void> {
    this.#isServer = true;
    return new Promise((resolve) => {
      this.#onStop = () => resolve();
      this.#listen();
    });
  }

  /**
   * Work that a first SIGTERM or SIGINT ends by aborting its signal; the process ends as it does by default when the work
   * has rejected, and at once at a second signal. Without any it is as if the work was called alone.
   */
  async whileInterruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    let received: StopSignal | undefined;
    this.#onStop = (signal) => {
      received = signal;
      controller.abort(new Error(`interrupted by ${signal}`));
    };
    this.#listen();
    try {
      return await work(controller.signal);
    } catch (error) {
      if (received !== undefined) this.#receive(received);
      throw error;
    } finally {
      this.#onStop = undefined;
      if (this.#process.pid !== 1) this.#listenNoMore();
    }
  }

  /** SIGHUP then ends nothing any more. */
  onReload(reload: () => void): void {
    this.#process.on("SIGHUP", reload);
  }

  /**
   * Ends the process, whatever its threads are doing: with this exit code, or by a signal when a thread cannot be ended.
   * Does not return, except in tests.
   */
  async end(code: number): Promise<void> {
    const host = this.#process;
    if (await this.#canExit(code === 0 ? TERMINATE_MS.stopped : TERMINATE_MS.failed)) host.exit(code);
    else if (host.pid === 1) host.abort();
    else this.#raise(code === 0 ? "SIGTERM" : "SIGKILL");
  }

  /** Ends the threads. `process.exit` would wait for those that wait inside the kernel. */
  async #canExit(terminateMs: number): Promise<boolean> {
    const ended = Promise.all([...this.#workers].map((worker) => worker.terminate())).then(() => true);
    if (!(await Promise.race([ended, after(terminateMs)]))) return false;
    for (let left = WORK_MS; left > 0; left -= LOOK_MS) {
      if (!this.#process.getActiveResourcesInfo().some((name) => KERNEL_WORK.test(name))) return true;
      await after(LOOK_MS);
    }
    return false;
  }

  #listen(): void {
    if (this.#listens) return;
    this.#listens = true;
    for (const signal of Object.keys(STOP_SIGNALS) as StopSignal[]) {
      this.#process.on(signal, () => this.#receive(signal));
    }
  }

  #listenNoMore(): void {
    this.#listens = false;
    for (const signal of Object.keys(STOP_SIGNALS)) this.#process.removeAllListeners(signal);
  }

  #receive(signal: StopSignal): void {
    const stop = this.#onStop;
    this.#onStop = undefined;
    const code = SHELL_OFFSET + STOP_SIGNALS[signal];
    if (stop !== undefined) stop(signal);
    else if (this.#process.pid !== 1) this.#raise(signal);
    else if (this.#isServer) void this.end(code);
    else this.#process.exit(code); // Only modules are being loaded, from a disk that answers.
  }

  /** Has the default action. */
  #raise(signal: NodeJS.Signals): void {
    if (signal !== "SIGKILL") this.#process.removeAllListeners(signal);
    this.#process.kill(this.#process.pid, signal);
  }
}

function after(milliseconds: number): Promise<false> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, false));
}

/** Those of this process. */
export const signals = new Signals(process);
