// The legend of the tints, and the choice of the number that they show.
import { LEGENDS, MEASURES, type Measure } from "../logic/heat.ts";
import type { ViewProps } from "./view-props.ts";

export function Legend({ state, actions }: ViewProps) {
  const { measure, isTable } = state;
  return (
    <div class="legend">
      <label>
        <span class="unseen">Tokens are tinted by</span>
        <select
          value={measure}
          onChange={(event) => actions.set({ measure: event.currentTarget.value as Measure })}
        >
          {Object.entries(MEASURES).map(([name, label]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {measure !== "none" && (
        <ol aria-label="What the tints mean">
          {LEGENDS[measure].map((meaning, step) => (
            <li key={meaning} class={`heat-${step}`}>
              {meaning}
            </li>
          ))}
        </ol>
      )}
      <label class="as-table">
        <input type="checkbox" checked={isTable} onChange={() => actions.set({ isTable: !isTable })} />
        As a table
      </label>
    </div>
  );
}
