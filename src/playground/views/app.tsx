// The frame of the page: its header, its four views and the keyboard shortcuts.
import { useEffect, useState } from "preact/hooks";
import type { Actions } from "./actions.ts";
import { History } from "./history.tsx";
import { NextTokenView } from "./next-token.tsx";
import { useKeys } from "./parts.tsx";
import { ScoreView } from "./score.tsx";
import { endpointOf, type Store, type ViewName } from "./state.ts";
import type { ViewProps } from "./view-props.ts";
import { WriteView } from "./write.tsx";

const VIEWS: readonly (readonly [ViewName, string])[] = [
  ["write", "Write"],
  ["next", "Next token"],
  ["score", "Score a text"],
  ["history", "History"],
];

export function App({ store, actions }: { readonly store: Store; readonly actions: Actions }) {
  const [state, setState] = useState(store.state);
  useEffect(() => store.subscribe(() => setState(store.state)), [store]);
  useKeys({ close: () => actions.stop() });
  return (
    <>
      <Masthead state={state} actions={actions} />
      <Failure state={state} actions={actions} />
      <main id="main">
        <View state={state} actions={actions} />
      </main>
      <p class="unseen" role="status">
        {state.announcement}
      </p>
    </>
  );
}

function View(props: ViewProps) {
  switch (props.state.view) {
    case "next":
      return <NextTokenView {...props} />;
    case "score":
      return <ScoreView {...props} />;
    case "history":
      return <History {...props} />;
    default:
      return <WriteView {...props} />;
  }
}

function Masthead({ state, actions }: ViewProps) {
  return (
    <header class="masthead">
      <h1 class="wordmark">
        gpt2-api <span>playground</span>
      </h1>
      <nav aria-label="Views">
        {VIEWS.map(([name, label]) => (
          <button
            key={name}
            type="button"
            aria-current={state.view === name ? "page" : undefined}
            onClick={() => actions.set({ view: name })}
          >
            {label}
          </button>
        ))}
      </nav>
      <Model state={state} actions={actions} />
      <Theme />
    </header>
  );
}

function Model({ state, actions }: ViewProps) {
  const endpoint = endpointOf(state);
  const all = state.facts?.endpoints ?? [];
  if (!endpoint) return <p class="model" />;
  const millions = endpoint.parameters / 1e6;
  const size = millions >= 100 ? Math.round(millions) : Number(millions.toPrecision(2));
  return (
    <p class="model">
      {all.length > 1 ? (
        <select
          aria-label="Endpoint"
          value={endpoint.name}
          onChange={(event) => actions.set({ endpoint: event.currentTarget.value })}
        >
          {all.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      ) : (
        <b>{endpoint.name}</b>
      )}
      <span title={`${endpoint.model}, ${endpoint.vocabSize} tokens, ${endpoint.contextLength} positions`}>
        {size} M · {endpoint.precision} · {endpoint.kernels}
      </span>
    </p>
  );
}

const THEMES = ["auto", "light", "dark"] as const;
const THEME_KEY = "gpt2-api.theme";

function Theme() {
  const [theme, setTheme] = useState(() => THEMES.find((name) => name === keptTheme()) ?? "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(THEME_KEY, theme);
    } catch {
      // Without storage the choice is not remembered.
    }
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] as (typeof THEMES)[number];
  return (
    <button
      type="button"
      class="quiet theme"
      aria-label={`Colours: ${theme}. Change to ${next}`}
      onClick={() => setTheme(next)}
    >
      {{ auto: "◐", light: "○", dark: "●" }[theme]}
    </button>
  );
}

function keptTheme(): string | null {
  try {
    return localStorage.getItem(THEME_KEY);
  } catch {
    return null;
  }
}

function Failure({ state, actions }: ViewProps) {
  const { failure } = state;
  if (!failure) return null;
  return (
    <div class="failure" role="alert">
      <p dir="auto">{failure.message}</p>
      {!state.facts && (
        <button type="button" onClick={() => void actions.start()}>
          Try again
        </button>
      )}
      <button type="button" class="quiet" onClick={() => actions.set({ failure: undefined })}>
        Close
      </button>
    </div>
  );
}
