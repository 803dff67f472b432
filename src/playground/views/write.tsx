// The view for writing: prompt and parameters on one side, texts in the middle, the chosen token on the other side.
import { useState } from "preact/hooks";
import type { Run } from "../logic/run.ts";
import type { Actions } from "./actions.ts";
import { Controls } from "./controls.tsx";
import { Glass, leaveGlass } from "./glass.tsx";
import { Inspector } from "./inspector.tsx";
import { Parameters } from "./parameters.tsx";
import { useKeys } from "./parts.tsx";
import { Prompt } from "./prompt.tsx";
import { RequestPanel } from "./request.tsx";
import { RunView, TEXTS_ID } from "./run.tsx";
import { type Selection, shownRun } from "./state.ts";
import type { ViewProps } from "./view-props.ts";

export function WriteView({ state, actions }: ViewProps) {
  const run = shownRun(state);
  const [hovered, setHovered] = useState<Selection>();
  useKeys({
    submit: () => actions.generate(),
    close: () => !actions.isRunning && state.selection && closeGlass(actions),
  });
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
  // A new run replaces the texts, so the focus waits at their place.
  const go = (start: () => void): void => {
    leaveGlass(document.getElementById(TEXTS_ID));
    start();
  };
  return (
    <Glass
      isPinned={pinned !== undefined}
      help="Point at a token, or choose one with the keyboard, to see it here."
    >
      {run && shown && token && (
        <Inspector
          key={`${run.id}.${shown.sequence}.${shown.token}`}
          token={token}
          place={`text ${shown.sequence + 1}, token ${shown.token + 1}`}
          steer={{
            branch: (id) => go(() => actions.branch(run, shown, [id])),
            goOn: () => go(() => actions.branch(run, shown)),
            replace: (text) => go(() => void actions.replace(run, shown, text)),
          }}
          close={pinned && (() => closeGlass(actions))}
        />
      )}
    </Glass>
  );
}

function closeGlass(actions: Actions): void {
  leaveGlass();
  actions.set({ selection: undefined });
}
