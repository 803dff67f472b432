// GPT-2's reversible table between bytes and printable characters. Byte-level tokens are written with it in vocab.json and
// merges.txt. It is no encoding of text: "é" in a token is the byte 0xE9, not a letter. Printable bytes keep their code point.
// The other 68, in ascending order, become U+0100, U+0101 and so on (space is "Ġ", newline is "Ċ").
// Source: `bytes_to_unicode` of the GPT-2 release.
import type { Steps, Work } from "./work.ts";

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

/** By UTF-16 unit; −1: not a character of the table. All of them are below U+0144. */
const CHAR_TO_BYTE = new Int16Array(0x144).fill(-1);
for (const [byte, char] of BYTE_TO_CHAR.entries()) CHAR_TO_BYTE[char.charCodeAt(0)] = byte;

/** The bytes a token of the vocabulary stands for; undefined when it has a character outside the table. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length); // Every character of the table is one UTF-16 unit.
  for (let i = 0; i < token.length; i++) {
    const byte = CHAR_TO_BYTE[token.charCodeAt(i)] ?? -1;
    if (byte < 0) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** Whether all characters of a token are in the table. */
export function isByteLevelToken(token: string): boolean {
  for (let i = 0; i < token.length; i++) {
    if ((CHAR_TO_BYTE[token.charCodeAt(i)] ?? -1) < 0) return false;
  }
  return true;
}

const utf8 = new TextEncoder();
const UNITS_AT_A_TIME = 4096;

/** A text, with each byte written as its character in the table. */
export function* asByteCharacters(text: string, work: Work): Steps<string> {
  const parts: string[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + UNITS_AT_A_TIME, text.length);
    if (end < text.length && text.codePointAt(end - 1)! > 0xffff) end++; // Never split a surrogate pair.
    const bytes = utf8.encode(text.slice(start, end));
    parts.push(Array.from(bytes, (byte) => BYTE_TO_CHAR[byte]!).join(""));
    work.left -= bytes.length;
    if (work.left < 0) yield undefined;
    start = end;
  }
  return parts.join("");
}
