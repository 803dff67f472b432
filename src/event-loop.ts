// How work that takes long leaves room for others on the thread that does it.

/** Resolves when everybody else whose turn it is has had it. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
