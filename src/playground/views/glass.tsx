// The frame of the panel that shows the chosen token, and the way of the keyboard into it and back.
import type { ComponentChildren } from "preact";

const ID = "inspector";

export interface GlassProps {
  /** Chosen, and not only under the pointer. */
  readonly isPinned: boolean;
  /** Shown while no token is. */
  readonly help: string;
  readonly children: ComponentChildren;
}

export function Glass({ isPinned, help, children }: GlassProps) {
  return (
    <aside class={isPinned ? "glass pinned" : "glass"} aria-label="The chosen token" id={ID} tabIndex={-1}>
      {children || <p class="help">{help}</p>}
    </aside>
  );
}

export function enterGlass(): void {
  document.getElementById(ID)?.focus();
}

/** Before the glass closes: a focus in it would be lost, so it goes to `place`, or else to the chosen token. */
export function leaveGlass(place?: HTMLElement | null): void {
  if (!document.getElementById(ID)?.contains(document.activeElement)) return;
  const token = document.querySelector(".token.selected")?.closest<HTMLElement>("[role=listbox]");
  const to = place ?? token ?? document.querySelector<HTMLElement>("tr.own .pick");
  to?.focus({ preventScroll: true });
}
