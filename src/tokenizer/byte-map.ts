// GPT-2's reversible table between bytes and printable characters: tokens of a byte-level vocabulary are written with it
// in vocab.json and merges.txt. It is not an encoding of text: "é" in a token is the byte 0xE9, not a letter.
// Source: `bytes_to_unicode` of the GPT-2 release. Bytes that print keep their code point; the other 68, in ascending
// order, become U+0100, U+0101 and so on (space is "Ġ", newline is "Ċ").

const FIRST_SUBSTITUTE = 0x100;

function isPrintable(byte: number): boolean {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

function buildTable(): string[] {
  let substitute = FIRST_SUBSTITUTE;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isPrintable(byte) ? byte : substitute++),
  );
}

/** The character that stands for each byte. */
export const BYTE_TO_CHAR: readonly string[] = buildTable();

const CHAR_TO_BYTE: ReadonlyMap<string, number> = new Map(BYTE_TO_CHAR.map((char, byte) => [char, byte]));

/** The bytes a token of the vocabulary stands for; undefined when it has a character outside the table. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length); // Every character of the table is one UTF-16 unit.
  for (let i = 0; i < token.length; i++) {
    const byte = CHAR_TO_BYTE.get(token.charAt(i));
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** Whether a token is written in the table's characters throughout. */
export function isByteLevelToken(token: string): boolean {
  for (let i = 0; i < token.length; i++) {
    if (!CHAR_TO_BYTE.has(token.charAt(i))) return false;
  }
  return true;
}
