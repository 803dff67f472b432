// The runtime door with the playground and a fake generator, and a browser with an open session.
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from "fastify";
import { PlaygroundSessions } from "../../src/server/access/playground-sessions.ts";
import type { AppOptions, Playground } from "../../src/server/doors/runtime.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../src/settings.ts";
import { aFront, type Front } from "./front.ts";

/** Headers of a browser at this address. */
export const PLACE = { host: "127.0.0.1:8080" };

const TYPES = {
  "index.html": "text/html; charset=utf-8",
  "app.js": "text/javascript; charset=utf-8",
  "app.css": "text/css; charset=utf-8",
  "icon.svg": "image/svg+xml",
};
const PAGE: Playground["files"] = new Map(
  Object.entries(TYPES).map(([name, type]) => {
    return [name, { type, bytes: Buffer.from(`the file for ${name}`), etag: `"${name}"` }];
  }),
);

export interface PlaygroundFront extends Front {
  readonly sessions: PlaygroundSessions;
  /** Tokens of the links that were printed after the first. */
  readonly nextTokens: readonly string[];
  /** Advances the clock of the sessions. */
  readonly pass: (ms: number) => void;
}

export function aPlayground(
  settings: Partial<Settings> = {},
  { files = PAGE, ...options }: Partial<AppOptions> & Partial<Pick<Playground, "files">> = {},
): PlaygroundFront {
  let now = 0;
  const nextTokens: string[] = [];
  const sessions = new PlaygroundSessions(
    { ...DEFAULT_SETTINGS, ...settings },
    () => now,
    (token) => nextTokens.push(token),
  );
  const front = aFront(settings, { playground: { sessions, files, release: "1.2.3" }, ...options });
  const pass = (ms: number): void => {
    now += ms;
  };
  return { ...front, sessions, nextTokens, pass };
}

/** Opens the link. Returns the cookie header for further requests. */
export async function cookieOf({ app, sessions }: PlaygroundFront): Promise<string> {
  const { headers } = await app.inject({ url: `/?token=${sessions.token}`, headers: PLACE });
  return String(headers["set-cookie"]).split(";", 1)[0] as string;
}

/** Sends a request as the page does. */
export function asPage(
  app: FastifyInstance,
  cookie: string,
  { url, body, headers = {} }: Pick<InjectOptions, "headers"> & { url: string; body?: unknown },
): Promise<LightMyRequestResponse> {
  const own = { ...PLACE, cookie, ...headers };
  if (body === undefined) return app.inject({ url, headers: own });
  return app.inject({ method: "POST", url, headers: own, payload: JSON.stringify(body) });
}
