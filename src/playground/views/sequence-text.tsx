// The text of one sequence, token by token: each is tinted by how likely it was, and can be chosen with pointer and keys. Long texts are
// drawn in chunks. Only changed chunks are rendered again, and only visible ones are laid out.
import { memo } from "preact/compat";
import { useEffect, useRef } from "preact/hooks";
import type { TracedToken } from "../../dialects/playground/events.ts";
import { type Measure, percent, stepOf } from "../logic/heat.ts";
import { inOneLine } from "../logic/visible-text.ts";
import { SafeText } from "./parts.tsx";

const CHUNK_TOKENS = 64;
const NEAREST = { block: "nearest" } as const;

export interface SequenceTextProps {
  /** Prefix of the tokens' ids in the document; unique on the page. */
  readonly id: string;
  readonly label: string;
  /** Text before the first token. It is shown but cannot be chosen. */
  readonly prompt?: string;
  readonly tokens: readonly TracedToken[];
  readonly measure: Measure;
  readonly selected: number | undefined;
  /** Index of the token from which on the text only repeats itself. */
  readonly loopStart?: number | undefined;
  readonly onSelect: (index: number) => void;
  readonly onHover?: (index: number | undefined) => void;
  /** Called when Enter is pressed on a token. */
  readonly onOpen?: () => void;
}

export function SequenceText(props: SequenceTextProps) {
  const box = useRef<HTMLDivElement>(null);
  const { id, tokens, selected } = props;
  // The glass may open over it.
  useEffect(() => {
    if (selected !== undefined) document.getElementById(`${id}-${selected}`)?.scrollIntoView(NEAREST);
  }, [id, selected]);
  const starts = Array.from({ length: Math.ceil(tokens.length / CHUNK_TOKENS) }, (_, i) => i * CHUNK_TOKENS);
  return (
    <div class="sequence-text" dir="auto">
      {props.prompt !== undefined && (
        <span class="given">
          <SafeText text={props.prompt} />
        </span>
      )}
      <div
        ref={box}
        role="listbox"
        tabIndex={0}
        aria-label={props.label}
        aria-activedescendant={selected === undefined ? undefined : `${id}-${selected}`}
        class="tokens"
        onKeyDown={(event) => onKey(event, box.current as HTMLElement, props)}
        onClick={(event) => {
          const index = tokenAt(event);
          if (index !== undefined) props.onSelect(index);
        }}
        onPointerOver={(event) => event.pointerType === "mouse" && props.onHover?.(tokenAt(event))}
        onPointerLeave={() => props.onHover?.(undefined)}
        onFocus={() =>
          selected === undefined && tokens.length > 0 && isByKey(box.current) && props.onSelect(0)
        }
      >
        {starts.map((start) => (
          <Chunk
            key={start}
            id={id}
            tokens={tokens}
            start={start}
            end={Math.min(start + CHUNK_TOKENS, tokens.length)}
            measure={props.measure}
            selected={within(selected, start)}
            loopStart={props.loopStart === undefined ? undefined : Math.max(props.loopStart, start)}
          />
        ))}
      </div>
    </div>
  );
}

function within(selected: number | undefined, start: number): number | undefined {
  return selected !== undefined && selected >= start && selected < start + CHUNK_TOKENS
    ? selected
    : undefined;
}

/** A pointer press also focuses the list, and then chooses the token itself. */
function isByKey(box: HTMLElement | null): boolean {
  return box?.matches(":focus-visible") ?? false;
}

function tokenAt(event: Event): number | undefined {
  const index = (event.target as HTMLElement).closest<HTMLElement>("[data-index]")?.dataset.index;
  return index === undefined ? undefined : Number(index);
}

interface ChunkProps {
  readonly id: string;
  readonly tokens: readonly TracedToken[];
  readonly start: number;
  readonly end: number;
  readonly measure: Measure;
  readonly selected: number | undefined;
  readonly loopStart: number | undefined;
}

const Chunk = memo(function Chunk({ id, tokens, start, end, measure, selected, loopStart }: ChunkProps) {
  return (
    <span class="chunk" role="presentation">
      {tokens.slice(start, end).map((token, offset) => {
        const index = start + offset;
        const step = stepOf(token, measure);
        const classes = [
          "token",
          step === undefined ? "" : `heat-${step}`,
          selected === index ? "selected" : "",
          loopStart !== undefined && index >= loopStart ? "loops" : "",
        ];
        return (
          // biome-ignore lint/a11y/useFocusableInteractive: the list box has the focus, and names its active option
          <span
            key={index}
            id={`${id}-${index}`}
            role="option"
            aria-selected={selected === index}
            aria-label={nameOf(token)}
            class={classes.filter(Boolean).join(" ")}
            data-index={index}
          >
            <TokenText token={token} />
          </span>
        );
      })}
    </span>
  );
});

/** The text for screen readers. */
function nameOf(token: TracedToken): string {
  const likely = token.logprob === null ? "" : `, ${percent(Math.exp(token.logprob))}`;
  return `${inOneLine(token.name).replaceAll("␣", " ").trim() || "space"}${likely}`;
}

/**
 * The visible text of a token. A special token shows its name. A token with only a part of a character shows nothing: the character is
 * shown at the token that completes it, so that an emoji is not torn apart.
 */
function TokenText({ token }: { readonly token: TracedToken }) {
  if (token.special) return <span class="symbol">{token.name}</span>;
  return <SafeText text={token.text} />;
}

function onKey(event: KeyboardEvent, box: HTMLElement, props: SequenceTextProps): void {
  const { tokens, selected = -1 } = props;
  const last = tokens.length - 1;
  const vertical = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  const moves: Record<string, number> = {
    ArrowRight: selected + 1,
    ArrowLeft: selected - 1,
    Home: 0,
    End: last,
  };
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && selected >= 0) {
    event.preventDefault();
    props.onOpen?.();
    return;
  }
  const to = vertical === 0 ? moves[event.key] : inNextLine(box, props.id, selected, vertical, last);
  if (to === undefined || last < 0) return;
  event.preventDefault();
  props.onSelect(Math.max(0, Math.min(last, to)));
}

/** The nearest token in the line above or below. */
function inNextLine(box: HTMLElement, id: string, from: number, direction: number, last: number): number {
  const place = (index: number): DOMRect | undefined =>
    box.querySelector(`#${CSS.escape(`${id}-${index}`)}`)?.getBoundingClientRect();
  const own = place(from);
  if (!own) return 0;
  let best = from;
  let distance = Number.POSITIVE_INFINITY;
  let line: number | undefined;
  for (let index = from + direction; index >= 0 && index <= last; index += direction) {
    const rect = place(index);
    if (!rect || Math.abs(rect.bottom - own.bottom) < 4) continue;
    line ??= rect.bottom;
    if (Math.abs(rect.bottom - line) > 4) break;
    if (Math.abs(rect.left - own.left) < distance) {
      distance = Math.abs(rect.left - own.left);
      best = index;
    }
  }
  return best;
}
