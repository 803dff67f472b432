// HTTP proxies for tests. They open tunnels or refuse to.
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { TestContext } from "node:test";

export interface TestProxy {
  readonly url: string;
  /** The requested tunnels, as `host:port`, and their credentials. */
  readonly asked: { readonly target: string; readonly credentials: string | undefined }[];
}

interface ProxyOptions {
  /** A status to answer instead of opening a tunnel. */
  readonly status?: number;
  /** The number of requests that get no tunnel. */
  readonly numSilent?: number;
  /** The target of every tunnel. Default: the requested one. */
  readonly target?: string;
}

export async function aProxy(context: TestContext, options: ProxyOptions = {}): Promise<TestProxy> {
  const { status, numSilent = 0, target } = options;
  const asked: TestProxy["asked"] = [];
  const server = createServer().on("connect", ({ url = "", headers }, socket) => {
    asked.push({ target: url, credentials: headers["proxy-authorization"] });
    context.after(() => socket.destroy());
    if (asked.length <= numSilent) return;
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(target ?? `http://${url}`);
    const inner = connect(Number(port), hostname, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      inner.pipe(socket).pipe(inner);
    });
    inner.on("error", () => socket.destroy());
    socket.on("error", () => inner.destroy()).on("close", () => inner.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
