// The pre-tokenizers of tokenizer.json, which split a text into the pieces in which byte-pair encoding merges. They form a chain:
// each works on the pieces of the one before. An unknown one is refused by name. They behave as in Hugging Face's `tokenizers`.
import { asByteCharacters } from "./byte-map.ts";
import { gpt2Pieces } from "./gpt2-pieces.ts";
import { type JsonPart, type PartReaders, readSteps } from "./json-part.ts";
import { findCharacters, findTree, readPattern } from "./pattern/find.ts";
import type { Node } from "./pattern/syntax.ts";
import { BEHAVIORS, type Behavior, inTurn, type Splitter, splitAt } from "./splitting.ts";
import { parseRanges, whiteSpace, wordCharacters } from "./unicode/classes.ts";
import { type Bounds, boundsOf, CodePointSet, complement } from "./unicode/code-point-set.ts";
import { NUMERIC, PUNCTUATION } from "./unicode/tables.ts";

export interface PreTokenizer {
  readonly split: Splitter;
  /** Pieces stand for their bytes: tokens are written in the characters of the byte table. */
  readonly isByteLevel: boolean;
  /** No piece lacks what the text has; what it has more are spaces. */
  readonly isLossless: boolean;
  /** A space may be put before a piece. */
  readonly addsSpaces: boolean;
}

/** A step: a splitter, or "bytes", after which characters stand for bytes. */
type Step = { readonly split: Splitter; readonly removes?: boolean; readonly addsSpaces?: boolean } | "bytes";

/** @throws GptError naming the part of the file that is not known */
export function readPreTokenizer(part: JsonPart): PreTokenizer {
  const steps = readSteps(part, READERS, "pretokenizers");
  // As the last step it does nothing here: the model reads the bytes itself.
  const isByteLevel = steps.at(-1) === "bytes";
  const before = isByteLevel ? steps.slice(0, -1) : steps;
  return {
    split: inTurn(before.map((step) => (step === "bytes" ? intoByteCharacters : step.split))),
    isByteLevel,
    isLossless: before.every((step) => step !== "bytes" && !step.removes),
    addsSpaces: before.some((step) => step !== "bytes" && step.addsSpaces),
  };
}

/** GPT-2's own. */
export function gpt2PreTokenizer(addPrefixSpace: boolean): PreTokenizer {
  return {
    split: inTurn(addPrefixSpace ? [withSpace, gpt2Pieces] : [gpt2Pieces]),
    isByteLevel: true,
    isLossless: true,
    addsSpaces: addPrefixSpace,
  };
}

const READERS: PartReaders<Step> = {
  ByteLevel(part) {
    const space: Step[] = part.flag("add_prefix_space", false)
      ? [{ split: withSpace, addsSpaces: true }]
      : [];
    return [...space, ...(part.flag("use_regex", true) ? [{ split: gpt2Pieces }] : []), "bytes"];
  },
  Digits(part) {
    const find = findCharacters(new CodePointSet(parseRanges(NUMERIC)));
    return [{ split: splitAt(find, part.flag("individual_digits", false) ? "Isolated" : "Contiguous") }];
  },
  Punctuation(part) {
    const behavior = part.part("behavior").isAbsent ? "Isolated" : readBehavior(part);
    const find = findCharacters(new CodePointSet(parseRanges(PUNCTUATION)));
    return [{ split: splitAt(find, behavior), removes: behavior === "Removed" }];
  },
  Split(part) {
    const behavior = readBehavior(part);
    const split = splitAt(readPattern(part.part("pattern")), behavior, part.flag("invert", false));
    return [{ split, removes: behavior === "Removed" }];
  },
  Whitespace() {
    const words = parseRunsOf(wordCharacters(), complement(wordCharacters(), whiteSpace()));
    return [{ split: splitAt(findTree(words), "Removed", true), removes: true }];
  },
  WhitespaceSplit() {
    return [{ split: splitAt(findCharacters(new CodePointSet(whiteSpace())), "Removed"), removes: true }];
  },
  CharDelimiterSplit(part) {
    const delimiter = boundsOf(part.text("delimiter").codePointAt(0) ?? 0);
    return [{ split: splitAt(findCharacters(new CodePointSet(delimiter)), "Removed"), removes: true }];
  },
};

function readBehavior(part: JsonPart): Behavior {
  const name = part.text("behavior");
  const known = BEHAVIORS.find((behavior) => behavior === name);
  if (known === undefined) throw part.part("behavior").invalid(`one of ${BEHAVIORS.join(", ")}`);
  return known;
}

/** Splits into the longest runs of characters from one of the sets. */
function parseRunsOf(...sets: readonly Bounds[]): Node {
  const runs = sets.map((bounds): Node => {
    const item: Node = { kind: "set", bounds };
    return { kind: "repeat", item, min: 1, max: Number.POSITIVE_INFINITY, lazy: false };
  });
  return { kind: "options", options: runs };
}

function* withSpace(text: string): ReturnType<Splitter> {
  if (text !== "") yield text.startsWith(" ") ? text : ` ${text}`;
}

function* intoByteCharacters(...[text, work]: Parameters<Splitter>): ReturnType<Splitter> {
  const mapped = yield* asByteCharacters(text, work);
  if (mapped !== "") yield mapped;
}
