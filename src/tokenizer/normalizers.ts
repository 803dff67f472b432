// The normalizers of tokenizer.json, which change a text before it is split into pieces. They run one after the other. An
// unknown normalizer is refused by name. GPT-2 itself has none.

import { asByteCharacters } from "./byte-map.ts";
import { type JsonPart, type PartReaders, readSteps } from "./json-part.ts";
import { type FindMatches, readPattern } from "./pattern/find.ts";
import { whiteSpace } from "./unicode/classes.ts";
import { CodePointSet } from "./unicode/code-point-set.ts";
import { lowerCaseOf } from "./unicode/lower-case.ts";
import { type NormalForm, Normalization } from "./unicode/normal-forms.ts";
import type { Steps, Work } from "./work.ts";

export type Normalizer = (text: string, work: Work) => Steps<string>;

/** @throws GptError naming the part of the file that is not known */
export function readNormalizer(part: JsonPart): Normalizer | undefined {
  const normalizers = readSteps(part, READERS, "normalizers");
  if (normalizers.length === 0) return undefined;
  return function* (text, work) {
    let normalized = text;
    for (const normalize of normalizers) normalized = yield* normalize(normalized, work);
    return normalized;
  };
}

const READERS: PartReaders<Normalizer> = {
  NFC: () => [normalForm("NFC")],
  NFD: () => [normalForm("NFD")],
  NFKC: () => [normalForm("NFKC")],
  NFKD: () => [normalForm("NFKD")],
  Lowercase: () => [lowerCase],
  Replace: (part) => [replace(readPattern(part.part("pattern")), part.text("content"))],
  Prepend(part) {
    const prefix = part.text("prepend");
    return [immediately((text) => (text === "" ? "" : prefix + text))];
  },
  Strip: (part) => [strip(part.flag("strip_left", true), part.flag("strip_right", true))],
  ByteLevel: () => [asByteCharacters],
};

function normalForm(form: NormalForm): Normalizer {
  const normalization = new Normalization(form);
  return (text, work) => normalization.normalize(text, work);
}

/** Wraps a function whose cost is negligible. */
function immediately(change: (text: string) => string): Normalizer {
  // biome-ignore lint/correctness/useYield: it is one step
  return function* (text) {
    return change(text);
  };
}

function* lowerCase(text: string, work: Work): Steps<string> {
  const parts: string[] = [];
  let part = "";
  for (const char of text) {
    part += lowerCaseOf(char.codePointAt(0)!);
    if (--work.left < 0) {
      parts.push(part);
      part = "";
      yield undefined;
    }
  }
  return parts.join("") + part;
}

/** Replaces each match by a text. */
function replace(find: FindMatches, content: string): Normalizer {
  return function* (text, work) {
    const parts: string[] = [];
    let done = 0;
    for (const match of find(text, work)) {
      if (match === undefined) {
        yield undefined;
        continue;
      }
      parts.push(text.slice(done, match[0]), content);
      done = match[1];
    }
    return parts.join("") + text.slice(done);
  };
}

function strip(left: boolean, right: boolean): Normalizer {
  const spaces = new CodePointSet(whiteSpace()); // Each is one UTF-16 unit long.
  return function* (text, work) {
    let [start, end] = [0, text.length];
    for (; left && start < end && spaces.has(text.charCodeAt(start)); start++) {
      if (--work.left < 0) yield undefined;
    }
    for (; right && end > start && spaces.has(text.charCodeAt(end - 1)); end--) {
      if (--work.left < 0) yield undefined;
    }
    return text.slice(start, end);
  };
}
