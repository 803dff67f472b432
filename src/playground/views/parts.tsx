// Small parts that several views use.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Token } from "../../dialects/playground/events.ts";
import { percent } from "../logic/heat.ts";
import { inOneLine, visibleRuns } from "../logic/visible-text.ts";

/** Shows untrusted text as text only. Invisible characters are shown as symbols, and its writing direction cannot leave the element. */
export function SafeText({ text }: { readonly text: string }) {
  const runs = visibleRuns(text);
  if (runs.length === 1 && runs[0]?.kind === "text") return <>{text}</>;
  return (
    <>
      {runs.map((run, index) => {
        if (run.kind === "text") return run.text;
        if (run.kind === "newline") return <NewLine key={index} />;
        return (
          <span key={index} class="symbol">
            {run.text}
          </span>
        );
      })}
    </>
  );
}

function NewLine() {
  return (
    <>
      <span class="symbol newline">↵</span>
      {"\n"}
    </>
  );
}

/** A token in one line, with visible spaces and control characters. */
export function TokenName({ token }: { readonly token: Token }) {
  return (
    <bdi class={token.special ? "token-name special" : "token-name"} title={`id ${token.id}`}>
      {inOneLine(token.name)}
    </bdi>
  );
}

/**
 * A probability before and after the filters, as bars and in figures: 0 after them means that the token was cut, undefined that there
 * were none. `most` has the full width.
 */
export function BeforeAfter(props: {
  readonly before: number;
  readonly after: number | undefined;
  readonly most: number;
}) {
  const { before, after, most } = props;
  const wide = (value: number): string => `${((100 * value) / most).toFixed(2)}%`;
  return (
    <>
      <div class="bars" aria-hidden="true">
        <i class="before" style={{ width: wide(before) }} />
        {after !== undefined && <i class="after" style={{ width: wide(after) }} />}
      </div>
      <span class="figures">
        {percent(before)}
        {after !== undefined && ` · ${after === 0 ? "cut" : percent(after)}`}
      </span>
    </>
  );
}

/** A list of numbers with their names. */
export function FactList(props: {
  readonly label: string;
  readonly facts: readonly (readonly [string, string])[];
}) {
  return (
    <dl class="speed" aria-label={props.label}>
      {props.facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A button that copies a text, and says so for a moment. */
export function CopyButton({ text, label = "Copy" }: { readonly text: string; readonly label?: string }) {
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [isDone]);
  return (
    <button type="button" class="quiet" onClick={() => void copy(text).then(setDone)}>
      {isDone ? "Copied" : label}
    </button>
  );
}

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Over HTTP from another machine browsers have no clipboard for scripts; there the old way is the only one. */
function copyBySelection(text: string): boolean {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.className = "unseen";
  area.value = text;
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return isDone;
}

/** A text area that is as tall as its text, up to the limit of the style sheet. */
export function GrowingTextarea(props: {
  readonly id: string;
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly describedBy?: string;
}) {
  const ref = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const area = ref.current as HTMLTextAreaElement;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  }, [props.value]);
  return (
    <>
      <label class="unseen" for={props.id}>
        {props.label}
      </label>
      <textarea
        ref={ref}
        id={props.id}
        class="writing"
        dir="auto"
        rows={2}
        spellcheck={false}
        value={props.value}
        aria-describedby={props.describedBy}
        onInput={(event) => props.onValue(event.currentTarget.value)}
      />
    </>
  );
}

/** Calls `load` some time after its inputs last changed, and aborts an earlier call that is still open. */
export function useLater(
  load: (signal: AbortSignal) => Promise<void>,
  inputs: readonly unknown[],
  delayMs = 200,
): void {
  useEffect(() => {
    const aborter = new AbortController();
    const timer = setTimeout(() => void load(aborter.signal), delayMs);
    return () => {
      clearTimeout(timer);
      aborter.abort();
    };
  }, inputs);
}

/** Keys that work anywhere on the page: Ctrl+Enter or ⌘+Enter submits, Esc stops or closes. */
export function useKeys(keys: {
  readonly submit?: (() => void) | undefined;
  readonly close: () => void;
}): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const { submit, close } = latest.current;
      if (event.key === "Escape") close();
      else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit) {
        event.preventDefault();
        submit();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

/** Offers a file for download. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
