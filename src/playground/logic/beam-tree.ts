// Lays the steps of a beam search out as a tree: a column for each step, a row for each candidate. It shows which candidates were kept,
// finished or dropped, and the paths of the answers. Positions are columns and rows, not pixels.
import type { Alternative, BeamStep, Token } from "../../dialects/playground/events.ts";

export type NodeKind = "beam" | "ended" | "dropped";

export interface TreeNode {
  readonly key: string;
  readonly kind: NodeKind;
  readonly column: number;
  readonly row: number;
  /** Undefined for the prompt. */
  readonly parent: TreeNode | undefined;
  readonly token: Token;
  readonly score: number;
  /** For a finished candidate: its score divided by its length, and whether it was among the best at that time. */
  readonly normalised?: number;
  readonly isKept?: boolean;
  /** Tokens that were banned after it. */
  readonly banned: readonly Alternative[];
  /** True: it is on the path of the best text, or of a living beam. */
  isOnPath: boolean;
}

export interface BeamTree {
  readonly nodes: readonly TreeNode[];
  readonly numColumns: number;
  /** Tokens that were banned after the prompt. */
  readonly bannedFirst: readonly Alternative[];
}

export function beamTree(steps: readonly BeamStep[], showsDropped: boolean): BeamTree {
  const nodes: TreeNode[] = [];
  let beams: TreeNode[] = [];
  for (const [column, step] of steps.entries()) {
    const candidates = [
      ...step.beams.map((candidate) => ({ ...candidate, kind: "beam" as const })),
      ...step.ended.map((candidate) => ({ ...candidate, kind: "ended" as const })),
      ...(showsDropped ? step.dropped.map((candidate) => ({ ...candidate, kind: "dropped" as const })) : []),
    ];
    const next = steps[column + 1];
    const placed = candidates.map(({ parent, ...candidate }, row): TreeNode => {
      const banned =
        candidate.kind === "beam" ? next?.banned.find(({ beam }) => beam === row)?.tokens : undefined;
      return {
        key: `${column}.${row}`,
        column,
        row,
        parent: beams[parent],
        banned: banned ?? [],
        isOnPath: false,
        ...candidate,
      };
    });
    nodes.push(...placed);
    beams = placed.filter(({ kind }) => kind === "beam");
  }
  markPaths(nodes, beams);
  return {
    nodes,
    numColumns: steps.length,
    bannedFirst: steps[0]?.banned.flatMap(({ tokens }) => tokens) ?? [],
  };
}

/** Marks the path of the best finished text, or of all living beams if none is finished, back to the prompt. */
function markPaths(nodes: readonly TreeNode[], beams: readonly TreeNode[]): void {
  const value = ({ normalised }: TreeNode): number => normalised ?? Number.NEGATIVE_INFINITY;
  const ended = nodes.filter(({ kind, isKept }) => kind === "ended" && isKept);
  const best = ended.toSorted((a, b) => value(b) - value(a)).slice(0, 1);
  for (const leaf of best.length > 0 ? best : beams.slice(0, 1)) {
    for (let node: TreeNode | undefined = leaf; node; node = node.parent) node.isOnPath = true;
  }
}
