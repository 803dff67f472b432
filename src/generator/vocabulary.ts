// What the tokens of a vocabulary are, one by one: their bytes for the engine, which looks for stop strings, and their
// names for people, who want to see how likely each of them was.
import type { TokenBytes } from "../decoding/decoding-params.ts";
import type { TokenForm } from "../request/generation.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** The bytes of all tokens, in memory that threads share. Special tokens have none: they are not part of a text. */
export function tokenBytesOf(tokenizer: Tokenizer): TokenBytes {
  const { vocabSize } = tokenizer;
  const parts = Array.from({ length: vocabSize }, (_, id) => textBytes(tokenizer, id));
  const total = parts.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Uint8Array(new SharedArrayBuffer(total));
  const offsets = new Uint32Array(new SharedArrayBuffer(4 * (vocabSize + 1)));
  let end = 0;
  for (const [id, part] of parts.entries()) {
    bytes.set(part, end);
    end += part.length;
    offsets[id + 1] = end;
  }
  return { bytes, offsets };
}

/**
 * A token for people. Its name is its text, or where its bytes are no whole characters `bytes:` and these bytes: printable
 * ASCII but `\` as itself, the others as `\x` and two hexadecimal digits. So no two tokens share a name. An id without a token
 * is `token_id:` and its number.
 */
export function tokenForm(tokenizer: Tokenizer | undefined, id: number): TokenForm {
  const own = tokenizer?.tokenBytes(id);
  if (tokenizer === undefined || own === undefined) {
    return { name: `token_id:${id}`, bytes: new Uint8Array(0), isSpecial: false };
  }
  return { name: nameOf(own), bytes: textBytes(tokenizer, id), isSpecial: tokenizer.isSpecial(id) };
}

/** What a token adds to a text. None for special tokens, and for ids without a token. */
export function textBytes(tokenizer: Tokenizer, id: number): Uint8Array {
  const bytes = tokenizer.isSpecial(id) ? undefined : tokenizer.tokenBytes(id);
  return bytes ?? new Uint8Array(0);
}

function nameOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const escaped = Array.from(bytes, (byte) =>
      byte >= 0x20 && byte < 0x7f && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, "0")}`,
    );
    return `bytes:${escaped.join("")}`;
  }
}
