// Tokens as a table, with the numbers behind the tints, for reading, screen readers and copying.
import { useState } from "preact/hooks";
import type { TracedToken } from "../../dialects/playground/events.ts";
import { percent, surpriseBits } from "../logic/heat.ts";
import { TokenName } from "./parts.tsx";

/** Rows shown at first. More are shown on demand. */
const ROWS = 200;

interface TokenTableProps {
  readonly tokens: readonly TracedToken[];
  readonly selected: number | undefined;
  readonly onSelect: (index: number) => void;
}

export function TokenTable({ tokens, selected, onSelect }: TokenTableProps) {
  const [numRows, setNumRows] = useState(ROWS);
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard */}
      <section class="table-box" tabIndex={0} aria-label="Tokens as a table">
        <table class="token-table">
          <thead>
            <tr>
              <th scope="col">#</th>
              <th scope="col">token</th>
              <th scope="col">id</th>
              <th scope="col">probability</th>
              <th scope="col">surprise</th>
              <th scope="col">rank</th>
            </tr>
          </thead>
          <tbody>
            {tokens.slice(0, numRows).map((token, index) => (
              <tr key={index} class={selected === index ? "own" : undefined}>
                <td>{index + 1}</td>
                <th scope="row">
                  <button type="button" class="pick" onClick={() => onSelect(index)}>
                    <TokenName token={token} />
                  </button>
                </th>
                <td>{token.id}</td>
                <td>{token.logprob === null ? "–" : percent(Math.exp(token.logprob))}</td>
                <td>{token.logprob === null ? "–" : surpriseBits(token.logprob).toFixed(2)}</td>
                <td>{token.rank ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {tokens.length > numRows && (
        <button type="button" class="quiet" onClick={() => setNumRows(numRows + ROWS)}>
          Show {Math.min(ROWS, tokens.length - numRows)} more
        </button>
      )}
    </>
  );
}
