// What each running request wants of the next pass.
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
 * The demand of each group, in their order. Of prompts that would fill the same page next, the first alone reads on: the
 * others find the page afterwards.
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

/** The page that a prompt is about to fill, by what makes it findable; undefined when it will not be found. */
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
  // Who wants scores waits for nobody who computes the page without them.
  const { numTop, hasRank } = scoreOptions(group);
  const kind = readsWithRows(group) ? `${numTop},${hasRank}:` : "";
  const name = `${kind}${ahead ?? pages[begin / pagePositions - 1] ?? ""}:${own.join()}`;
  return { name, isUntouched: first === numComputed };
}

function demandOf(group: SequenceGroup): Demand {
  const { request, strategy, live, waited } = group;
  // A prompt of which all logits are wanted needs rows, as sequences do that go on each by itself.
  if (readsWithRows(group)) {
    const rows = owed(live[0] as Sequence);
    return { rows, together: false, waited, promptTokens: 0, client: request.client };
  }
  const promptTokens = isReading(group) ? owed(live[0] as Sequence) : 0;
  const rows = promptTokens > 0 ? 0 : live.length;
  const together = strategy.together && rows > 0;
  return { rows, together, waited, promptTokens, client: request.client };
}
