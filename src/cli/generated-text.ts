// The forms in which `generate` prints an answer: as text, whole or while it is generated, or as one line of JSON.
import { generatedTexts } from "../request/answer.ts";
import type { Generation, GenerationParams, Generator } from "../request/generation.ts";
import { jsonLine } from "../wording.ts";

const RULE = `\n${"─".repeat(40)}\n`;

/** The generated texts, separated by a ruled line. */
export function answerInWords({ sequences }: Generation): string {
  return `${sequences.map(({ text }) => text).join(RULE)}\n`;
}

/** The same, but the first text is printed while it is generated. The others follow whole, because they stand below it. */
export async function answerWhileItGrows(
  generator: Generator,
  params: GenerationParams,
  write: (text: string) => void,
): Promise<void> {
  let length = 0;
  const generation = await generator.generate(params, {
    onPiece: ({ index, text }) => {
      if (index !== 0) return;
      write(text);
      length += text.length;
    },
  });
  write(answerInWords(generation).slice(length));
}

/** Everything known about an answer, as one line of JSON. */
export function answerLine(generation: Generation, generator: Generator, params: GenerationParams): string {
  const { name, precision } = generator.model;
  return jsonLine({
    sequences: generatedTexts(params, generation, (id) => generator.token(id)),
    seed: generation.seed,
    model: name,
    precision,
  });
}
