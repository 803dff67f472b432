// The actions of a person on the page. Each changes the state and, if necessary, calls the server.
import type { GenerateBody, PlaygroundEvent } from "../../dialects/playground/events.ts";
import { bodyOf, entriesOf } from "../logic/form.ts";
import { addToHistory, clearHistory, type HistoryEntry, readHistory } from "../logic/history.ts";
import { continuation, idsUpTo, newRun, type Run, textOf, withEvent } from "../logic/run.ts";
import { fromFragment, type Parameters } from "../logic/share.ts";
import { generate, ServerFailure, server } from "./server.ts";
import { endpointOf, type PageState, type Selection, type Store } from "./state.ts";

/** Runs that one can go back to. Older ones are in the history. */
const RUNS_MAX = 20;

export class Actions {
  readonly #store: Store;
  #running: AbortController | undefined;
  #lastId = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  get #state(): PageState {
    return this.#store.state;
  }

  set(change: Partial<PageState>): void {
    this.#store.set(change);
  }

  /** Loads the facts about the server, and fills the form from the opened link. */
  async start(): Promise<void> {
    this.set({ history: readHistory(localStorage) });
    try {
      const facts = await server.facts();
      const endpoint = facts.endpoints[0];
      const mode = endpoint?.fields.find(({ name }) => name === "mode")?.default ?? facts.modes[0]?.name;
      this.set({ facts, endpoint: endpoint?.name ?? "", mode: String(mode), failure: undefined });
      const linked = fromFragment(location.hash);
      if (linked) this.fill(linked);
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    if (error instanceof DOMException && error.name === "AbortError") return;
    const failure = error instanceof ServerFailure ? error.refusal : { code: "page", message: String(error) };
    this.set({ failure, announcement: failure.message });
  }

  /** Fills the form with given parameters. Nothing is sent. */
  fill(parameters: Parameters): void {
    const { facts } = this.#state;
    const endpoint =
      facts?.endpoints.find(({ name }) => name === parameters.endpoint) ?? endpointOf(this.#state);
    if (!facts || !endpoint) return;
    const mode = facts.modes.find(({ name }) => name === parameters.mode)?.name ?? defaultMode(this.#state);
    this.set({
      ...(typeof parameters.input === "string" && { prompt: parameters.input }),
      endpoint: endpoint.name,
      mode,
      entries: entriesOf(parameters, endpoint.fields),
    });
  }

  setEntry(name: string, value: string | undefined): void {
    const { [name]: _, ...others } = this.#state.entries;
    this.set({ entries: value === undefined ? others : { ...others, [name]: value } });
  }

  applyPreset(parameters: Parameters): void {
    const { seed } = this.#state.entries;
    this.fill(parameters);
    if (seed !== undefined) this.setEntry("seed", seed);
  }

  /** The body of the request; undefined while the form has a fault. */
  body(): GenerateBody | undefined {
    const { body, problems } = this.form();
    return Object.keys(problems).length > 0 ? undefined : { ...body, input: this.#state.prompt };
  }

  form(): ReturnType<typeof bodyOf> {
    const { facts, mode, entries } = this.#state;
    const endpoint = endpointOf(this.#state);
    if (!facts || !endpoint) return { body: {}, problems: {} };
    const { body, problems } = bodyOf(facts, endpoint.fields, mode, entries);
    const isFirst = facts.endpoints[0]?.name === endpoint.name;
    return { body: isFirst ? body : { endpoint: endpoint.name, ...body }, problems };
  }

  generate(): void {
    const body = this.body();
    if (body) void this.#run(body);
    else this.set({ announcement: "Some parameters are wrong; see their boxes." });
  }

  /** Sends the same request again, with its seed or a fresh one. */
  regenerate(run: Run, seed: "same" | "new"): void {
    const { seed: _, ...body } = run.body;
    const same = run.start?.seed ?? run.body.seed;
    void this.#run(seed === "same" && same !== undefined ? { ...body, seed: same } : body, run.origin);
  }

  stop(): void {
    this.#running?.abort();
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Continues after a token, or after others that replace it. */
  branch(run: Run, { sequence, token }: Selection, inItsPlace?: readonly number[]): void {
    const kept = inItsPlace
      ? [...idsUpTo(run, sequence, token - 1), ...inItsPlace]
      : idsUpTo(run, sequence, token);
    const endpoint = endpointOf(this.#state);
    if (!endpoint) return;
    const body = continuation(run.body, kept, run.start?.prompt.length ?? 0, endpoint);
    const what = inItsPlace ? "another token" : "more";
    void this.#run(body, `text ${sequence + 1} with ${what} at token ${token + 1}`);
  }

  /** Continues with a text that replaces a token. */
  async replace(run: Run, selection: Selection, text: string): Promise<void> {
    try {
      const { endpoint } = this.#state;
      const { tokens } = await server.tokenize({ endpoint, input: text });
      this.branch(
        run,
        selection,
        tokens.map(({ id }) => id),
      );
    } catch (error) {
      this.fail(error);
    }
  }

  show(id: number): void {
    this.set({ shownRun: id, selection: undefined });
  }

  remember(entry: HistoryEntry): void {
    this.set({ history: addToHistory(localStorage, entry) });
  }

  forget(): void {
    clearHistory(localStorage);
    this.set({ history: [], announcement: "The history is empty." });
  }

  async #run(body: GenerateBody, origin?: string): Promise<void> {
    this.stop();
    const aborter = new AbortController();
    this.#running = aborter;
    const run = newRun(++this.#lastId, body, origin);
    const runs = [...this.#state.runs, run].slice(-RUNS_MAX);
    this.set({
      runs,
      shownRun: run.id,
      selection: undefined,
      failure: undefined,
      announcement: "Generating.",
    });
    const batch = new FrameBatch((events) => this.#change(run.id, (now) => events.reduce(withEvent, now)));
    try {
      for await (const event of generate(body, aborter.signal)) batch.add(event);
      batch.flush();
    } catch (error) {
      batch.flush();
      this.#change(run.id, (now) => ({ ...now, status: aborter.signal.aborted ? "stopped" : "failed" }));
      if (aborter.signal.aborted) this.set({ announcement: "Stopped." });
      else this.fail(error);
    } finally {
      if (this.#running === aborter) this.#running = undefined;
      this.#finished(run.id);
    }
  }

  #change(id: number, change: (run: Run) => Run): void {
    this.set({ runs: this.#state.runs.map((run) => (run.id === id ? change(run) : run)) });
  }

  #finished(id: number): void {
    const run = this.#state.runs.find((other) => other.id === id);
    if (!run?.start) return;
    const { start, end } = run;
    this.remember({
      at: Date.now(),
      body: { ...run.body, seed: start.seed },
      prompt: start.text,
      beginning: textOf(run, 0).slice(start.text.length),
    });
    if (end)
      this.set({ announcement: `Done: ${end.sequences.length} texts, ${end.generatedTokens} new tokens.` });
  }
}

/** Events arrive faster than a screen shows them, so they are applied together, once per frame. */
class FrameBatch {
  readonly #apply: (events: readonly PlaygroundEvent[]) => void;
  #events: PlaygroundEvent[] = [];
  #isAsked = false;

  constructor(apply: (events: readonly PlaygroundEvent[]) => void) {
    this.#apply = apply;
  }

  add(event: PlaygroundEvent): void {
    this.#events.push(event);
    if (this.#isAsked) return;
    this.#isAsked = true;
    // A hidden page gets no animation frames.
    if (document.hidden) setTimeout(() => this.flush(), 100);
    else requestAnimationFrame(() => this.flush());
  }

  flush(): void {
    const events = this.#events;
    this.#events = [];
    this.#isAsked = false;
    if (events.length > 0) this.#apply(events);
  }
}

function defaultMode(state: PageState): string {
  const mode = endpointOf(state)?.fields.find(({ name }) => name === "mode")?.default;
  return String(mode ?? state.facts?.modes[0]?.name ?? "");
}
