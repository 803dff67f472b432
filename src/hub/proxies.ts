// Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as most programs read them. NO_PROXY is a list of
// hosts, separated by commas or blanks. An entry also matches all subdomains of its host, may name a port, and `*` matches
// everything. Address ranges (CIDR) are not supported, and ALL_PROXY is not read.
import { GptError } from "../errors.ts";
import type { Proxies } from "./hub-environment.ts";

/**
 * The proxy for an address. Undefined: a direct connection.
 * @throws GptError `invalid_config` when the variable does not hold an address.
 */
export function proxyFor(url: URL, { http, https, none }: Proxies): URL | undefined {
  // Without HTTPS_PROXY, HTTP_PROXY serves https too. undici and Python do so; curl does not.
  const text = url.protocol === "https:" ? https || http : http;
  if (text === "" || isExcepted(url, none)) return undefined;
  const address = text.includes("://") ? text : `http://${text}`;
  const proxy = URL.canParse(address) ? new URL(address) : undefined;
  if (proxy !== undefined && /^(https?|socks5?):$/.test(proxy.protocol)) return proxy;
  throw new GptError(
    "invalid_config",
    "HTTPS_PROXY and HTTP_PROXY must be addresses such as http://proxy.example:3128",
  );
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

function isExcepted(url: URL, none: string): boolean {
  const host = url.hostname.toLowerCase();
  const port = url.port || DEFAULT_PORTS[url.protocol];
  return none.split(/[,\s]+/).some((entry) => {
    if (entry === "*") return true;
    const [, name = entry, wantedPort] = /^(.+):(\d+)$/.exec(entry) ?? [];
    const domain = name.replace(/^\*?\./, "").toLowerCase();
    if (domain === "" || (wantedPort !== undefined && wantedPort !== port)) return false;
    return host === domain || host.endsWith(`.${domain}`);
  });
}
