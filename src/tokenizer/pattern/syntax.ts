// What a regular expression says, as a tree. The notation is that of Oniguruma in Ruby's way, in which tokenizer.json files
// are written: `^` and `$` are ends of lines, `{1,3}+` is a repetition repeated. What remembers what was matched, such as a
// back-reference, has no place in this tree.
import type { Bounds } from "../unicode/code-point-set.ts";

export type Place = "lineStart" | "lineEnd" | "start" | "end" | "lastLineEnd" | "word" | "notWord";

export type Node =
  /** One character out of a set. */
  | { readonly kind: "set"; readonly bounds: Bounds }
  | { readonly kind: "sequence"; readonly items: readonly Node[] }
  /** The first option that leads to a match is taken. */
  | { readonly kind: "options"; readonly options: readonly Node[] }
  | {
      readonly kind: "repeat";
      readonly item: Node;
      readonly min: number;
      /** Infinity: without end. */
      readonly max: number;
      readonly lazy: boolean;
    }
  /** Once left, it is not entered again to match otherwise. */
  | { readonly kind: "atomic"; readonly item: Node }
  | { readonly kind: "ahead"; readonly item: Node; readonly isNegative: boolean }
  /** Looks at the one character before. */
  | { readonly kind: "behind"; readonly bounds: Bounds; readonly isNegative: boolean }
  | { readonly kind: "place"; readonly place: Place };

/** Says in a few words what a pattern has that cannot be read. */
export class PatternError extends Error {}
