// The prompt: its text, its number of tokens, and on demand each token with its id.
import { useState } from "preact/hooks";
import type { Token } from "../../dialects/playground/events.ts";
import { GrowingTextarea, TokenName, useLater } from "./parts.tsx";
import { server } from "./server.ts";
import { endpointOf } from "./state.ts";
import type { ViewProps } from "./view-props.ts";

/** Most tokens that are listed. All are counted. */
const PIECES_MAX = 2000;

export function Prompt({ state, actions }: ViewProps) {
  const [tokens, setTokens] = useState<readonly Token[]>([]);
  const [isOpen, setOpen] = useState(false);
  const { prompt, endpoint, facts } = state;
  useLater(
    async (signal) => {
      if (!facts) return;
      try {
        setTokens((await server.tokenize({ endpoint, input: prompt }, signal)).tokens);
      } catch (error) {
        if (!signal.aborted) actions.fail(error);
      }
    },
    [prompt, endpoint, facts],
    120,
  );
  const context = endpointOf(state)?.contextLength;
  const special = tokens.filter((token) => token.special).length;
  return (
    <div class="prompt">
      <GrowingTextarea
        id="prompt"
        label="Prompt"
        value={prompt}
        onValue={(value) => actions.set({ prompt: value })}
        describedBy="prompt-count"
      />
      <p class="under" id="prompt-count">
        <span>
          {tokens.length} {tokens.length === 1 ? "token" : "tokens"}
          {context && ` of ${context}`}
          {special > 0 && `, ${special} special`}
        </span>
        <button
          type="button"
          class="link"
          aria-expanded={isOpen}
          aria-controls="pieces"
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? "Hide pieces" : "Show pieces and ids"}
        </button>
      </p>
      {isOpen && (
        <ol class="pieces" id="pieces" aria-label="Tokens of the prompt">
          {tokens.slice(0, PIECES_MAX).map((token, index) => (
            <li key={index}>
              <TokenName token={token} />
              <small>{token.id}</small>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
