// A client of the fake hub for tests: with a cache of its own, without real waits, and with a record of all events.
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type HubEnvironment, hubEnvironment } from "../../src/hub/hub-environment.ts";
import type { HubEvent } from "../../src/hub/hub-event.ts";
import { type HubModel, obtainModel, pull } from "../../src/hub/obtain.ts";
import { parseRepository } from "../../src/hub/repository.ts";
import { WORLD, type World } from "../../src/hub/world.ts";

export interface HubUserOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly environment?: Partial<HubEnvironment>;
  readonly world?: Partial<World>;
}

export class HubUser {
  readonly cache: string;
  readonly events: HubEvent[] = [];
  /** The milliseconds of every wait. No wait takes real time. */
  readonly waits: number[] = [];
  /** Milliseconds that are added to the clock. */
  aheadMs = 0;
  /** Called with every piece that arrived. */
  onBytes: () => void = () => {};
  readonly #endpoint: string;
  readonly #options: HubUserOptions;

  constructor(context: TestContext, endpoint: string, options: HubUserOptions = {}) {
    this.cache = mkdtempSync(join(tmpdir(), "gpt2-api-hub-"));
    context.after(() => rmSync(this.cache, { recursive: true, force: true }));
    this.#endpoint = endpoint;
    this.#options = options;
  }

  get environment(): HubEnvironment {
    const { env = {}, environment = {} } = this.#options;
    const variables = { HF_ENDPOINT: this.#endpoint, HF_HUB_CACHE: this.cache, HF_HOME: this.cache, ...env };
    return { ...hubEnvironment(variables), ...environment };
  }

  get world(): World {
    return {
      ...WORLD,
      now: () => Date.now() + this.aheadMs,
      random: () => 0.5,
      freeBytes: async () => 1e12,
      wait: async (ms, signal) => {
        signal?.throwIfAborted();
        this.waits.push(ms);
      },
      ...this.#options.world,
    };
  }

  /** The notices that it received. */
  get notices(): string[] {
    return this.events.flatMap((event) => (event.kind === "notice" ? [event.text] : []));
  }

  pull(name: string, signal?: AbortSignal, changes: Partial<HubEnvironment> = {}): Promise<HubModel> {
    return pull(parseRepository(name), this.#optionsWith(signal, changes));
  }

  obtain(name: string, signal?: AbortSignal, changes: Partial<HubEnvironment> = {}): Promise<HubModel> {
    return obtainModel(parseRepository(name), this.#optionsWith(signal, changes));
  }

  /** Sorted paths below a repository's folder, with empty folders. */
  files(folder: string): string[] {
    const root = join(this.cache, folder);
    const all = readdirSync(root, { recursive: true }).map(String);
    return all.filter((path) => !statSync(join(root, path)).isDirectory()).sort();
  }

  #optionsWith(signal: AbortSignal | undefined, changes: Partial<HubEnvironment>) {
    const onEvent = (event: HubEvent): void => {
      this.events.push(event);
      if (event.kind === "progress") this.onBytes();
    };
    return { environment: { ...this.environment, ...changes }, world: this.world, onEvent, signal };
  }
}
