// How many pages each client holds, counted by the reservations of its running requests.
import type { SequenceGroup } from "./sequence.ts";

/** Whether a client holds more than an equal share: the number of pages divided by that of running clients, itself included. */
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
