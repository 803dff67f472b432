// Shows the distribution of the next token after the prompt, and what temperature, top-k, top-p and min-p leave of it. The server is called
// once for a prompt. The page itself computes the effect of the sliders, with the operations of a request.
import { useMemo, useState } from "preact/hooks";
import type { NextToken, Token } from "../../dialects/playground/events.ts";
import { type Filters, filtered, logitsOf, NO_FILTERS } from "../logic/filtered.ts";
import { percent } from "../logic/heat.ts";
import { Controls } from "./controls.tsx";
import { BeforeAfter, TokenName, useLater } from "./parts.tsx";
import { Prompt } from "./prompt.tsx";
import { server } from "./server.ts";
import type { ViewProps } from "./view-props.ts";

interface Answer {
  readonly next: NextToken;
  readonly logits: Float32Array;
}

export function NextTokenView({ state, actions }: ViewProps) {
  const [answer, setAnswer] = useState<Answer>();
  const [filters, setFilters] = useState<Filters>({ temperature: 0.7, topK: 50, topP: 0.92, minP: 0 });
  const { prompt, endpoint, facts } = state;
  useLater(
    async (signal) => {
      if (!facts) return;
      try {
        const next = await server.next({ endpoint, input: prompt }, signal);
        setAnswer({ next, logits: logitsOf(next) });
      } catch (error) {
        if (!signal.aborted) actions.fail(error);
      }
    },
    [prompt, endpoint, facts],
    250,
  );
  const use = (): void => {
    const { temperature, topK, topP, minP } = filters;
    actions.fill({ mode: "sample", temperature, top_k: topK, top_p: topP, ...(minP > 0 && { min_p: minP }) });
    actions.set({ view: "write" });
  };
  return (
    <div class="write">
      <Controls label="Filters">
        <Sliders filters={filters} change={setFilters} />
        <div class="buttons">
          <button type="button" onClick={use}>
            Write with these
          </button>
          <button type="button" class="quiet" onClick={() => setFilters(NO_FILTERS)}>
            No filter
          </button>
        </div>
      </Controls>
      <div class="paper wide">
        <Prompt state={state} actions={actions} />
        {answer && <Distribution answer={answer} filters={filters} />}
      </div>
    </div>
  );
}

interface SlidersProps {
  readonly filters: Filters;
  readonly change: (filters: Filters) => void;
}

/** The slider of the temperature is logarithmic, from 0.1 to 10. */
const toTemperature = (place: number): number => Number((10 ** place).toPrecision(3));

function Sliders({ filters, change }: SlidersProps) {
  const { temperature, topK, topP, minP } = filters;
  return (
    <section class="parameters sliders" aria-label="Filters">
      <Slider
        name="temperature"
        min={-1}
        max={1}
        step={0.01}
        value={Math.log10(temperature)}
        shown={String(temperature)}
        set={(place) => change({ ...filters, temperature: toTemperature(place) })}
      />
      <Slider
        name="top_k"
        min={0}
        max={200}
        step={1}
        value={topK}
        shown={topK === 0 ? "all" : String(topK)}
        set={(value) => change({ ...filters, topK: value })}
      />
      <Slider
        name="top_p"
        min={0}
        max={1}
        step={0.01}
        value={topP}
        shown={String(topP)}
        set={(value) => change({ ...filters, topP: value })}
      />
      <Slider
        name="min_p"
        min={0}
        max={1}
        step={0.01}
        value={minP}
        shown={String(minP)}
        set={(value) => change({ ...filters, minP: value })}
      />
    </section>
  );
}

function Slider(props: {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly value: number;
  readonly shown: string;
  readonly set: (value: number) => void;
}) {
  const { name, shown, set, ...range } = props;
  return (
    <div class="slider">
      <label for={`slider-${name}`}>{name}</label>
      <output for={`slider-${name}`}>{shown}</output>
      <input
        id={`slider-${name}`}
        type="range"
        {...range}
        aria-valuetext={shown}
        onInput={(event) => set(event.currentTarget.valueAsNumber)}
      />
    </div>
  );
}

const ROWS = 30;

function Distribution({ answer, filters }: { readonly answer: Answer; readonly filters: Filters }) {
  const [numRows, setNumRows] = useState(ROWS);
  const whole = useMemo(() => filtered(answer.logits, NO_FILTERS), [answer]);
  const left = useMemo(() => filtered(answer.logits, filters), [answer, filters]);
  const { top } = answer.next;
  const mass = [...left.probabilities.keys()].reduce(
    (sum, id) => sum + (whole.probabilities.get(id) ?? 0),
    0,
  );
  const before = (token: Token): number => whole.probabilities.get(token.id) ?? 0;
  const after = (token: Token): number => left.probabilities.get(token.id) ?? 0;
  const most = Math.max(...top.slice(0, 1).map((token) => Math.max(before(token), after(token))), 1e-9);
  return (
    <section class="distribution" aria-label="The next token">
      <p class="reading" role="status">
        <b>{left.probabilities.size.toLocaleString("en")}</b> of {answer.logits.length.toLocaleString("en")}{" "}
        tokens are left. They held <b>{percent(mass)}</b> before. Uncertainty{" "}
        <b>{left.entropyBits.toFixed(2)} bit</b>, as of a fair draw among{" "}
        {Number(left.perplexity.toPrecision(3)).toLocaleString("en")}; without filters{" "}
        {whole.entropyBits.toFixed(2)} bit.
      </p>
      <table class="alternatives long">
        <thead>
          <tr>
            <th scope="col">token</th>
            <th scope="col">
              <i class="key before" /> model · <i class="key after" /> after filters
            </th>
          </tr>
        </thead>
        <tbody>
          {top.slice(0, numRows).map((token) => (
            <Row key={token.id} token={token} before={before(token)} after={after(token)} most={most} />
          ))}
        </tbody>
      </table>
      {numRows < top.length && (
        <button type="button" class="quiet" onClick={() => setNumRows(top.length)}>
          Show all {top.length}
        </button>
      )}
    </section>
  );
}

interface RowProps {
  readonly token: Token;
  readonly before: number;
  readonly after: number;
  readonly most: number;
}

function Row({ token, before, after, most }: RowProps) {
  return (
    <tr class={after === 0 ? "cut" : undefined}>
      <th scope="row">
        <TokenName token={token} />
      </th>
      <td>
        <BeforeAfter before={before} after={after} most={most} />
      </td>
    </tr>
  );
}
