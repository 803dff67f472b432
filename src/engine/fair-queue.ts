// A queue in which clients take turns, weighed by what their items cost: start-time fair queueing (Goyal, Vin and Cheng,
// 1996). The items of one client keep their order. It does not know what it holds, and it has no bound of its own.

/** Clients without anything that waits whose lead is remembered. Who is forgotten has a fresh start, nothing worse. */
const AHEAD_MAX = 100;

interface Entry<T> {
  readonly item: T;
  /** The virtual time at which its service would begin if all clients were served at the same pace. */
  readonly start: number;
}

export class FairQueue<T> {
  /** What each client waits for, oldest first; never empty. */
  readonly #clients = new Map<number, Entry<T>[]>();
  /** When the last item of a client would be served, for clients that are ahead of the others. */
  readonly #finishes = new Map<number, number>();
  /** The start of the item that was taken last. */
  #now = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Clients of which something is kept; for tests. */
  get numRemembered(): number {
    return new Set([...this.#clients.keys(), ...this.#finishes.keys()]).size;
  }

  /** `cost` is in any unit that is the same for all items, and above 0. */
  push(client: number, item: T, cost: number): void {
    const start = Math.max(this.#now, this.#finishes.get(client) ?? 0);
    this.#finishes.set(client, start + cost);
    const entry = { item, start };
    const known = this.#clients.get(client);
    if (known) known.push(entry);
    else this.#clients.set(client, [entry]);
    this.#length += 1;
  }

  /** The item whose turn it is. A later push of another client can take its place. */
  get head(): T | undefined {
    return this.#next()?.[0]?.item;
  }

  /** Takes the head. */
  shift(): T | undefined {
    return this.take(() => true);
  }

  /** Takes the first item that passes the test, by turn of the clients and then by age. */
  take(test: (item: T) => boolean): T | undefined {
    const inTurn = [...this.#clients].sort(([, a], [, b]) => startOf(a) - startOf(b));
    for (const [client, entries] of inTurn) {
      const place = entries.findIndex(({ item }) => test(item));
      if (place < 0) continue;
      const [{ item, start }] = entries.splice(place, 1) as [Entry<T>];
      this.#now = Math.max(this.#now, start);
      // Of clients with the same start, the one served longest ago is next.
      this.#clients.delete(client);
      this.#clients.set(client, entries);
      this.#forget(client, entries);
      return item;
    }
    return undefined;
  }

  /** Removes the first item that passes the test, if any; its client does not get its turn back. */
  remove(test: (item: T) => boolean): void {
    for (const [client, entries] of this.#clients) {
      const place = entries.findIndex(({ item }) => test(item));
      if (place < 0) continue;
      entries.splice(place, 1);
      this.#forget(client, entries);
      return;
    }
  }

  #next(): Entry<T>[] | undefined {
    let next: Entry<T>[] | undefined;
    for (const entries of this.#clients.values()) {
      if (next === undefined || startOf(entries) < startOf(next)) next = entries;
    }
    return next;
  }

  /** Forgets clients that wait for nothing and are not ahead; of those that are ahead it remembers a fixed number. */
  #forget(client: number, entries: readonly Entry<T>[]): void {
    this.#length -= 1;
    if (entries.length === 0) this.#clients.delete(client);
    if (this.#length === 0) {
      this.#finishes.clear();
      this.#now = 0;
      return;
    }
    for (const [each, finish] of this.#finishes) {
      if (this.#clients.has(each)) continue;
      if (finish <= this.#now || this.#finishes.size > this.#clients.size + AHEAD_MAX)
        this.#finishes.delete(each);
    }
  }
}

function startOf<T>(entries: readonly Entry<T>[]): number {
  return (entries[0] as Entry<T>).start;
}
