// Counts what each client has in the queue: its open requests, and the tokens of those that wait. It only counts; decisions are
// in `open-requests.ts`. A client without open requests is forgotten.

export interface Share {
  readonly client: string;
  /** The client's number in the engine: the id of its first open request. */
  readonly number: number;
  numOpen: number;
  numWaiting: number;
  waitingTokens: number;
}

export class ClientShares {
  readonly #shares = new Map<string, Share>();
  #numWaiting = 0;
  #waitingTokens = 0;

  get numWaiting(): number {
    return this.#numWaiting;
  }

  get waitingTokens(): number {
    return this.#waitingTokens;
  }

  of(client: string): Readonly<Share> {
    return this.#shares.get(client) ?? { client, number: 0, numOpen: 0, numWaiting: 0, waitingTokens: 0 };
  }

  /** Counts a waiting request and returns its client's number. A new client gets the number `id`. */
  add(client: string, id: number, numTokens: number): number {
    const known = this.#shares.get(client);
    const share = known ?? { client, number: id, numOpen: 0, numWaiting: 0, waitingTokens: 0 };
    share.numOpen += 1;
    this.#shares.set(client, share);
    this.#wait(share, 1, numTokens);
    return share.number;
  }

  /** Counts a waiting request of the client as running. */
  start(client: string, numTokens: number): void {
    const share = this.#shares.get(client);
    if (share) this.#wait(share, -1, -numTokens);
  }

  /** Stops counting a request. `waitingTokens`: its tokens, if it was still waiting. */
  remove(client: string, waitingTokens: number | undefined): void {
    const share = this.#shares.get(client);
    if (!share) return;
    if (waitingTokens !== undefined) this.#wait(share, -1, -waitingTokens);
    share.numOpen -= 1;
    if (share.numOpen === 0) this.#shares.delete(client);
  }

  /** Among the other clients with a waiting request, the one with the most open requests. */
  mostOpen(except: string): Readonly<Share> | undefined {
    return this.#most(except, ({ numOpen }) => numOpen);
  }

  /** Among the other clients, the one whose waiting requests have the most tokens. */
  mostTokens(except: string): Readonly<Share> | undefined {
    return this.#most(except, ({ waitingTokens }) => waitingTokens);
  }

  #most(except: string, measure: (share: Share) => number): Share | undefined {
    let most: Share | undefined;
    for (const share of this.#shares.values()) {
      if (share.client === except || share.numWaiting === 0) continue;
      if (most === undefined || measure(share) > measure(most)) most = share;
    }
    return most;
  }

  #wait(share: Share, count: number, tokens: number): void {
    share.numWaiting += count;
    share.waitingTokens += tokens;
    this.#numWaiting += count;
    this.#waitingTokens += tokens;
  }
}
