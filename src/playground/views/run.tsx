// Shows a run: its texts side by side as they come, its speed, and the arrows to other runs.
import { useMemo } from "preact/hooks";
import { loopAtEnd } from "../logic/loops.ts";
import { type Run, type SequenceState, textOf } from "../logic/run.ts";
import { BeamView } from "./beam-view.tsx";
import { enterGlass } from "./glass.tsx";
import { Legend } from "./legend.tsx";
import { CopyButton, FactList } from "./parts.tsx";
import { SequenceText } from "./sequence-text.tsx";
import { endpointOf, type Selection } from "./state.ts";
import { TokenTable } from "./token-table.tsx";
import type { ViewProps } from "./view-props.ts";

export interface RunViewProps extends ViewProps {
  readonly run: Run;
  readonly onHover: (selection: Selection | undefined) => void;
}

/** The element that holds the texts of a run. */
export const TEXTS_ID = "texts";

export function RunView(props: RunViewProps) {
  const { state, actions, run } = props;
  return (
    <section
      class="run"
      id={TEXTS_ID}
      tabIndex={-1}
      aria-label="Texts"
      aria-busy={run.status === "waiting" || run.status === "running"}
    >
      <RunBar {...props} />
      <Legend state={state} actions={actions} />
      {run.status === "waiting" && <Waiting run={run} />}
      {run.status === "failed" && run.error && (
        <p class="wrong" role="alert">
          {run.error.message}
        </p>
      )}
      <div class={run.sequences.length === 1 ? "sequences single" : "sequences"}>
        {run.sequences.map((sequence, index) => (
          <Sequence key={index} {...props} sequence={sequence} index={index} />
        ))}
      </div>
      {run.beams.length > 0 && <BeamView run={run} />}
      <Speed state={state} run={run} />
    </section>
  );
}

function RunBar({ state, actions, run }: RunViewProps) {
  const position = state.runs.indexOf(run);
  const to = (step: number) => state.runs[position + step];
  const move = (step: number, label: string, sign: string) => (
    <button
      type="button"
      class="quiet"
      aria-label={label}
      disabled={!to(step)}
      onClick={() => actions.show((to(step) as Run).id)}
    >
      {sign}
    </button>
  );
  return (
    <div class="run-bar">
      {state.runs.length > 1 && (
        <span class="steps">
          {move(-1, "Earlier run", "‹")}
          <span>
            {position + 1} of {state.runs.length}
          </span>
          {move(1, "Later run", "›")}
        </span>
      )}
      <span class="about">
        {run.origin && `From ${run.origin}. `}
        {run.start && `Seed ${run.start.seed}. `}
        {{ waiting: "", running: "Writing …", done: "", stopped: "Stopped.", failed: "Failed." }[run.status]}
      </span>
    </div>
  );
}

function Waiting({ run }: { readonly run: Run }) {
  const { waiting } = run;
  return (
    <p class="help">
      {waiting
        ? `Waiting: ${waiting.waiting} requests wait, ${waiting.running} run.`
        : "Waiting for the first token …"}
    </p>
  );
}

interface SequenceProps extends RunViewProps {
  readonly sequence: SequenceState;
  readonly index: number;
}

function Sequence({ state, actions, run, onHover, sequence, index }: SequenceProps) {
  const { tokens, end } = sequence;
  // Memoised, because most updates of the page are about other texts.
  const loop = useMemo(() => loopAtEnd(tokens.map(({ id }) => id)), [tokens, tokens.length]);
  const description = useMemo(() => describe(sequence), [sequence]);
  const isOwn = state.selection?.sequence === index;
  const select = (token: number): void => actions.set({ selection: { sequence: index, token } });
  const last = { sequence: index, token: tokens.length - 1 };
  return (
    <article class="sequence">
      <header>
        <h3>Text {index + 1}</h3>
        <small>{description}</small>
        {loop && (
          <span class="loop-note" title="From here on the text repeats itself">
            repeats every {loop.period === 1 ? "token" : `${loop.period} tokens`}, {loop.count} times
          </span>
        )}
      </header>
      {state.isTable ? (
        <TokenTable tokens={tokens} selected={isOwn ? state.selection?.token : undefined} onSelect={select} />
      ) : (
        <SequenceText
          id={`r${run.id}-${index}`}
          label={`Tokens of text ${index + 1}`}
          prompt={run.start?.text ?? ""}
          tokens={tokens}
          measure={state.measure}
          selected={isOwn ? state.selection?.token : undefined}
          loopStart={loop?.start}
          onSelect={select}
          onHover={(token) => onHover(token === undefined ? undefined : { sequence: index, token })}
          onOpen={enterGlass}
        />
      )}
      {end?.endToken && (
        <p class="end-token">
          ended by <span class="symbol">{end.endToken.name}</span>
        </p>
      )}
      <footer>
        <CopyButton text={textOf(run, index)} />
        <button type="button" class="quiet" onClick={() => actions.set({ prompt: textOf(run, index) })}>
          Use as prompt
        </button>
        {end && tokens.length > 0 && (
          <button type="button" class="quiet" onClick={() => actions.branch(run, last)}>
            Write on
          </button>
        )}
      </footer>
    </article>
  );
}

function describe({ tokens, end }: SequenceState): string {
  const known = tokens.flatMap(({ logprob }) => (logprob === null ? [] : [logprob]));
  const perplexity = Math.exp(-known.reduce((sum, value) => sum + value, 0) / known.length);
  const parts = [`${tokens.length} ${tokens.length === 1 ? "token" : "tokens"}`];
  if (known.length > 0) parts.push(`perplexity ${Number(perplexity.toPrecision(3))}`);
  if (end?.score !== undefined) parts.push(`score ${end.score.toFixed(3)}`);
  if (end) parts.push(end.finishReason === "length" ? "full length" : "ended");
  return parts.join(" · ");
}

function Speed({ state, run: { body, end } }: Pick<RunViewProps, "state" | "run">) {
  if (!end) return null;
  const model = endpointOf({ facts: state.facts, endpoint: body.endpoint ?? "" });
  const ms = (value: number): string =>
    value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  const rate = end.totalMs > 0 ? end.generatedTokens / (end.totalMs / 1000) : undefined;
  const facts: readonly (readonly [string, string])[] = [
    ...(rate === undefined ? [] : [["tokens per second", rate.toFixed(rate < 10 ? 1 : 0)] as const]),
    ["first token", ms(end.firstTokenMs)],
    ["in the queue", ms(end.queueMs)],
    ["total", ms(end.totalMs)],
    ["new tokens", String(end.generatedTokens)],
    ["prompt", `${end.promptTokens} tokens, ${end.cachedTokens} of them cached`],
    ...(model ? [["model", `${model.model}, ${model.precision}, ${model.kernels}`] as const] : []),
  ];
  return <FactList label="Speed" facts={facts} />;
}
