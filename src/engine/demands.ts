// Works out what each running request wants from the next pass. How the room is shared out is in `pass-plan.ts`.
import type { BackendLimits } from "../model/backend.ts";
import type { PagePool } from "./page-pool.ts";
import type { Demand } from "./pass-plan.ts";
import {
  isReading,
  owed,
  readsWithRows,
  type Sequence,
  type SequenceGroup,
  scoreOptions,
} from "./sequence.ts";

/**
 * The demand of each group, in the order of the groups. If several prompts would fill the same page next, only the first one
 * computes it. The others wait a pass and then find the page in the prefix cache.
 */
export function demandsOf(
  running: readonly SequenceGroup[],
  pool: PagePool,
  { pagePositions }: BackendLimits,
): Demand[] {
  const pages = new Set<string>();
  return running.map((group) => {
    const demand = demandOf(group);
    const page = isReading(group) && pool.keepsPages ? nextPage(group, pagePositions) : undefined;
    if (page === undefined) return demand;
    const isFollower = pages.has(page.name) && page.isUntouched;
    pages.add(page.name);
    return isFollower ? { ...demand, promptTokens: 0, rows: 0 } : demand;
  });
}

/** The page that a prompt will fill next, named by what the prefix cache would find it by. Undefined: it cannot be found. */
function nextPage(
  group: SequenceGroup,
  pagePositions: number,
): { readonly name: string; readonly isUntouched: boolean } | undefined {
  const { tokenIds, numComputed, pages } = group.live[0] as Sequence;
  const first = Math.floor(numComputed / pagePositions) * pagePositions;
  const ahead = readsWithRows(group) ? group.pageAhead : undefined;
  const begin = ahead === undefined ? first : first + pagePositions;
  if (begin + pagePositions >= tokenIds.length) return undefined;
  const own = tokenIds.slice(begin, begin + pagePositions);
  // A prompt that wants scores does not wait for one that computes the page without scores.
  const { numTop, hasRank } = scoreOptions(group);
  const kind = readsWithRows(group) ? `${numTop},${hasRank}:` : "";
  const name = `${kind}${ahead ?? pages[begin / pagePositions - 1] ?? ""}:${own.join()}`;
  return { name, isUntouched: first === numComputed };
}

function demandOf(group: SequenceGroup): Demand {
  const { request, strategy, live, waited } = group;
  // A prompt of which all logits are wanted needs a row for each token, like sequences that advance independently.
  if (readsWithRows(group)) {
    const rows = owed(live[0] as Sequence);
    return { rows, together: false, waited, promptTokens: 0, client: request.client };
  }
  const promptTokens = isReading(group) ? owed(live[0] as Sequence) : 0;
  const rows = promptTokens > 0 ? 0 : live.length;
  const together = strategy.together && rows > 0;
  return { rows, together, waited, promptTokens, client: request.client };
}
