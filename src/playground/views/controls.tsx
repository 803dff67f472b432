// The column of controls: beside the texts if there is room, otherwise folded above them.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

/** The same width as in styles/frame.css. */
const WIDE = "(width >= 760px)";

export function Controls(props: { readonly label: string; readonly children: ComponentChildren }) {
  const [isWide, setWide] = useState(() => matchMedia(WIDE).matches);
  useEffect(() => {
    const media = matchMedia(WIDE);
    const onChange = (): void => setWide(media.matches);
    media.addEventListener("change", onChange);
    return () => media.removeEventListener("change", onChange);
  }, []);
  if (isWide) return <div class="controls">{props.children}</div>;
  return (
    <details class="controls">
      <summary>{props.label}</summary>
      {props.children}
    </details>
  );
}
