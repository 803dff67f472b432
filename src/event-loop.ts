// Lets long work yield to the event loop between two of its parts, so that other requests are served.

/** Resolves after the event loop has run the callbacks that are due now. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
