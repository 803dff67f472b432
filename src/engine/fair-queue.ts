// A queue in which clients take turns: each turn takes the oldest item of the client whose turn it is. It does not
// know what it holds, and it has no bound of its own.

export class FairQueue<T> {
  /** Items of each client, oldest first; the client whose turn it is stands first. None is empty. */
  readonly #clients = new Map<number, T[]>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(client: number, item: T): void {
    const items = this.#clients.get(client);
    if (items) items.push(item);
    else this.#clients.set(client, [item]);
    this.#length += 1;
  }

  /** The item whose turn it is; it stays so, whatever is pushed, until it is taken. */
  get head(): T | undefined {
    const [items] = this.#clients.values();
    return items?.[0];
  }

  /** Takes the head; its client goes to the end of the round. */
  shift(): T | undefined {
    const [turn] = this.#clients;
    if (!turn) return undefined;
    const [client, items] = turn;
    const item = items.shift() as T;
    this.#clients.delete(client);
    if (items.length > 0) this.#clients.set(client, items);
    this.#length -= 1;
    return item;
  }

  /** Removes the first item that passes the test, if any. */
  remove(test: (item: T) => boolean): void {
    for (const [client, items] of this.#clients) {
      const place = items.findIndex(test);
      if (place < 0) continue;
      items.splice(place, 1);
      if (items.length === 0) this.#clients.delete(client);
      this.#length -= 1;
      return;
    }
  }
}
