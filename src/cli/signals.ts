// How this process handles signals, and how it ends. At the first SIGTERM or SIGINT a server stops in order; everything else
// ends at once. Process 1 of a container gets no default action for a signal, so this file does it.
// It imports nothing, because it must be in place before any other module is loaded.

const STOP_SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;
type StopSignal = keyof typeof STOP_SIGNALS;

/** A shell reports a process that was ended by signal n with the exit code 128 + n. */
const SHELL_OFFSET = 128;
/**
 * How long threads may take to end. A thread that waits inside the operating system's kernel, for a disk for example, may
 * never end. After a failure they get longer, so that a busy machine does not lose the exit code. A stop has a time limit.
 */
const TERMINATE_MS = { stopped: 100, failed: 1000 } as const;
const WORK_MS = 100;
const LOOK_MS = 10;
/** Work of Node's own thread pool, for which `process.exit` waits: names of Node's resource types. */
const KERNEL_WORK = /^(FSReq|GetAddrInfo|GetNameInfo)/;

/** The part of `process` that is used here. */
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
    // Otherwise the default action is better: it ends the process even if its main thread waits for a disk.
    if (host.pid === 1) this.#listen();
  }

  /** Resolves at the first SIGTERM or SIGINT from now on. The next one ends the process at once. */
  stopped(): Promise<void> {
    this.#isServer = true;
    return new Promise((resolve) => {
      this.#onStop = () => resolve();
      this.#listen();
    });
  }

  /**
   * Runs work that a first SIGTERM or SIGINT interrupts: it aborts the work's signal, and when the work has rejected, the
   * process ends as a signal ends it by default. A second signal ends the process at once.
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

  /** Calls `reload` at every SIGHUP, which from now on does not end the process. */
  onReload(reload: () => void): void {
    this.#process.on("SIGHUP", reload);
  }

  /**
   * Ends the process, whatever its threads are doing: with this exit code, or with a signal if a thread cannot be ended.
   * It returns only in tests.
   */
  async end(code: number): Promise<void> {
    const host = this.#process;
    if (await this.#canExit(code === 0 ? TERMINATE_MS.stopped : TERMINATE_MS.failed)) host.exit(code);
    else if (host.pid === 1)
      host.abort(); // SIGABRT has no effect there, so the C library ends it by a forbidden instruction: SIGSEGV.
    else this.#raise(code === 0 ? "SIGTERM" : "SIGKILL");
  }

  /** Ends the threads; false if one does not end. `process.exit` would wait for ever for a thread that waits inside the system. */
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
    else this.#process.exit(code); // What is pending is the import of modules, from a disk that answers.
  }

  /** Ends the process with the signal's default action. */
  #raise(signal: NodeJS.Signals): void {
    if (signal !== "SIGKILL") this.#process.removeAllListeners(signal);
    this.#process.kill(this.#process.pid, signal);
  }
}

function after(milliseconds: number): Promise<false> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, false));
}

/** The signals of this process. */
export const signals = new Signals(process);
