// The tokens of a vocabulary one by one: their bytes, in which the engine looks for stop strings, and their readable names,
// for lists of log-probabilities.
import type { TokenBytes } from "../decoding/decoding-params.ts";
import type { TokenForm } from "../request/generation.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** The bytes of all tokens, in memory shared between threads. Special tokens have none: they are not part of a text. */
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
 * The readable form of a token. Its name is its text. If its bytes are not whole characters, the name is `bytes:` and the
 * bytes: printable ASCII except `\` as itself, all others as `\x` and two hexadecimal digits. So no two tokens have the same
 * name. An id without a token is called `token_id:` and its number.
 */
export function tokenForm(tokenizer: Tokenizer | undefined, id: number): TokenForm {
  const own = tokenizer?.tokenBytes(id);
  if (tokenizer === undefined || own === undefined) {
    return { name: `token_id:${id}`, bytes: new Uint8Array(0), isSpecial: false };
  }
  return { name: nameOf(own), bytes: textBytes(tokenizer, id), isSpecial: tokenizer.isSpecial(id) };
}

/** The bytes that a token adds to a text. Empty for special tokens and for ids without a token. */
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
