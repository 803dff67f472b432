// What each client holds of the queue: its open requests, and the tokens of those that wait. It decides nothing, and keeps
// nothing of a client that holds nothing.

export interface Share {
  readonly client: string;
  /** By which the engine knows the client; the id of its first open request. */
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

  /** Counts a request that waits; answers the number of its client, `id` if that had none. */
  add(client: string, id: number, numTokens: number): number {
    const known = this.#shares.get(client);
    const share = known ?? { client, number: id, numOpen: 0, numWaiting: 0, waitingTokens: 0 };
    share.numOpen += 1;
    this.#shares.set(client, share);
    this.#wait(share, 1, numTokens);
    return share.number;
  }

  /** A request of the client waits no longer: it runs. */
  start(client: string, numTokens: number): void {
    const share = this.#shares.get(client);
    if (share) this.#wait(share, -1, -numTokens);
  }

  /** A request is open no longer; `waitingTokens`: its tokens if it was still waiting. */
  remove(client: string, waitingTokens: number | undefined): void {
    const share = this.#shares.get(client);
    if (!share) return;
    if (waitingTokens !== undefined) this.#wait(share, -1, -waitingTokens);
    share.numOpen -= 1;
    if (share.numOpen === 0) this.#shares.delete(client);
  }

  /** Of the other clients with a request that waits, the one with most open requests. */
  mostOpen(except: string): Readonly<Share> | undefined {
    return this.#most(except, ({ numOpen }) => numOpen);
  }

  /** Of the other clients, the one whose waiting requests have most tokens. */
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
