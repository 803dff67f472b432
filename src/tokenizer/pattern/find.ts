// Finds places in a text by a regular expression, by a text, or by a set of characters. All find matches from left to right
// without overlap, count their work, and can pause between two matches.
import type { JsonPart } from "../json-part.ts";
import { invalidTokenizer } from "../tokenizer-parts.ts";
import type { CodePointSet } from "../unicode/code-point-set.ts";
import type { Work } from "../work.ts";
import { matchesOf } from "./matcher.ts";
import { parsePattern } from "./parse.ts";
import { compile } from "./program.ts";
import { type Node, PatternError } from "./syntax.ts";

/** Where matches begin and end; undefined where the share of work is used up. */
export type Matches = Generator<readonly [start: number, end: number] | undefined, void>;
export type FindMatches = (text: string, work: Work) => Matches;

/** A pattern as tokenizer.json has it: {"String": …} or {"Regex": …}. @throws GptError for one that cannot be read */
export function readPattern(part: JsonPart): FindMatches {
  const literal = part.part("String");
  if (!literal.isAbsent) {
    const text = part.text("String");
    if (text === "") throw literal.invalid("a text that is not empty");
    return (...args) => literalMatches(text, ...args);
  }
  const source = part.part("Regex");
  if (source.isAbsent) throw part.invalid('an object with "String" or "Regex"');
  try {
    return findTree(parsePattern(part.text("Regex")));
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    const problem = `${source.path} has ${error.message}, which is not known here`;
    throw invalidTokenizer(part.file, problem, { cause: error });
  }
}

/** @throws PatternError if the program becomes too long */
export function findTree(tree: Node): FindMatches {
  const program = compile(tree);
  return (text, work) => matchesOf(program, text, work);
}

function* literalMatches(literal: string, text: string, work: Work): Matches {
  for (let from = 0; ; ) {
    const start = text.indexOf(literal, from);
    const end = start < 0 ? text.length : start + literal.length;
    work.left -= end - from;
    if (work.left < 0) yield undefined;
    if (start < 0) return;
    yield [start, end];
    from = end;
  }
}

/** Finds each character of a set as a match of its own. */
export function findCharacters(set: CodePointSet): FindMatches {
  return function* (text, work) {
    for (let at = 0; at < text.length; ) {
      const code = text.codePointAt(at)!;
      const end = at + (code > 0xffff ? 2 : 1);
      if (--work.left < 0) yield undefined;
      if (set.has(code)) yield [at, end];
      at = end;
    }
  };
}
