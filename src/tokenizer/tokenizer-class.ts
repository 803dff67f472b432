// What a tokenizer's class changes. `transformers` reads the same tokenizer.json in two ways. GPT2Tokenizer takes the vocabulary,
// the added tokens and the post-processor, and ignores the rest of the file in favour of GPT-2's own stages. Every other class
// does what the file says. Source: transformers 5, tokenization_gpt2.py.
import { quote } from "../wording.ts";
import { type Decoder, readDecoder } from "./decoders.ts";
import { JsonPart } from "./json-part.ts";
import { type Normalizer, readNormalizer } from "./normalizers.ts";
import { gpt2PreTokenizer, type PreTokenizer, readPreTokenizer } from "./pre-tokenizers.ts";
import { SIDE_FILE_NAMES, type SideFiles } from "./special-tokens.ts";
import { type BpeOptions, parseBpeOptions } from "./tokenizer-json.ts";
import { invalidTokenizer, type JsonRecord } from "./tokenizer-parts.ts";

/** Classes that always mean GPT-2's own stages, and classes that mean the stages of tokenizer.json. */
const GPT2_CLASSES = ["GPT2Tokenizer", "CodeGenTokenizer"];
const GENERAL_CLASSES = ["PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"];

/** The stages between added tokens and post-processor, and back. */
export interface Stages {
  readonly normalizer: Normalizer | undefined;
  readonly preTokenizer: PreTokenizer;
  readonly model: BpeOptions;
  readonly decoder: Decoder;
}

/**
 * Whether the checkpoint's tokenizer is of GPT-2's own class, which it is when no file names one.
 * @throws GptError `invalid_tokenizer` for a class that is not known here and that no tokenizer.json describes
 */
export function isGpt2Class({ config, model }: SideFiles, directory: string, hasJson: boolean): boolean {
  const name = config?.tokenizer_class ?? model?.tokenizer_class ?? GPT2_CLASSES[0];
  const isOneOf = (classes: readonly string[]): boolean =>
    classes.some((known) => name === known || name === `${known}Fast`);
  if (!hasJson && !isOneOf([...GPT2_CLASSES, ...GENERAL_CLASSES])) {
    const file = `${directory}/${config?.tokenizer_class ? SIDE_FILE_NAMES.config : SIDE_FILE_NAMES.model}`;
    const expected = `expected ${GPT2_CLASSES[0]}, or a tokenizer.json that describes it`;
    throw invalidTokenizer(file, `tokenizer_class is ${quote(name)}; ${expected}`);
  }
  return isOneOf(GPT2_CLASSES) || !hasJson;
}

/** GPT-2's own stages. */
export function gpt2Stages(addPrefixSpace: boolean): Stages {
  return {
    normalizer: undefined,
    preTokenizer: gpt2PreTokenizer(addPrefixSpace),
    model: { unknownToken: undefined },
    decoder: "ByteLevel",
  };
}

/** The stages of a tokenizer.json. @throws GptError `invalid_tokenizer` that names the unknown part */
export function stagesOf(json: JsonRecord, file: string): Stages {
  const part = (name: string): JsonPart => new JsonPart(file, name, json[name]);
  return {
    normalizer: readNormalizer(part("normalizer")),
    preTokenizer: readPreTokenizer(part("pre_tokenizer")),
    model: parseBpeOptions(json, file),
    decoder: readDecoder(part("decoder")),
  };
}
