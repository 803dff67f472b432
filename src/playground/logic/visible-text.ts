// Makes every character of a text visible: control characters as symbols, invisible format characters as code points, bytes that are not
// UTF-8 as hexadecimal numbers. It returns pieces of text and their kinds; the views decide how they look. Letters, spaces and emoji do
// not change.

export interface TextRun {
  readonly kind: "text" | "symbol" | "newline";
  readonly text: string;
}

/**
 * Invisible characters: controls, formats such as direction marks, line separators. The joiners U+200C and U+200D are parts of scripts
 * and emoji, and Arabic number signs are visible, so these do not count.
 */
const UNSEEN = /(?!\u200c|\u200d|[\u0600-\u0605\u06dd\u070f\u08e2])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The symbols for control characters, from U+2400 on. */
const PICTURES = 0x2400;

/** Splits a text into runs of one kind. */
export function visibleRuns(text: string): readonly TextRun[] {
  const runs: TextRun[] = [];
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (match.index > from) runs.push({ kind: "text", text: text.slice(from, match.index) });
    runs.push(symbolOf(match[0]));
    from = match.index + match[0].length;
  }
  if (from < text.length) runs.push({ kind: "text", text: text.slice(from) });
  return runs;
}

function symbolOf(character: string): TextRun {
  const code = character.codePointAt(0) as number;
  if (code === 0x0a) return { kind: "newline", text: "↵" };
  if (code === 0x09) return { kind: "symbol", text: "⇥" };
  if (code < 0x20) return { kind: "symbol", text: String.fromCodePoint(PICTURES + code) };
  if (code === 0x7f) return { kind: "symbol", text: "␡" };
  return { kind: "symbol", text: `U+${code.toString(16).toUpperCase().padStart(4, "0")}` };
}

/** The text as one line for a table, a name or a tooltip. Spaces and line ends are visible too. */
export function inOneLine(text: string): string {
  return visibleRuns(text)
    .map((run) => (run.kind === "text" ? run.text.replaceAll(" ", "␣") : run.text))
    .join("");
}
