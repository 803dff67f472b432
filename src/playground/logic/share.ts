// Links with a request: prompt, parameters and seed are in the fragment of the address, which browsers do not send. Anybody can write
// such a link, so it only fills the form and never runs by itself.

/** The version of the form, so that links of another version are refused. */
const FORM = "1";
/** Browsers and chat programs cut longer links. */
export const LINK_CHARACTERS_MAX = 32_000;

export type Parameters = Readonly<Record<string, unknown>>;

/** The fragment of a link; undefined if the request is too long. */
export function toFragment(parameters: Parameters): string | undefined {
  const bytes = new TextEncoder().encode(JSON.stringify(parameters));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const fragment = `#${FORM}.${btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
  return fragment.length > LINK_CHARACTERS_MAX ? undefined : fragment;
}

/** The request of a fragment; undefined if it has none. */
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
