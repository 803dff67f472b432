// Lets long work yield: between two parts of it the event loop serves everybody else.

/** Resolves after the event loop has run the callbacks that are due now. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
