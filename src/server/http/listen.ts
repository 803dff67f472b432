// Makes an application listen: on one address, or on both addresses of "localhost" (IPv4 and IPv6). The second listener only
// passes its connections to the first server, so that there is one set of limits and one stop.
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { messageOf } from "../../errors.ts";
import type { App } from "./http-app.ts";

/** @throws Node's Error, with its `code`, if it cannot listen on the first address. */
export async function listenOn(app: App, host: string, port: number): Promise<void> {
  const addresses = host === "localhost" ? await lookup(host, { all: true }) : [{ address: host }];
  await listenOnAll(
    app,
    addresses.map(({ address }) => address),
    port,
  );
}

export async function listenOnAll(app: App, addresses: readonly string[], port: number): Promise<void> {
  const [first = "", ...others] = addresses;
  await app.listen({ host: first, port, listenTextResolver: (url) => `listening at ${url}` });
  const { port: taken } = app.server.address() as AddressInfo;
  for (const host of others) {
    const server = createServer((socket) => app.connections.accept(socket));
    try {
      await once(server.listen(taken, host), "listening");
      app.connections.closeWith(server);
    } catch (error) {
      app.log.warn(`not listening on ${host} too: ${messageOf(error)}`);
    }
  }
}
