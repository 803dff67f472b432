// The post-processors of tokenizer.json, which add tokens before and after those of a text, such as a start token. They run one
// after the other. An unknown one is refused by name. GPT-2 itself adds none.
import { type JsonPart, type PartReaders, readSteps } from "./json-part.ts";
import { parseTokenId } from "./tokenizer-parts.ts";

/** Adds tokens around those of a text. */
export type PostProcessor = (ids: number[]) => number[];

/** @throws GptError naming the part of the file that is not known */
export function readPostProcessor(part: JsonPart): PostProcessor {
  const steps = readSteps(part, READERS, "processors");
  const templates = steps.flatMap((step) => ("template" in step ? [step.template] : []));
  if (templates.length > 1 && templates[0]!.length > 1) throw part.invalid("one TemplateProcessing at most");
  return process(steps);
}

/** Adds a start token before a text and an end token after it, if they exist. */
export function putAround(startId: number | undefined, endId: number | undefined): PostProcessor {
  const entry = (id: number | undefined): Template => (id === undefined ? [] : [[id]]);
  return process([{ template: [...entry(startId), null, ...entry(endId)] }]);
}

/** A template: token ids, and null for the place of the text. */
type Template = readonly (number[] | null)[];

/**
 * A text is one section at first; a template makes a section of each of its entries. What goes around sections goes around
 * every one of them, with another token before all but the first, if any.
 */
type Step =
  | { readonly template: Template }
  | { readonly first: number; readonly other?: number; readonly last: number };

function process(steps: readonly Step[]): PostProcessor {
  return (ids) => {
    let sections = [ids];
    for (const step of steps) {
      if ("template" in step) {
        const text = sections.flat();
        sections = step.template.map((entry) => entry ?? text);
      } else {
        const { first, other, last } = step;
        const before = (i: number): number[] => (i === 0 ? [first] : other === undefined ? [] : [other]);
        sections = sections.map((section, i) => [...before(i), ...section, last]);
      }
    }
    return sections.flat();
  };
}

const READERS: PartReaders<Step> = {
  ByteLevel: () => [], // Changes offsets only.
  TemplateProcessing: (part) => [{ template: readTemplate(part) }],
  BertProcessing: (part) => [{ first: pairId(part.part("cls")), last: pairId(part.part("sep")) }],
  RobertaProcessing(part) {
    const [first, last] = [pairId(part.part("cls")), pairId(part.part("sep"))];
    return [{ first, other: last, last }];
  },
};

function readTemplate(part: JsonPart): Template {
  return part.list("single").flatMap((entry): Template => {
    const special = entry.part("SpecialToken");
    if (special.isAbsent) {
      if (entry.part("Sequence").part("id").value === "A") return [null];
      throw entry.invalid('a SpecialToken, or the Sequence "A"');
    }
    const name = special.text("id");
    const ids = part.part("special_tokens").part(name).list("ids");
    return [ids.map((id) => parseTokenId(id.value, name, part.file))];
  });
}

/** The id in a pair of a token and its id. */
function pairId(part: JsonPart): number {
  const { value } = part;
  if (!Array.isArray(value) || typeof value[0] !== "string") throw part.invalid("a token and its id");
  return parseTokenId(value[1], value[0], part.file);
}
