// The state of the page, and the only place that changes it. Views read the state and call actions. They keep only local state, such as
// the token under the pointer.
import type { Facts, Refusal } from "../../dialects/playground/events.ts";
import type { Entries } from "../logic/form.ts";
import type { Measure } from "../logic/heat.ts";
import type { HistoryEntry } from "../logic/history.ts";
import type { Run } from "../logic/run.ts";

export type ViewName = "write" | "next" | "score" | "history";

export interface Selection {
  readonly sequence: number;
  /** Index among the new tokens. */
  readonly token: number;
}

export interface PageState {
  readonly view: ViewName;
  readonly facts: Facts | undefined;
  readonly endpoint: string;
  readonly prompt: string;
  readonly mode: string;
  readonly entries: Entries;
  /** Oldest first. */
  readonly runs: readonly Run[];
  readonly shownRun: number;
  readonly selection: Selection | undefined;
  readonly measure: Measure;
  readonly isTable: boolean;
  readonly history: readonly HistoryEntry[];
  readonly failure: Refusal["error"] | undefined;
  /** The latest event, announced to screen readers. */
  readonly announcement: string;
}

export const FIRST_STATE: PageState = {
  view: "write",
  facts: undefined,
  endpoint: "",
  prompt: "The old man looked at the sea and",
  mode: "",
  entries: {},
  runs: [],
  shownRun: 0,
  selection: undefined,
  measure: "probability",
  isTable: false,
  history: [],
  failure: undefined,
  announcement: "",
};

export class Store {
  #state = FIRST_STATE;
  readonly #listeners = new Set<() => void>();

  get state(): PageState {
    return this.#state;
  }

  set(change: Partial<PageState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The visible run, if there is one. */
export function shownRun({ runs, shownRun: id }: PageState): Run | undefined {
  return runs.find((run) => run.id === id);
}

export type EndpointFacts = Facts["endpoints"][number];

export function endpointOf({
  facts,
  endpoint,
}: Pick<PageState, "facts" | "endpoint">): EndpointFacts | undefined {
  return facts?.endpoints.find(({ name }) => name === endpoint) ?? facts?.endpoints[0];
}
