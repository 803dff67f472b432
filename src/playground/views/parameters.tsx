// The parameters that the chosen mode reads, from the server's list.
import type { Field } from "../../dialects/playground/events.ts";
import { fieldGroups, parseEntry } from "../logic/form.ts";
import { PRESETS } from "../logic/presets.ts";
import { endpointOf } from "./state.ts";
import type { ViewProps } from "./view-props.ts";

export function Parameters({ state, actions }: ViewProps) {
  const endpoint = endpointOf(state);
  if (!endpoint) return <section class="parameters" aria-label="Parameters" />;
  const groups = fieldGroups(endpoint.fields, state.mode);
  const changed = groups.further.filter(({ name }) => state.entries[name] !== undefined).length;
  const box = (field: Field) => <Box key={field.name} field={field} state={state} actions={actions} />;
  return (
    <section class="parameters" aria-label="Parameters">
      <Presets state={state} actions={actions} />
      <Modes state={state} actions={actions} />
      <div class="boxes">{groups.ofMode.map(box)}</div>
      <div class="boxes">{groups.lengthAndSeed.map(box)}</div>
      <details open={changed > 0 || undefined}>
        <summary>More parameters{changed > 0 && ` (${changed} set)`}</summary>
        <div class="boxes">{groups.further.map(box)}</div>
      </details>
      <p class="under">
        <span>Empty boxes hold their defaults.</span>
        <button type="button" class="link" onClick={() => actions.set({ entries: {} })}>
          Reset
        </button>
      </p>
    </section>
  );
}

function Presets({ actions }: ViewProps) {
  return (
    <label class="box">
      <span class="preset-name">Preset</span>
      <select
        value=""
        onChange={(event) => {
          const preset = PRESETS[Number(event.currentTarget.value)];
          if (preset && event.currentTarget.value !== "") actions.applyPreset(preset.parameters);
          event.currentTarget.value = "";
        }}
      >
        <option value="">Choose …</option>
        {PRESETS.map(({ name, help }, index) => (
          <option key={name} value={index} title={help}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Modes({ state, actions }: ViewProps) {
  const modes = state.facts?.modes ?? [];
  const help = modes.find(({ name }) => name === state.mode)?.help;
  return (
    <fieldset class="modes">
      <legend>Mode</legend>
      <div class="choices">
        {modes.map(({ name }) => (
          <label key={name}>
            <input
              type="radio"
              name="mode"
              checked={state.mode === name}
              onChange={() => actions.set({ mode: name })}
            />
            <span>{name}</span>
          </label>
        ))}
      </div>
      <p class="help">{help}</p>
    </fieldset>
  );
}

function Box({ field, state, actions }: ViewProps & { readonly field: Field }) {
  const entry = state.entries[field.name];
  const parsed = entry === undefined ? undefined : parseEntry(field, entry);
  const problem = parsed && "problem" in parsed ? parsed.problem : undefined;
  const id = `field-${field.name}`;
  return (
    <div class={entry === undefined ? "box" : "box changed"}>
      <label for={id}>{field.name}</label>
      <Control
        id={id}
        field={field}
        entry={entry}
        isWrong={problem !== undefined}
        setEntry={(value) => actions.setEntry(field.name, value)}
      />
      <p class="help" id={`${id}-help`}>
        {problem ? <b>{problem}</b> : field.help}
      </p>
    </div>
  );
}

interface ControlProps {
  readonly id: string;
  readonly field: Field;
  readonly entry: string | undefined;
  readonly isWrong: boolean;
  readonly setEntry: (value: string | undefined) => void;
}

function Control({ id, field, entry, isWrong, setEntry }: ControlProps) {
  const common = {
    id,
    title: field.range,
    "aria-describedby": `${id}-help`,
    "aria-invalid": isWrong || undefined,
  };
  if (field.type === "boolean" || field.type === "enum") {
    const values = field.values ?? ["true", "false"];
    const usual = field.default === undefined ? "not sent" : String(field.default);
    return (
      <select
        {...common}
        value={entry ?? ""}
        onChange={(event) => setEntry(event.currentTarget.value || undefined)}
      >
        <option value="">{usual}</option>
        {values
          .filter((value) => value !== usual)
          .map((value) => (
            <option key={value}>{value}</option>
          ))}
      </select>
    );
  }
  const shown =
    field.default === undefined || field.default === null
      ? placeholderOf(field)
      : JSON.stringify(field.default);
  return (
    <input
      {...common}
      type="text"
      inputMode={field.type === "integer" || field.type === "number" ? "decimal" : undefined}
      autoComplete="off"
      spellcheck={false}
      placeholder={shown}
      value={entry ?? ""}
      onInput={(event) => setEntry(event.currentTarget.value === "" ? undefined : event.currentTarget.value)}
      onKeyDown={(event) => stepByKey(event, field, entry, setEntry)}
    />
  );
}

function placeholderOf({ name }: Field): string {
  return name === "seed" ? "a fresh one" : "none";
}

/** Arrow keys change the number. It is a text box, because browsers' number boxes drop text that they cannot read. */
function stepByKey(
  event: KeyboardEvent,
  field: Field,
  entry: string | undefined,
  setEntry: (value: string) => void,
): void {
  const direction = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
  if (direction === 0 || (field.type !== "integer" && field.type !== "number")) return;
  event.preventDefault();
  const now = Number(entry ?? field.default ?? 0);
  const step = field.type === "integer" ? 1 : 0.05;
  const next = Number((now + direction * step).toFixed(6));
  if (!("problem" in parseEntry(field, String(next)))) setEntry(String(next));
}
