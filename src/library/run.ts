// Work whose result can be awaited, or read piece by piece while it is made. It begins when it is first awaited or iterated.

/** The work. `onPiece` is given if the caller iterates. `stopped` is aborted if the caller leaves the loop. */
type Work<Result, Piece> = (
  onPiece: ((piece: Piece) => void) | undefined,
  stopped: AbortSignal,
) => Promise<Result>;

/** Await it for the whole result, or iterate over it for the pieces. After the iteration the result is ready too. */
export class Run<Result, Piece> implements PromiseLike<Result>, AsyncIterable<Piece> {
  readonly #work: Work<Result, Piece>;
  readonly #stopped = new AbortController();
  #result: Promise<Result> | undefined;

  constructor(work: Work<Result, Piece>) {
    this.#work = work;
  }

  // biome-ignore lint/suspicious/noThenProperty: this class is made to be awaited.
  then<A = Result, B = never>(
    onResult?: ((result: Result) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#result ??= this.#work(undefined, this.#stopped.signal);
    return this.#result.then(onResult, onError);
  }

  /** The pieces; they can be read once. A slow reader makes at most the whole answer wait in memory. */
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
      await this.#result; // Throws the work's error to the reader.
    } finally {
      this.#stopped.abort();
    }
  }
}
