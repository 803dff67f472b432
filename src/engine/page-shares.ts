// What each client holds of the pages of keys and values, counted by what its running requests were promised.
import type { SequenceGroup } from "./sequence.ts";

/** Whether a client holds more than all pages over the number of clients that run, itself included. */
export function holdsMoreThanItsShare(
  client: number,
  running: readonly SequenceGroup[],
  numPages: number,
): boolean {
  const clients = new Set([client]);
  let held = 0;
  for (const { request, reservedPages } of running) {
    clients.add(request.client);
    if (request.client === client) held += reservedPages;
  }
  return held > numPages / clients.size;
}
