// A small reader of Markdown for the checks of the documentation: links, anchors, code spans, and commands in shell blocks. It
// knows only those parts of Markdown that this repository uses.

export interface Link {
  readonly target: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface Code {
  readonly text: string;
  readonly line: number;
}

interface Line {
  readonly text: string;
  readonly number: number;
  /** The language of the fenced block that the line is in, perhaps empty; undefined for prose. */
  readonly fence: string | undefined;
}

const FENCE = /^\s*(`{3,}|~{3,})\s*(\S*)/;

function linesOf(markdown: string): Line[] {
  let open: { readonly mark: string; readonly language: string } | undefined;
  return markdown.split("\n").flatMap((text, i): Line[] => {
    const [, mark = "", language = ""] = FENCE.exec(text) ?? [];
    if (open === undefined && mark !== "") {
      open = { mark, language };
      return [];
    }
    if (open !== undefined && mark.startsWith(open.mark) && language === "") {
      open = undefined;
      return [];
    }
    return [{ text, number: i + 1, fence: open?.language }];
  });
}

const prose = (markdown: string): Line[] => linesOf(markdown).filter(({ fence }) => fence === undefined);
const SPAN = /(`+)(.+?)\1/g;

/** Targets of links and pictures, `[text](target)` and `[name]: target`, outside of code. */
export function linksOf(markdown: string): Link[] {
  return prose(markdown).flatMap(({ text, number }) => {
    const plain = text.replace(SPAN, "");
    const inline = [...plain.matchAll(/\]\(<?((?:[^()\s>]|\([^()\s]*\))+)>?(?:\s+"[^"]*")?\)/g)];
    const named = [...plain.matchAll(/^\s*\[[^\]]+\]:\s*(\S+)/g)];
    return [...inline, ...named].map(([, target = ""]) => ({ target, line: number }));
  });
}

/** The anchors of a page: GitHub's names of its headings, and ids of HTML elements. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const { text } of prose(markdown)) {
    for (const [, id = ""] of text.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(id);
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(text)?.[1];
    if (heading === undefined) continue;
    const name = headingName(heading);
    let anchor = name;
    for (let i = 1; anchors.has(anchor); i++) anchor = `${name}-${i}`;
    anchors.add(anchor);
  }
  return anchors;
}

function headingName(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, "")
    .replaceAll(" ", "-");
}

/** Lines that continue a list item, and are not indented to its text. */
export function unindentedOf(markdown: string): Code[] {
  let column = 0;
  return prose(markdown).flatMap(({ text, number }) => {
    const begin = /^\s*(?:[-*+]|\d+[.)])\s+(?=\S)/.exec(text)?.[0];
    if (begin !== undefined) column = begin.length;
    else if (text.trim() === "" || /^(#|\||<|>)/.test(text)) column = 0;
    else if (text.search(/\S/) < column)
      return [{ text: "does not stand under the text of its list item", line: number }];
    return [];
  });
}

/** Code spans in prose. */
export function spansOf(markdown: string): Code[] {
  return prose(markdown).flatMap(({ text, number }) =>
    [...text.matchAll(SPAN)].map((match) => ({ text: (match[2] ?? "").trim(), line: number })),
  );
}

const SHELLS = ["sh", "bash", "shell", "console", ""];

/** The command lines of shell blocks. A line that ends with a backslash is continued by the next. */
export function shellLinesOf(markdown: string): Code[] {
  const found: Code[] = [];
  let begun: Code | undefined;
  for (const { text, number, fence } of linesOf(markdown)) {
    if (fence === undefined || !SHELLS.includes(fence)) continue;
    const line: Code = begun
      ? { text: `${begun.text} ${text.trim()}`, line: begun.line }
      : { text, line: number };
    begun = line.text.endsWith("\\") ? { ...line, text: line.text.slice(0, -1) } : undefined;
    if (begun === undefined) found.push(line);
  }
  return found;
}

export interface Block extends Code {
  readonly language: string;
  /** Why the block is not run, from a comment above it: `<!-- not run: … -->`. */
  readonly reason: string | undefined;
}

/** All fenced blocks that are not empty. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let [reason, last]: [reason: string | undefined, last: number] = [undefined, 0];
  for (const { text, number, fence } of linesOf(markdown)) {
    if (fence === undefined) {
      const told = /^<!-- not run: (.+) -->$/.exec(text)?.[1];
      if (told !== undefined || text.trim() !== "") reason = told;
      continue;
    }
    const block = blocks.at(-1);
    // Lines of one block have consecutive numbers. Between two blocks there are at least the fences.
    if (block !== undefined && number === last + 1) {
      blocks[blocks.length - 1] = { ...block, text: `${block.text}\n${text}` };
    } else {
      blocks.push({ text, line: number, language: fence, reason });
      reason = undefined;
    }
    last = number;
  }
  return blocks;
}

/**
 * The simple commands of a command line, each as its words, without quotes, leading variables and redirections.
 * Here-documents and substitutions are not parsed.
 */
export function commandsOf(line: string): string[][] {
  const commands: string[][] = [[]];
  const tokens = line.matchAll(
    /\s+|#.*$|(\|\||&&|[|;&])|((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s|;&"'\\])+)/gs,
  );
  let isRedirected = false;
  for (const [token, operator, word] of tokens) {
    if (operator !== undefined) commands.push([]);
    if (token.startsWith("#") && word?.startsWith("#") !== false) break;
    if (word === undefined) continue;
    const text = unquoted(word);
    const isRedirection = /^\d*[<>]/.test(word);
    if (!isRedirection && !isRedirected) commands.at(-1)?.push(text);
    isRedirected = isRedirection && /[<>]$/.test(word);
  }
  return commands.map(withoutVariables).filter((words) => words.length > 0);
}

function unquoted(word: string): string {
  return word.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/gs, (_, double, single, escaped) =>
    double !== undefined ? double.replace(/\\(["\\$`])/g, "$1") : (single ?? escaped),
  );
}

/** The command without a shell prompt and `NAME=value` before it. */
function withoutVariables(words: readonly string[]): string[] {
  const first = words.findIndex((word) => word !== "$" && !/^[A-Za-z_]\w*=/.test(word));
  return first < 0 ? [] : words.slice(first);
}
