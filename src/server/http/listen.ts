// Where an application listens: on one address, or on both that a machine may have for "localhost". The second only hands its
// connections on, so that all limits and the stop are those of one server.
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { messageOf } from "../../errors.ts";
import type { App } from "./http-app.ts";

/** @throws Error of Node's, with its `code`, when the first address cannot be had. */
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
