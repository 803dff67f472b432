// Reads standard input as one text.
import { GptError } from "../errors.ts";

/**
 * All of standard input, without the line feed that `echo` and editors put at the end.
 * @throws GptError `invalid_config` when it is not UTF-8, or longer than `bytesMax`
 */
export async function readStandardInput(
  bytesMax: number,
  input: AsyncIterable<Buffer> = process.stdin,
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of input) {
    length += chunk.length;
    if (length > bytesMax) {
      throw new GptError(
        "invalid_config",
        `Standard input has more than ${bytesMax} bytes, see --body-bytes-max`,
      );
    }
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)).replace(/\r?\n$/, "");
  } catch {
    throw new GptError("invalid_config", "Standard input is not UTF-8 text");
  }
}
