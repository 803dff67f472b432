// Sends hundreds of thousands of broken requests to a real server on loopback: raw bytes that are almost HTTP, and signed JSON bodies
// that are almost valid. Every answer must be well-formed, and no answer may be an internal error. Every error must be a JSON object,
// the server must stay up, and its memory must not grow. `node conformance/fuzz/fuzz.js [--inputs N] [--seconds N] [--seed N]
// [--from dist]`.
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { KEY, randomFrom, startServer } from "../../bench/support/server-under-test.js";

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "100000" },
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "dist" },
  },
});
const INPUTS = Number(values.inputs);
const CONNECTIONS = 32;
/** Longer than the server's deadline: a request without an answer by then will never get one. */
const ANSWER_MS = 70_000;
/** More than the heap and its caches need after they have settled. */
const GROWTH_MB_MAX = 150;
const PATH = "/endpoints/gpt-2/invocations";

const { signRequest } = await import(pathToFileURL(resolve(values.from, "src/sigv4/index.js")).href);
const random = randomFrom(Number(values.seed));
const { below, pick } = random;
const failures = [];
const statuses = new Map();

function fail(what, input) {
  failures.push(`${what}: ${JSON.stringify(String(input).slice(0, 300))}`);
}

/** The right answer to a version of HTTP that the server does not speak. All other answers from 500 on are failures. */
const VERSION_NOT_SUPPORTED = 505;

/** The one rule for every answer. */
function judge(status, type, body, input) {
  statuses.set(status, (statuses.get(status) ?? 0) + 1);
  if (status >= 500 && status !== VERSION_NOT_SUPPORTED) fail(`status ${status}`, input);
  if (status === 200) return;
  const sentence = sentenceOf(body, type);
  if (typeof sentence !== "string")
    fail(`status ${status} without a JSON error, ${body.slice(0, 80)}`, input);
}

/** The sentence of an error in AWS's form, which also has a type in its headers, in TGI's form or in the playground's. */
function sentenceOf(body, type) {
  try {
    const { Message, message = Message, error } = JSON.parse(body);
    if (message !== undefined) return type ? message : undefined;
    return error?.message ?? error;
  } catch {
    return undefined;
  }
}

// JSON bodies

const FIELDS = [
  "input",
  "max_length",
  "max_new_tokens",
  "num_return_sequences",
  "mode",
  "top_p",
  "top_k",
  "temperature",
  "num_beams",
  "no_repeat_ngram_size",
  "seed",
  "prompt_token_ids",
  "__proto__",
  "constructor",
  "inputs",
  "",
];
const TEXTS = [
  "",
  "a",
  "beam",
  "greedy",
  "sample",
  "sample-top-p",
  "\u0000",
  "\ud800",
  "é🎈",
  "<|endoftext|>",
  "x".repeat(3000),
];
const NUMBERS = [0, 1, -1, 2, 3, 0.5, 1.5, 257, 1e9, -1e9, 2 ** 32, 2 ** 53, 1e308, 1e-308, -0];

function aValue(depth = 0) {
  const kind = below(depth > 4 ? 5 : 7);
  if (kind === 0) return pick(NUMBERS);
  if (kind === 1) return pick(TEXTS);
  if (kind === 2) return pick([true, false, null]);
  if (kind <= 4) return random.next() * 10 ** below(6);
  const entries = Array.from({ length: below(4) }, () => [pick(FIELDS), aValue(depth + 1)]);
  return kind === 5 ? entries.map(([, value]) => value) : Object.fromEntries(entries);
}

function aBody() {
  const fields = Object.fromEntries(Array.from({ length: below(6) }, () => [pick(FIELDS), aValue()]));
  // Sometimes a correct, short request.
  if (below(50) === 0)
    return JSON.stringify({ input: pick(["", "a"]), max_length: 3, num_return_sequences: 1 });
  const text =
    JSON.stringify(below(4) === 0 ? aValue() : { input: pick(TEXTS), max_length: 3, ...fields }) ?? "";
  return below(3) === 0 ? mutated(Buffer.from(text)) : Buffer.from(text);
}

function mutated(bytes) {
  const copy = Buffer.from(bytes);
  for (let i = 0; i <= below(4); i++) {
    if (copy.length > 0) copy[below(copy.length)] = below(256);
  }
  return below(3) === 0 ? copy.subarray(0, below(copy.length + 1)) : copy;
}

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

async function tryBody(server) {
  const body = Buffer.from(aBody());
  const path = below(10) === 0 ? `${PATH}-response-stream` : PATH;
  const headers = signRequest(
    { method: "POST", url: server.origin + path, body },
    { credential: KEY, region: "us-east-1", service: "sagemaker", now: new Date() },
  );
  const options = {
    port: server.port,
    host: "127.0.0.1",
    path,
    method: "POST",
    headers,
    agent,
    timeout: ANSWER_MS,
  };
  const sent = httpRequest(options);
  sent.on("timeout", () => sent.destroy(new Error("no answer")));
  sent.end(body);
  try {
    const [response] = await once(sent, "response");
    const chunks = [];
    for await (const chunk of response) chunks.push(chunk);
    judge(response.statusCode, response.headers["x-amzn-errortype"], Buffer.concat(chunks).toString(), body);
  } catch (error) {
    fail(`${error.message} to a body`, body);
  }
}

// Raw HTTP

const TARGETS = [
  PATH,
  "/ping",
  "/",
  "//",
  "/%zz",
  "/endpoints/../invocations",
  `${PATH}?${"a=b&".repeat(80)}`,
  "*",
  "x",
];
const NAMES = [
  "Host",
  "Content-Length",
  "Transfer-Encoding",
  "Expect",
  "Authorization",
  "X-Amz-Date",
  "Content-Type",
];
const VALUES = [
  "",
  "0",
  "2",
  "-1",
  "99999999999999999999",
  "chunked",
  "chunked, gzip",
  "100-continue",
  "x",
  "a;b=c",
  "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=",
  "AWS4-HMAC-SHA256 a",
  "Bearer x",
  "é",
  "x".repeat(9000),
];

function aRequest() {
  const lines = Array.from({ length: below(8) }, () => `${pick(NAMES)}: ${pick(VALUES)}`);
  const method = pick(["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "PRI", "post", "\u0000"]);
  const version = pick(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", ""]);
  const head = [`${method} ${pick(TARGETS)} ${version}`, ...lines, "Connection: close", "", ""].join("\r\n");
  const whole = Buffer.from(head + pick(["", "{}", "2\r\n{}\r\n0\r\n\r\n", "zz\r\n"]));
  return below(2) === 0 ? mutated(whole) : whole;
}

/** Sends the bytes and ends the connection. What comes back must be answers, or nothing if there was no complete request. */
async function tryRaw(server) {
  const bytes = aRequest();
  const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
  let received = "";
  socket.setEncoding("latin1").on("data", (data) => {
    received += data;
  });
  // A server that is done with a connection may reset it.
  socket.on("error", () => {});
  socket.setTimeout(ANSWER_MS, () => {
    fail("the connection hangs", bytes);
    socket.destroy();
  });
  socket.end(bytes);
  socket.on("end", () => socket.destroy());
  await once(socket, "close");
  const answer = received.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, "");
  if (answer === "") return;
  const [, status, head, body] = /^HTTP\/1\.1 (\d{3}) [^\r]*\r\n(.*?)\r\n\r\n(.*)$/s.exec(answer) ?? [];
  if (status === undefined) return fail(`an answer that is none, ${answer.slice(0, 80)}`, bytes);
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
  const isHead = /^HEAD /.test(bytes.toString("latin1"));
  const type = /^x-amzn-errortype: (.+)$/im.exec(head)?.[1];
  judge(Number(status), type, isHead ? '{"message":""}' : body.slice(0, length), bytes);
}

const server = await startServer(resolve(values.from, "src/cli/main.js"), [
  "--headers-timeout-ms",
  "2000",
  "--threads",
  "1",
]);
const deadline = Date.now() + Number(values.seconds) * 1000;
const warmUp = Math.floor(INPUTS / 3);
let started = 0;
let warmMb = 0;

async function work() {
  while (started < INPUTS && Date.now() < deadline && failures.length < 20) {
    started++;
    if (started === warmUp) warmMb = server.residentMb();
    await (started % 2 ? tryBody : tryRaw)(server);
    if (server.child.exitCode !== null) return fail("the server ended", "");
  }
}

await Promise.all(Array.from({ length: CONNECTIONS }, work));
agent.destroy();
const grownMb = server.residentMb() - warmMb;
if (grownMb > GROWTH_MB_MAX) fail(`memory grew by ${Math.round(grownMb)} MB`, "");
const pages = await server.metric("gpt2_kv_pages_in_use");
if (pages !== 0) fail(`${pages} pages did not come home`, "");
const code = await server.stop();
if (code !== 0) fail(`the server ended with ${code}`, "");
const table = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
process.stdout.write(
  `${started} inputs, seed ${values.seed}; answers ${table.join(", ")}; memory ${grownMb >= 0 ? "+" : ""}${grownMb.toFixed(1)} MB\n`,
);
for (const failure of failures) process.stdout.write(`${failure}\n`);
process.exit(failures.length > 0 || started < INPUTS ? 1 : 0);
