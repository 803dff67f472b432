// Work whose result can be awaited, or taken piece by piece while it grows. It begins when somebody asks for either.

/** Does the work. `onPiece` is there when somebody takes pieces; `stopped` is aborted when nobody does any more. */
type Work<Result, Piece> = (
  onPiece: ((piece: Piece) => void) | undefined,
  stopped: AbortSignal,
) => Promise<Result>;

/** Awaited, it is the whole result. Iterated, it gives the pieces, and the result is there when they have come. */
export class Run<Result, Piece> implements PromiseLike<Result>, AsyncIterable<Piece> {
  readonly #work: Work<Result, Piece>;
  readonly #stopped = new AbortController();
  #result: Promise<Result> | undefined;

  constructor(work: Work<Result, Piece>) {
    this.#work = work;
  }

  // biome-ignore lint/suspicious/noThenProperty: being awaited is what it is for.
  then<A = Result, B = never>(
    onResult?: ((result: Result) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#result ??= this.#work(undefined, this.#stopped.signal);
    return this.#result.then(onResult, onError);
  }

  /** The pieces, once. They are bounded by what the request asks for, so that a slow reader holds no more than the answer. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Piece, void> {
    if (this.#result) throw new Error("the work has begun already: its pieces can no longer be taken");
    const pieces: Piece[] = [];
    let wake = (): void => {};
    let isDone = false;
    const onPiece = (piece: Piece): void => {
      pieces.push(piece);
      wake();
    };
    this.#result = this.#work(onPiece, this.#stopped.signal);
    const end = (): void => {
      isDone = true;
      wake();
    };
    this.#result.then(end, end);
    try {
      for (;;) {
        yield* pieces.splice(0);
        if (pieces.length > 0) continue;
        if (isDone) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      await this.#result; // An error of the work is the reader's.
    } finally {
      this.#stopped.abort();
    }
  }
}
