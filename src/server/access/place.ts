// From which place a request may come where no key tells its caller: a browser on this machine sends requests for any page that
// is open in it. Origin names that page, and Host is another name where a page's own name was made to stand for this address
// (DNS rebinding). Programs send no Origin, and the name by which they reach the server.
import type { FastifyRequest } from "fastify";
import type { Settings } from "../../settings.ts";

export type PlaceSettings = Pick<Settings, "host" | "hostAlias">;

const LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"];

/** Whether only this machine reaches an address that a server listens on. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** What is wrong with the Host of a request, quoted; undefined where it is a name of this server. */
export function foreignHost({ headers }: FastifyRequest, settings: PlaceSettings): string | undefined {
  const host = hostOf(headers);
  const own = settings.host.toLowerCase();
  const isOwn = [...LOOPBACK_NAMES, own, `[${own}]`].includes(host.replace(/:\d*$/, ""));
  return isOwn || isAlias(host, settings) ? undefined : JSON.stringify(host.slice(0, 100));
}

/** The Origin of a request, quoted, where it is a page of another place; undefined where there is none. */
export function foreignOrigin({ headers }: FastifyRequest, settings: PlaceSettings): string | undefined {
  const { origin } = headers;
  if (origin === undefined) return undefined;
  const host = /^https?:\/\/(.+)$/.exec(origin)?.[1]?.toLowerCase();
  const isOwn = host !== undefined && (host === hostOf(headers) || isAlias(host, settings));
  return isOwn ? undefined : JSON.stringify(origin.slice(0, 100));
}

function hostOf({ host }: FastifyRequest["headers"]): string {
  return (host ?? "").toLowerCase();
}

function isAlias(host: string, { hostAlias }: PlaceSettings): boolean {
  return hostAlias.some((alias) => alias.toLowerCase() === host);
}
