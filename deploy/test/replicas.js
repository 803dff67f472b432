// Servers that stand in for each other, and clients who ask them through something: what the tests of proxies are made of.
// @ts-check
import { once } from "node:events";
import { Agent, request } from "node:http";
import { freePort, KEY, startServer } from "../../bench/support/server-under-test.js";
import { signRequest } from "../../dist/src/sigv4/index.js";
import { atEnd, eventually, isOk, MAIN } from "./support.js";

const PATH = "/endpoints/gpt-2/invocations";

/** Servers of the small model on ports of their own, with one thread each. */
export class Replicas {
  /** @type {number[]} */
  ports = [];
  /** @type {Awaited<ReturnType<typeof startServer>>[]} */
  servers = [];

  /** @param {readonly string[]} flags */
  constructor(flags = []) {
    this.flags = ["--threads", "1", "--kv-cache-mb", "32", "--drain-delay-ms", "3000", ...flags];
    atEnd(() => Promise.all(this.servers.map((server) => this.#end(server, "SIGKILL"))));
  }

  /** @param {number} count */
  async start(count) {
    for (let i = 0; i < count; i++) this.ports.push(await freePort());
    this.servers = await Promise.all(this.ports.map((port) => this.#launch(port)));
  }

  /** @param {number} port */
  #launch(port) {
    return startServer(MAIN, ["--port", String(port), ...this.flags]);
  }

  /** @param {Awaited<ReturnType<typeof startServer>>} server @param {NodeJS.Signals} signal */
  async #end({ child }, signal) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  /** Stops one as an operator does and starts its successor; resolves when that one answers clients again. */
  async restart(index) {
    await this.#end(this.servers[index], "SIGTERM");
    const server = await this.#launch(this.ports[index]);
    this.servers[index] = server;
    await eventually(
      "requests reach a server that was restarted",
      async () => (await server.metric("gpt2_generated_tokens_total")) > 0,
    );
  }

  /** @param {number} index */
  async kill(index) {
    await this.#end(this.servers[index], "SIGKILL");
  }

  /** @param {string} name of a metric @returns {Promise<number[]>} its value on each */
  metric(name) {
    return Promise.all(this.servers.map((server) => server.metric(name)));
  }

  /** The addresses of an example file, changed to those of these servers. @returns {Record<string, string>} */
  addresses(port = ":8080") {
    return Object.fromEntries(
      this.ports.map((own, i) => [
        `192.0.2.${i + 1}${port}`,
        `127.0.0.1${port.replace("8080", String(own))}`,
      ]),
    );
  }
}

/**
 * One signed request; rejects unless it is answered with 200.
 * @param {string} origin
 * @param {object} fields
 * @param {Agent | undefined} [agent]
 * @param {string} [path]
 * @returns {Promise<{text: string, firstMs: number, totalMs: number}>} the answer, and when its first and last bytes came
 */
export function ask(origin, fields, agent, path = PATH) {
  const body = JSON.stringify(fields);
  const headers = signRequest(
    { method: "POST", url: origin + path, body },
    { credential: KEY, region: "us-east-1", service: "sagemaker", now: new Date() },
  );
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const options = { method: "POST", headers, agent: agent ?? false, timeout: 60_000 };
    const sent = request(origin + path, options, (response) => {
      let text = "";
      let firstMs = 0;
      response.setEncoding("utf8").on("data", (chunk) => {
        firstMs ||= performance.now() - began;
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => {
        const totalMs = performance.now() - began;
        if (response.statusCode === 200 && response.complete) resolve({ text, firstMs, totalMs });
        else reject(new Error(`${response.statusCode}: ${text.slice(0, 300)}`));
      });
    });
    sent.on("error", reject).on("timeout", () => sent.destroy(new Error("no answer in a minute")));
    sent.end(body);
  });
}

/** Clients who each send their next request when the last is answered, every second of them on a connection that he keeps. */
export class Clients {
  answers = 0;
  /** @type {string[]} */
  failures = [];
  /** @type {Promise<unknown>[]} */
  #running = [];
  #goesOn = true;

  /**
   * @param {number} count
   * @param {string} origin
   * @param {(i: number) => object} fields of the i-th request
   * @param {string} [path]
   */
  constructor(count, origin, fields, path) {
    let next = 0;
    for (let client = 0; client < count; client++) {
      const agent = client % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
      this.#running.push(
        this.#run(() => ask(origin, fields(next++), agent, path)).finally(() => agent?.destroy()),
      );
    }
  }

  /** @param {() => Promise<unknown>} send */
  async #run(send) {
    while (this.#goesOn) {
      try {
        await send();
        this.answers++;
      } catch (error) {
        this.failures.push(String(error));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Resolves when so many more answers have come. @param {number} count */
  async served(count) {
    const wanted = this.answers + count;
    await eventually(`${count} answers`, async () => this.answers >= wanted, 60);
  }

  async stop() {
    this.#goesOn = false;
    await Promise.all(this.#running);
  }
}

/** @param {string} origin */
export async function healthy(origin) {
  await eventually(`${origin} is ready`, () => isOk(`${origin}/ping`));
}
