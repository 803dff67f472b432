// A link that holds a request: prompt, parameters and seed, in the part of the address that browsers do not send. What comes in
// with such a link was written by anybody: it fills the form and is never run by itself.

/** So that a link of another form is refused and not misread. */
const FORM = "1";
/** Browsers and chats cut longer ones. */
export const LINK_CHARACTERS_MAX = 32_000;

export type Parameters = Readonly<Record<string, unknown>>;

/** The fragment of a link; undefined for a request that is too long for one. */
export function toFragment(parameters: Parameters): string | undefined {
  const bytes = new TextEncoder().encode(JSON.stringify(parameters));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const fragment = `#${FORM}.${btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
  return fragment.length > LINK_CHARACTERS_MAX ? undefined : fragment;
}

/** What a fragment holds; undefined for one that is no request of ours. */
export function fromFragment(fragment: string): Parameters | undefined {
  const match = /^#1\.([\w-]+)$/.exec(fragment);
  if (!match || fragment.length > LINK_CHARACTERS_MAX) return undefined;
  try {
    const binary = atob((match[1] as string).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Parameters) : undefined;
  } catch {
    return undefined;
  }
}
