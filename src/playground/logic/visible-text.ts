// Makes every character of a text visible: control characters as their pictures, the invisible ones that steer direction or
// join letters by their code point, bytes that are no UTF-8 as hexadecimal numbers. Gives pieces of text to be shown and says
// of what kind they are; how they look is not decided here. Letters, spaces and emoji stay what they are.

export interface TextRun {
  readonly kind: "text" | "symbol" | "newline";
  readonly text: string;
}

/**
 * Characters that have no look of their own: controls, formats such as direction marks, separators of lines. The joiners
 * U+200C and U+200D belong to scripts and emoji, and Arabic's number signs are seen; they stay as they are.
 */
const UNSEEN = /(?!\u200c|\u200d|[\u0600-\u0605\u06dd\u070f\u08e2])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** U+2400 and up: the pictures of the control characters. */
const PICTURES = 0x2400;

/** A text in runs of one kind each. */
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

/** One line for a table, a name or a tooltip: spaces and ends of lines are seen as well. */
export function inOneLine(text: string): string {
  return visibleRuns(text)
    .map((run) => (run.kind === "text" ? run.text.replaceAll(" ", "␣") : run.text))
    .join("");
}
