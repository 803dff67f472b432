// A queue in which clients take turns, weighted by the cost of their items: start-time fair queueing (Goyal, Vin and Cheng,
// 1996). The items of one client keep their order. The queue does not know what its items are, and has no limit of its own.

/**
 * For how many clients without waiting items the queue remembers that they are ahead of the others. A client that is
 * forgotten just starts afresh.
 */
const AHEAD_MAX = 100;

interface Entry<T> {
  readonly item: T;
  /** The virtual time at which its service would begin if all clients were served at the same rate. */
  readonly start: number;
}

export class FairQueue<T> {
  /** The waiting items of each client, oldest first. No list is empty. */
  readonly #clients = new Map<number, Entry<T>[]>();
  /** For each client that is ahead of the others: the virtual time at which its last item is finished. */
  readonly #finishes = new Map<number, number>();
  /** The virtual time: the start of the last item taken. */
  #now = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Number of clients about which anything is stored. For tests. */
  get numRemembered(): number {
    return new Set([...this.#clients.keys(), ...this.#finishes.keys()]).size;
  }

  /** `cost`: above 0, in any unit that is the same for all items. */
  push(client: number, item: T, cost: number): void {
    const start = Math.max(this.#now, this.#finishes.get(client) ?? 0);
    this.#finishes.set(client, start + cost);
    const entry = { item, start };
    const known = this.#clients.get(client);
    if (known) known.push(entry);
    else this.#clients.set(client, [entry]);
    this.#length += 1;
  }

  /** The item whose turn it is. A later push by another client may come before it. */
  get head(): T | undefined {
    return this.#next()?.[0]?.item;
  }

  /** Removes and returns the head. */
  shift(): T | undefined {
    return this.take(() => true);
  }

  /** Removes and returns the first item that passes the test, in the order of the clients' turns and then of age. */
  take(test: (item: T) => boolean): T | undefined {
    const inTurn = [...this.#clients].sort(([, a], [, b]) => startOf(a) - startOf(b));
    for (const [client, entries] of inTurn) {
      const place = entries.findIndex(({ item }) => test(item));
      if (place < 0) continue;
      const [{ item, start }] = entries.splice(place, 1) as [Entry<T>];
      this.#now = Math.max(this.#now, start);
      // Of clients with the same start, the one that was served longest ago is next.
      this.#clients.delete(client);
      this.#clients.set(client, entries);
      this.#forget(client, entries);
      return item;
    }
    return undefined;
  }

  /** Removes the first item that passes the test, if there is one. Its client does not get its turn back. */
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

  /** Forgets clients that have no waiting items and are not ahead. Of those that are ahead it remembers a limited number. */
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
