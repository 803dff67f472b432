// Draws a beam search as a tree: a column for each step, the path of the best text in the accent colour, finished and dropped candidates,
// and tokens that the n-gram ban forbade.
import { useMemo, useState } from "preact/hooks";
import type { Token } from "../../dialects/playground/events.ts";
import { type BeamTree, beamTree, type TreeNode } from "../logic/beam-tree.ts";
import type { Run } from "../logic/run.ts";
import { inOneLine } from "../logic/visible-text.ts";
import { TokenName } from "./parts.tsx";

const COLUMN = 118;
const ROW = 40;
const BOX = { width: 96, height: 32 };
const ROOT = 64;
/** Steps in one drawing. A longer tree is shown in parts. */
const STEPS = 40;

export function BeamView({ run }: { readonly run: Run }) {
  const [showsDropped, setShowsDropped] = useState(false);
  const [chosen, setChosen] = useState<string>();
  const [part, setPart] = useState(0);
  const tree = useMemo(() => beamTree(run.beams, showsDropped), [run.beams, showsDropped]);
  const numParts = Math.ceil(tree.numColumns / STEPS);
  const node = tree.nodes.find(({ key }) => key === chosen);
  return (
    <section class="beams" aria-label="The search as a tree">
      <header>
        <h3>The search</h3>
        <small>
          {tree.numColumns} steps, {tree.nodes.filter(({ kind }) => kind === "ended").length} ended
        </small>
        <label class="as-table">
          <input type="checkbox" checked={showsDropped} onChange={() => setShowsDropped(!showsDropped)} />
          Show what was dropped
        </label>
        {numParts > 1 && (
          <label class="part-of">
            Steps{" "}
            <select value={part} onChange={(event) => setPart(Number(event.currentTarget.value))}>
              {Array.from({ length: numParts }, (_, i) => (
                <option key={i} value={i}>
                  {i * STEPS + 1} – {Math.min((i + 1) * STEPS, tree.numColumns)}
                </option>
              ))}
            </select>
          </label>
        )}
      </header>
      <Tree tree={tree} from={Math.min(part, numParts - 1) * STEPS} chosen={chosen} choose={setChosen} />
      <Banned what="The prompt" tokens={tree.bannedFirst} />
      {node ? (
        <NodeFacts node={node} />
      ) : (
        <p class="help">Choose a box to see its scores and what could not follow it.</p>
      )}
    </section>
  );
}

interface TreeProps {
  readonly tree: BeamTree;
  readonly from: number;
  readonly chosen: string | undefined;
  readonly choose: (key: string) => void;
}

function Tree({ tree, from, chosen, choose }: TreeProps) {
  const shown = tree.nodes.filter(({ column }) => column >= from && column < from + STEPS);
  const numColumns = Math.min(STEPS, tree.numColumns - from);
  const numRows = Math.max(1, ...shown.map(({ row }) => row + 1));
  const width = ROOT + numColumns * COLUMN;
  const height = numRows * ROW + 12;
  const x = (column: number): number => ROOT + (column - from) * COLUMN;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keyboard users must be able to scroll this
    <section class="tree-box" tabIndex={0} aria-label="Steps from left to right, beams from top to bottom">
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
        <title>The search as a tree</title>
        {shown.map((node) => (
          <path
            key={node.key}
            class={node.isOnPath ? "edge on-path" : `edge ${node.kind}`}
            d={edge(node, x, from)}
          />
        ))}
        {from === 0 && (
          <g>
            <circle class="root" cx={18} cy={ROW / 2 + 6} r={6} />
            <text class="root-name" x={8} y={ROW / 2 + 28}>
              {tree.bannedFirst.length > 0 && "⊘ "}prompt
            </text>
          </g>
        )}
        {shown.map((node) => (
          <Box
            key={node.key}
            node={node}
            left={x(node.column)}
            isChosen={node.key === chosen}
            choose={choose}
          />
        ))}
      </svg>
    </section>
  );
}

const middle = (row: number): number => 6 + row * ROW + ROW / 2;

/** The line from the right edge of the parent to the left edge of the node. */
function edge({ parent, column, row }: TreeNode, x: (column: number) => number, from: number): string {
  const isInside = parent && parent.column >= from;
  const left = isInside ? x(parent.column) + BOX.width : parent ? 0 : 24;
  const top = middle(parent?.row ?? 0);
  const right = x(column);
  const bend = (left + right) / 2;
  return `M${left},${top} C${bend},${top} ${bend},${middle(row)} ${right},${middle(row)}`;
}

function Box(props: {
  readonly node: TreeNode;
  readonly left: number;
  readonly isChosen: boolean;
  readonly choose: (key: string) => void;
}) {
  const { node, left, isChosen, choose } = props;
  const top = middle(node.row) - BOX.height / 2;
  const name = shortened(inOneLine(node.token.name));
  const marks = `${node.kind === "ended" ? "■ " : ""}${node.banned.length > 0 ? "⊘ " : ""}`;
  const classes = ["node", node.kind, node.isOnPath ? "on-path" : "", isChosen ? "chosen" : ""];
  return (
    // biome-ignore lint/a11y/useSemanticElements: SVG has no buttons
    <g
      class={classes.filter(Boolean).join(" ")}
      role="button"
      tabindex={0}
      aria-pressed={isChosen}
      onClick={() => choose(node.key)}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose(node.key);
      }}
    >
      <title>{`${inOneLine(node.token.name)}, step ${node.column + 1}, ${fateOf(node)}, score ${node.score.toFixed(2)}`}</title>
      <rect x={left} y={top} width={BOX.width} height={BOX.height} rx={5} />
      <text x={left + 7} y={top + 14} class="name">
        {marks}
        {name}
      </text>
      <text x={left + 7} y={top + 26} class="score">
        {node.score.toFixed(2)}
      </text>
    </g>
  );
}

const NAME_CHARACTERS = 12;

function shortened(name: string): string {
  const characters = [...name];
  return characters.length > NAME_CHARACTERS ? `${characters.slice(0, NAME_CHARACTERS - 1).join("")}…` : name;
}

function fateOf({ kind, isKept }: TreeNode): string {
  if (kind === "beam") return "goes on";
  if (kind === "dropped") return "dropped: others scored higher";
  return isKept ? "ended, among the best so far" : "ended, not among the best";
}

function NodeFacts({ node }: { readonly node: TreeNode }) {
  return (
    <div class="node-facts">
      <p>
        <TokenName token={node.token} /> in step {node.column + 1}: {fateOf(node)}. Sum of log-probabilities{" "}
        <b>{node.score.toFixed(4)}</b>
        {node.normalised !== undefined && (
          <>
            , by length <b>{node.normalised.toFixed(4)}</b>
          </>
        )}
        .
      </p>
      <Banned what="It" tokens={node.banned} />
    </div>
  );
}

function Banned({ what, tokens }: { readonly what: string; readonly tokens: readonly Token[] }) {
  if (tokens.length === 0) return null;
  return (
    <p>
      ⊘ {what} could not be followed by{" "}
      {tokens.map((token, index) => (
        <span key={token.id}>
          {index > 0 && ", "}
          <s>
            <TokenName token={token} />
          </s>
        </span>
      ))}
      .
    </p>
  );
}
