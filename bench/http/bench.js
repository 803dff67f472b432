// Measures the cost of HTTP, SigV4 and scheduling: this process sends signed requests to a server whose model costs nothing.
// `node bench/http/bench.js [--connections 16] [--requests 20000] [--json]`. The server must be built.
// @ts-check
import { fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { signRequest } from "../../dist/src/sigv4/index.js";
import { runLoad } from "../support/load.js";
import { describeMachine, machineLine } from "../support/machine.js";
import { KEY } from "../support/server-under-test.js";
import { percentile } from "../support/stats.js";
import { Connection } from "./connection.js";

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "16" },
    requests: { type: "string", default: "20000" },
    /** Options of the server's Node, such as `--cpu-prof` for a profile. */
    node: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
  },
});
const PATH = "/endpoints/gpt-2/invocations";
/** Different texts, so that a cache of prompts has no effect. */
const TEXTS = Array.from({ length: 16 }, (_, i) => `Chapter ${i + 1}: the storm came over the`);

/** Most requests here take one pass. The default request takes 90. */
const KINDS = [
  { name: "one pass, 3 sequences", fields: { max_new_tokens: 1 }, share: 1 },
  { name: "the default request, 90 passes", fields: {}, share: 0.02 },
];

/**
 * Signed requests as bytes. They are signed again every second, because a signature has the time.
 * @param {number} port
 * @param {object} fields
 */
function requestBytes(port, fields) {
  const url = `http://127.0.0.1:${port}${PATH}`;
  /** @type {Buffer[]} */
  let signed = [];
  let second = 0;
  return (/** @type {number} */ index) => {
    const now = Date.now();
    if (Math.floor(now / 1000) !== second) {
      second = Math.floor(now / 1000);
      signed = TEXTS.map((input) => signedRequest(url, JSON.stringify({ input, ...fields }), new Date(now)));
    }
    return /** @type {Buffer} */ (signed[index % signed.length]);
  };
}

/** @type {(url: string, body: string, now: Date) => Buffer} */
function signedRequest(url, body, now) {
  const headers = signRequest(
    { method: "POST", url, body, headers: { "content-type": "application/json", accept: "*/*" } },
    { credential: KEY, region: "us-east-1", service: "sagemaker", now },
  );
  const lines = Object.entries({ ...headers, "content-length": String(Buffer.byteLength(body)) });
  return Buffer.from(
    `POST ${PATH} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`,
  );
}

/** @type {import("node:child_process").ForkOptions} */
const options = { stdio: ["ignore", "inherit", "ignore", "ipc"], execArgv: values.node };
const server = fork(new URL("./server.js", import.meta.url), options);
server.once("exit", (code) => code && process.exit(code));
const [{ port }] = await once(server, "message");

const results = [];
for (const { name, fields, share } of KINDS) {
  const bytes = requestBytes(port, fields);
  for (const numConnections of [1, Number(values.connections)]) {
    const open = Array.from({ length: numConnections }, () => Connection.open(port));
    const connections = await Promise.all(open);
    const load = (/** @type {number} */ requests) =>
      runLoad({
        clients: numConnections,
        requests: Math.ceil(requests * share),
        async send(request, client) {
          const status = await /** @type {Connection} */ (connections[client]).send(bytes(request));
          if (status !== 200) throw new Error(`A request was answered with ${status}`);
        },
      });
    await load(3000); // Warms up: the compiler optimises the code.
    server.send("reset");
    const { seconds, latencies } = await load(Number(values.requests));
    server.send("report");
    const [{ loopDelayP99Ms, cpuMs }] = await once(server, "message");
    for (const connection of connections) connection.close();
    results.push({
      name,
      connections: numConnections,
      requestsPerSecond: latencies.length / seconds,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      loopDelayP99Ms,
      cpuMsPerRequest: cpuMs / latencies.length,
    });
  }
}
server.disconnect();
await once(server, "exit");

if (values.json) console.log(JSON.stringify({ machine: describeMachine(), results }));
else {
  console.log(machineLine());
  console.table(
    results.map(
      ({ name, connections, requestsPerSecond, p50Ms, p99Ms, loopDelayP99Ms, cpuMsPerRequest }) => ({
        request: name,
        connections,
        "requests/s": Math.round(requestsPerSecond),
        "p50 ms": Number(p50Ms.toFixed(2)),
        "p99 ms": Number(p99Ms.toFixed(2)),
        "server CPU ms": Number(cpuMsPerRequest.toFixed(3)),
        "loop delay p99 ms": Number(loopDelayP99Ms.toFixed(1)),
      }),
    ),
  );
}
