// The earlier requests of this browser. They are stored in this browser only.

import { SafeText } from "./parts.tsx";
import type { ViewProps } from "./view-props.ts";

export function History({ state, actions }: ViewProps) {
  const { history } = state;
  return (
    <section class="history" aria-label="History">
      <header>
        <h2>History</h2>
        <small>
          {history.length} {history.length === 1 ? "request" : "requests"}, stored in this browser only.
        </small>
        <button type="button" disabled={history.length === 0} onClick={() => actions.forget()}>
          Clear
        </button>
      </header>
      {history.length === 0 && <p class="help">Nothing yet.</p>}
      <ol>
        {history.map(({ at, body, prompt, beginning }) => (
          <li key={at}>
            <button
              type="button"
              onClick={() => {
                actions.fill({ ...body, input: prompt });
                actions.set({ view: "write" });
              }}
            >
              <time dateTime={new Date(at).toISOString()}>{new Date(at).toLocaleString()}</time>
              <span class="entry" dir="auto">
                <b>
                  <SafeText text={prompt.slice(-120)} />
                </b>
                <SafeText text={beginning} />
              </span>
              <small>
                {typeof body.mode === "string" ? body.mode : "default mode"} · seed {String(body.seed)}
              </small>
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}
