// The view that scores a text, token by token.
import { useState } from "preact/hooks";
import type { Scored } from "../../dialects/playground/events.ts";
import { enterGlass, Glass, leaveGlass } from "./glass.tsx";
import { Inspector } from "./inspector.tsx";
import { Legend } from "./legend.tsx";
import { FactList, GrowingTextarea, useKeys } from "./parts.tsx";
import { SequenceText } from "./sequence-text.tsx";
import { server } from "./server.ts";
import { TokenTable } from "./token-table.tsx";
import type { ViewProps } from "./view-props.ts";

interface Result {
  readonly scored: Scored;
  readonly numBytes: number;
}

const HELP = "Point at a token of the scored text to see what was expected in its place.";

export function ScoreView({ state, actions }: ViewProps) {
  const [text, setText] = useState(state.prompt);
  const [result, setResult] = useState<Result>();
  const [isBusy, setBusy] = useState(false);
  const [selected, setSelected] = useState<number>();
  const [hovered, setHovered] = useState<number>();
  const canScore = !isBusy && state.facts !== undefined;
  const score = async (): Promise<void> => {
    setBusy(true);
    try {
      const scored = await server.score({ endpoint: state.endpoint, input: text });
      setResult({ scored, numBytes: new TextEncoder().encode(text).length });
      setSelected(undefined);
      actions.set({ failure: undefined, announcement: `Perplexity ${scored.perplexity ?? "unknown"}.` });
    } catch (error) {
      actions.fail(error);
    }
    setBusy(false);
  };
  const close = (): void => {
    leaveGlass();
    setSelected(undefined);
  };
  useKeys({ submit: canScore ? () => void score() : undefined, close });
  const shown = hovered ?? selected;
  const token = shown === undefined ? undefined : result?.scored.tokens[shown];
  return (
    <div class="write scoring">
      <div class="paper">
        <GrowingTextarea id="score-text" label="Text to be scored" value={text} onValue={setText} />
        <div class="buttons">
          <button type="button" class="primary" disabled={!canScore} onClick={() => void score()}>
            Score <kbd>Ctrl ↵</kbd>
          </button>
        </div>
        {result && (
          <Scoring
            state={state}
            actions={actions}
            result={result}
            selected={selected}
            select={setSelected}
            hover={setHovered}
          />
        )}
      </div>
      <Glass isPinned={selected !== undefined} help={HELP}>
        {token && (
          <Inspector
            key={shown}
            token={token}
            place={`token ${(shown ?? 0) + 1}`}
            close={selected === undefined ? undefined : close}
          />
        )}
      </Glass>
    </div>
  );
}

interface ScoringProps extends ViewProps {
  readonly result: Result;
  readonly selected: number | undefined;
  readonly select: (index: number) => void;
  readonly hover: (index: number | undefined) => void;
}

function Scoring({ state, actions, result, selected, select, hover }: ScoringProps) {
  const { tokens } = result.scored;
  return (
    <section class="run" aria-label="The scored text">
      <Summary {...result} />
      <Legend state={state} actions={actions} />
      <article class="sequence">
        {state.isTable ? (
          <TokenTable tokens={tokens} selected={selected} onSelect={select} />
        ) : (
          <SequenceText
            id="scored"
            label="Tokens of the text"
            tokens={tokens}
            measure={state.measure}
            selected={selected}
            onSelect={select}
            onHover={hover}
            onOpen={enterGlass}
          />
        )}
      </article>
    </section>
  );
}

function Summary({ scored: { tokens, logprob, perplexity }, numBytes }: Result) {
  const bits = -logprob / Math.LN2;
  const numScored = tokens.length - 1;
  const facts: readonly (readonly [string, string])[] =
    perplexity === null
      ? [["tokens", String(tokens.length)]]
      : [
          ["perplexity", Number(perplexity.toPrecision(4)).toLocaleString("en")],
          ["bits per token", (bits / numScored).toFixed(3)],
          ["bits per byte", numBytes > 0 ? (bits / numBytes).toFixed(3) : "–"],
          ["log-probability", logprob.toFixed(3)],
          ["tokens", `${tokens.length}, the first has nothing before it`],
        ];
  return <FactList label="Summary" facts={facts} />;
}
