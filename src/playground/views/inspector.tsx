// Shows one token in detail: its probability, its alternatives, what the filters left and where the draw fell; with actions to continue
// from there.
import { useState } from "preact/hooks";
import type { Alternative, Choice, TracedToken } from "../../dialects/playground/events.ts";
import { percent, surpriseBits } from "../logic/heat.ts";
import { BeforeAfter, TokenName } from "./parts.tsx";

export interface InspectorProps {
  readonly token: TracedToken;
  /** Its position, in words. */
  readonly place: string;
  /** Absent if nothing can be generated from here. */
  readonly steer?: {
    readonly branch: (tokenId: number) => void;
    readonly goOn: () => void;
    readonly replace: (text: string) => void;
  };
  readonly close: (() => void) | undefined;
}

export function Inspector({ token, place, steer, close }: InspectorProps) {
  return (
    <div class="inspector-card">
      <header>
        <h2>
          <TokenName token={token} />
        </h2>
        <small>
          {place} · id {token.id}
        </small>
        {close && (
          <button type="button" class="quiet close" aria-label="Close" onClick={close}>
            ×
          </button>
        )}
      </header>
      <Numbers token={token} />
      {token.choice?.draw && <Draw draw={token.choice.draw} />}
      <Alternatives token={token} branch={steer?.branch} />
      {token.choice && token.choice.filters.length > 0 && <Filters filters={token.choice.filters} />}
      {steer && <Steer token={token} goOn={steer.goOn} replace={steer.replace} />}
    </div>
  );
}

function Numbers({ token: { logprob, rank, choice } }: { readonly token: TracedToken }) {
  if (logprob === null) return <p class="help">The first token: nothing stands before it.</p>;
  return (
    <dl class="numbers">
      <div>
        <dt>model</dt>
        <dd>{percent(Math.exp(logprob))}</dd>
      </div>
      {choice && (
        <div>
          <dt>after filters</dt>
          <dd>{percent(choice.probability)}</dd>
        </div>
      )}
      <div>
        <dt>surprise</dt>
        <dd>{surpriseBits(logprob).toFixed(2)} bit</dd>
      </div>
      {rank !== undefined && (
        <div>
          <dt>rank</dt>
          <dd>{rank}</dd>
        </div>
      )}
    </dl>
  );
}

function Draw({ draw: { u, low, high } }: { readonly draw: NonNullable<Choice["draw"]> }) {
  const at = (value: number): string => `${(100 * value).toFixed(3)}%`;
  return (
    <figure class="draw">
      <div class="scale" aria-hidden="true">
        <i class="share" style={{ left: at(low), width: at(Math.max(high - low, 0.003)) }} />
        <i class="u" style={{ left: at(u) }} />
      </div>
      <figcaption>
        The draw fell on <b>u = {u.toFixed(4)}</b>; this token holds {low.toFixed(4)} to {high.toFixed(4)}.
      </figcaption>
    </figure>
  );
}

function Alternatives(props: {
  readonly token: TracedToken;
  readonly branch: ((id: number) => void) | undefined;
}) {
  const { token, branch } = props;
  const { alternatives = [] } = token;
  if (alternatives.length === 0) return null;
  const hasAfter = alternatives.some(({ probability }) => probability !== undefined);
  const most = Math.max(
    ...alternatives.map(({ logprob, probability = 0 }) => Math.max(Math.exp(logprob), probability)),
  );
  return (
    <table class="alternatives">
      <caption>{branch ? "Most likely here. Choose one to go on with it." : "Most likely here"}</caption>
      <thead>
        <tr>
          <th scope="col">token</th>
          <th scope="col">model{hasAfter && " · after filters"}</th>
        </tr>
      </thead>
      <tbody>
        {alternatives.map((other) => (
          <Row
            key={other.id}
            other={other}
            isOwn={other.id === token.id}
            most={most}
            branch={branch}
            hasAfter={hasAfter}
          />
        ))}
      </tbody>
    </table>
  );
}

function Row(props: {
  readonly other: Alternative;
  readonly isOwn: boolean;
  readonly most: number;
  readonly hasAfter: boolean;
  readonly branch: ((id: number) => void) | undefined;
}) {
  const { other, isOwn, most, branch, hasAfter } = props;
  return (
    <tr class={isOwn ? "own" : undefined}>
      <th scope="row">
        {branch && !isOwn ? (
          <button type="button" class="pick" onClick={() => branch(other.id)}>
            <TokenName token={other} />
          </button>
        ) : (
          <TokenName token={other} />
        )}
      </th>
      <td>
        <BeforeAfter
          before={Math.exp(other.logprob)}
          after={hasAfter ? (other.probability ?? 0) : undefined}
          most={most}
        />
      </td>
    </tr>
  );
}

function Filters({ filters }: { readonly filters: Choice["filters"] }) {
  return (
    <p class="filters">
      {filters.map(({ parameter, left }, index) => (
        <span key={parameter}>
          {index > 0 && " → "}
          <b>{parameter}</b> left {left.toLocaleString("en")}
        </span>
      ))}
    </p>
  );
}

function Steer(props: {
  readonly token: TracedToken;
  readonly goOn: () => void;
  readonly replace: (text: string) => void;
}) {
  const [text, setText] = useState(props.token.text);
  return (
    <form
      class="steer"
      onSubmit={(event) => {
        event.preventDefault();
        if (text !== "") props.replace(text);
      }}
    >
      <button type="button" onClick={props.goOn}>
        Write on from here
      </button>
      <div class="replace">
        <input
          aria-label="Text in place of this token"
          dir="auto"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" disabled={text === "" || text === props.token.text}>
          Replace and go on
        </button>
      </div>
    </form>
  );
}
