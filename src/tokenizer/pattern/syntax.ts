// A regular expression as a tree. The syntax is that of Oniguruma in its Ruby form, which tokenizer.json files use: `^` and `$`
// match the ends of lines, and `{1,3}+` repeats a repetition. Captures and back-references have no place in this tree.
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

/** Thrown for a pattern that cannot be read, with a few words for the reason. */
export class PatternError extends Error {}
