// The view for writing: prompt and parameters on one side, texts in the middle, the chosen token on the other side.
import { useState } from "preact/hooks";
import type { Run } from "../logic/run.ts";
import { Controls } from "./controls.tsx";
import { Inspector } from "./inspector.tsx";
import { Parameters } from "./parameters.tsx";
import { Prompt } from "./prompt.tsx";
import { RequestPanel } from "./request.tsx";
import { RunView } from "./run.tsx";
import { type Selection, shownRun } from "./state.ts";
import type { ViewProps } from "./view-props.ts";

export function WriteView({ state, actions }: ViewProps) {
  const run = shownRun(state);
  const [hovered, setHovered] = useState<Selection>();
  return (
    <div class="write">
      <Controls label="Mode and parameters">
        <Parameters state={state} actions={actions} />
      </Controls>
      <div class="paper">
        <Prompt state={state} actions={actions} />
        <Buttons state={state} actions={actions} />
        {run ? <RunView state={state} actions={actions} run={run} onHover={setHovered} /> : <Invitation />}
        <RequestPanel actions={actions} run={run} />
      </div>
      <Aside state={state} actions={actions} run={run} hovered={hovered} />
    </div>
  );
}

function Buttons({ state, actions }: ViewProps) {
  const run = shownRun(state);
  const isBusy = actions.isRunning;
  const isReady = state.facts !== undefined;
  return (
    <div class="buttons">
      {isBusy ? (
        <button type="button" class="primary" onClick={() => actions.stop()}>
          Stop <kbd>Esc</kbd>
        </button>
      ) : (
        <button type="button" class="primary" disabled={!isReady} onClick={() => actions.generate()}>
          Generate <kbd>Ctrl ↵</kbd>
        </button>
      )}
      {run?.start && !isBusy && (
        <>
          <button
            type="button"
            onClick={() => actions.regenerate(run, "same")}
            title={`Seed ${run.start.seed}`}
          >
            Again, same seed
          </button>
          <button type="button" onClick={() => actions.regenerate(run, "new")}>
            Again, new seed
          </button>
        </>
      )}
    </div>
  );
}

function Invitation() {
  return (
    <div class="invitation">
      <p>
        Write the beginning of a text and let the model go on. Every token is tinted by how unlikely it was.
        Point at one to see what else it could have been, and choose another to go that way instead.
      </p>
    </div>
  );
}

interface AsideProps extends ViewProps {
  readonly run: Run | undefined;
  readonly hovered: Selection | undefined;
}

function Aside({ state, actions, run, hovered }: AsideProps) {
  const pinned = state.selection;
  const shown = hovered ?? pinned;
  const token = shown && run?.sequences[shown.sequence]?.tokens[shown.token];
  return (
    <aside
      class={pinned ? "glass pinned" : "glass"}
      aria-label="The chosen token"
      id="inspector"
      tabIndex={-1}
    >
      {run && shown && token ? (
        <Inspector
          key={`${run.id}.${shown.sequence}.${shown.token}`}
          token={token}
          place={`text ${shown.sequence + 1}, token ${shown.token + 1}`}
          steer={{
            branch: (id) => actions.branch(run, shown, [id]),
            goOn: () => actions.branch(run, shown),
            replace: (text) => void actions.replace(run, shown, text),
          }}
          close={pinned && (() => actions.set({ selection: undefined }))}
        />
      ) : (
        <p class="help">Point at a token, or choose one with the keyboard, to see it here.</p>
      )}
    </aside>
  );
}
