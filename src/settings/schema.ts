// The schema of every setting: range, default and help, in the groups in which people see them. A setting's flag and variable
// are derived from its name, and all its texts from its schema; see `settings.ts`.
import { z } from "zod";
import { DEFAULT_PASS } from "../model/backend.ts";
import { PLAYGROUND } from "./playground.ts";

const MINUTE_MS = 60_000;

/** The form of an endpoint's name in the SageMaker API, and its longest length in characters. */
export const ENDPOINT_NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9])*$/;
export const ENDPOINT_NAME_MAX = 63;
const ENDPOINT = new RegExp(`^(?=[^=]{1,${ENDPOINT_NAME_MAX}}(=|$))[a-zA-Z0-9](-*[a-zA-Z0-9])*(=.+)?$`);

const MODEL = {
  model: z
    .string()
    .min(1)
    .default("tiny")
    .describe(
      "Checkpoint to load: a directory, the name of a model that is shipped, or one on the hub: gpt2 or " +
        "owner/name, perhaps with @revision.",
    ),
  offline: z
    .boolean()
    .default(false)
    .describe(
      "Fetches no model: one of the hub must be in its cache. HF_HUB_OFFLINE=1 does the same for other programs too.",
    ),
  precision: z
    .enum(["int8", "f32"])
    .default("int8")
    .describe(
      "Number format of the computation: int8 is fast and small, f32 gives the token ids of transformers.",
    ),
  threads: z
    .int()
    .min(0)
    .max(256)
    .default(0)
    .describe(
      "Threads that compute for one model; 0: as many as this process may use cores, or as a container's CPU quota, " +
        "rounded up, pays for.",
    ),
  kernels: z
    .enum(["auto", "wasm"])
    .default("auto")
    .describe(
      "Machine code to compute with: auto takes the native kernels where they were built and the processor has their " +
        "instructions, wasm stays inside WebAssembly. The answers are the same, the speed is not.",
    ),
  kvCacheMb: z
    .int()
    .min(1)
    .max(65_536)
    .default(256)
    .describe("Memory in MiB for the keys and values of all running sequences and of the prefix cache."),
  prefixCache: z
    .enum(["on", "off"])
    .default("on")
    .describe(
      "Keeps keys and values of earlier requests for prompts that begin alike, in what running requests leave of " +
        "--kv-cache-mb.",
    ),
  speculation: z
    .enum(["on", "off"])
    .default("off")
    .describe(
      "Guesses tokens from the text so far and computes several at once where that is quicker. The answers are the same, " +
        "the speed is not.",
    ),
  weightCacheMb: z
    .int()
    .min(0)
    .max(1_048_576)
    .default(4096)
    .describe(
      "Disk space in MiB for quantised weights, which are kept in the user's cache folder so that the next start is " +
        "quicker; 0: none are kept.",
    ),
  reloadInPlace: z
    .boolean()
    .default(false)
    .describe(
      "Where memory does not allow a new checkpoint beside the old one, a reload ends the old one first, and nobody is " +
        "answered meanwhile; without it such a reload is refused.",
    ),
  reloadLingerMs: z
    .int()
    .min(0)
    .max(60 * MINUTE_MS)
    .default(MINUTE_MS)
    .describe(
      "Time in which the old model of a reload finishes its requests, in milliseconds; those that are open then are given up.",
    ),
  watchModel: z
    .boolean()
    .default(false)
    .describe(
      "Reloads a model when its files have changed, or when its revision on the hub has moved, without being told to.",
    ),
  watchHubIntervalMs: z
    .int()
    .min(MINUTE_MS)
    .max(7 * 24 * 60 * MINUTE_MS)
    .default(15 * MINUTE_MS)
    .describe(
      "How often --watch-model asks the hub whether a revision has moved, in milliseconds; never while offline.",
    ),
  passTokensMax: z
    .int()
    .min(128)
    .max(2048)
    .default(DEFAULT_PASS.tokens)
    .describe(
      "Tokens that are computed in one pass of the model; more make long prompts quicker and hold up everybody else " +
        "for longer.",
    ),
  passRowsMax: z
    .int()
    .min(1)
    .max(128)
    .default(DEFAULT_PASS.rows)
    .describe(
      "Sequences or beams that get a token in one pass of the model; a request that needs more at once is refused.",
    ),
};

const ADDRESS = {
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
  port: z.int().min(0).max(65_535).default(8080).describe("Port to listen on; 0 takes any free one."),
  endpoint: z
    .array(z.string().regex(ENDPOINT))
    .min(1)
    .default(["gpt-2"])
    .describe(
      `Endpoint to serve: a name of letters, digits and inner hyphens, at most ${ENDPOINT_NAME_MAX} characters, or NAME=MODEL for another ` +
        "model than --model; may be repeated.",
    ),
  hostAlias: z
    .array(z.string().min(1))
    .default([])
    .describe(
      "Further host (with port) of this server, as behind a proxy: clients may have signed it, pages may come from it; may be repeated.",
    ),
  tlsCert: z
    .string()
    .default("")
    .describe("PEM file of the certificate and its chain, for HTTPS; read again when it changes."),
  tlsKey: z.string().default("").describe("PEM file of the certificate's private key."),
  adminHost: z.string().min(1).default("127.0.0.1").describe("Address of the admin port."),
  adminPort: z
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .describe("Port for /metrics, /healthz, /readyz and /openapi.json; 0: none."),
};

const ACCESS = {
  auth: z
    .enum(["sigv4", "bearer", "any", "none"])
    .default("sigv4")
    .describe("Who may call: holders of a key pair, holders of an API key, either, or everybody."),
  insecurePublic: z
    .boolean()
    .default(false)
    .describe("Allows --auth none on an address that other machines can reach."),
  region: z
    .string()
    .min(1)
    .default("us-east-1")
    .describe('Region that requests must be signed for; "any" accepts every region.'),
  clockSkewSeconds: z
    .int()
    .min(1)
    .max(900)
    .default(300)
    .describe("How far the time of a signature may be from the server's, in seconds."),
  credentialsFile: z
    .string()
    .default("")
    .describe("JSON file of key pairs and the endpoints each may invoke; read again when it changes."),
  apiKeysFile: z
    .string()
    .default("")
    .describe(
      "JSON file of hashed API keys for --auth bearer and any, as `gpt2-api api-key` makes them; read again when it changes.",
    ),
  keyFileGraceMs: z
    .int()
    .min(0)
    .max(60 * MINUTE_MS)
    .default(30_000)
    .describe(
      "How long the last good keys stay valid when a key file cannot be read or used, in milliseconds; the keys of a file " +
        "that is gone are valid no longer at once.",
    ),
  debugSignature: z
    .boolean()
    .default(false)
    .describe("Answers a signature that does not match with the strings that should have been signed."),
};

const REQUEST = {
  bodyBytesMax: z
    .int()
    .min(1024)
    .max(26_214_400)
    .default(6_291_456)
    .describe("Largest request body, in bytes."),
  maxNumReturnSequences: z
    .int()
    .min(1)
    .max(64)
    .default(64)
    .describe("Largest num_return_sequences of a request."),
  maxNumBeams: z.int().min(1).max(64).default(32).describe("Largest num_beams of a request."),
  engineStallTimeoutMs: z
    .int()
    .min(1000)
    .max(60 * MINUTE_MS)
    .default(30_000)
    .describe(
      "Time after which an engine that has requests and reports no pass counts as dead, in milliseconds; it is then " +
        "restarted once.",
    ),
  requestDeadlineMs: z
    .int()
    .min(1000)
    .max(60 * MINUTE_MS)
    .default(55_000)
    .describe(
      "Time in which a request must be answered, in milliseconds; boto3 gives up after 60 seconds and asks again.",
    ),
};

const SERVER = {
  bodiesBytesMax: z
    .int()
    .min(1024)
    .max(2 ** 40)
    .default(67_108_864)
    .describe(
      "Bytes of unfinished request bodies held at a time, over all connections, at least --body-bytes-max; above it the " +
        "largest of them is refused with 503.",
    ),
  refusedBytesMax: z
    .int()
    .min(0)
    .max(2 ** 40)
    .default(26_214_400)
    .describe(
      "Bytes of a refused request's body that are still received and dropped, so that its client reads the answer; then " +
        "the connection is closed.",
    ),
  queueRequestsMax: z
    .int()
    .min(1)
    .max(10_000)
    .default(256)
    .describe("Requests accepted and not finished; further ones are refused with 503."),
  queueTokensMax: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(0)
    .describe(
      "Tokens, of prompts and still to come, of the requests that wait; further ones are refused with 503; 0: any number.",
    ),
  keyRequestsPerSecond: z
    .int()
    .min(0)
    .max(100_000)
    .default(0)
    .describe("Requests a key may make in a second; further ones are refused with 429; 0: any number."),
  keyRequestsMax: z
    .int()
    .min(0)
    .max(10_000)
    .default(0)
    .describe(
      "Requests of one key that may be open at a time; further ones are refused with 429; 0: any number.",
    ),
  connectionsMax: z
    .int()
    .min(1)
    .max(65_536)
    .default(1024)
    .describe("Connections open at a time; further ones are closed at once."),
  connectionRequestsMax: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(0)
    .describe(
      "Requests answered on one connection; the last answer says that the connection ends, so that a client's next one " +
        "may reach another server; 0: any number.",
    ),
  headerBytesMax: z
    .int()
    .min(4096)
    .max(1_048_576)
    .default(16_384)
    .describe("Largest head of a request, target and headers, in bytes; a larger one is refused with 431."),
  headerLinesMax: z
    .int()
    .min(32)
    .max(100_000)
    .default(2000)
    .describe("Header lines of a request; one with more is refused with 431."),
  tlsHandshakeTimeoutMs: z
    .int()
    .min(100)
    .max(10 * MINUTE_MS)
    .default(10_000)
    .describe("Time in which the handshake of a TLS connection must be over, in milliseconds."),
  headersTimeoutMs: z
    .int()
    .min(1000)
    .max(10 * MINUTE_MS)
    .default(MINUTE_MS)
    .describe("Time in which the headers of a request must arrive, in milliseconds."),
  requestTimeoutMs: z
    .int()
    .min(1000)
    .max(60 * MINUTE_MS)
    .default(5 * MINUTE_MS)
    .describe("Time in which a whole request must arrive, in milliseconds."),
  answerTimeoutMs: z
    .int()
    .min(1000)
    .max(60 * MINUTE_MS)
    .default(MINUTE_MS)
    .describe("Time in which a client must have read an answer that is complete, in milliseconds."),
  unreadBytesMax: z
    .int()
    .min(16_384)
    .max(2 ** 30)
    .default(1_048_576)
    .describe(
      "Bytes of a streamed answer that wait for a client which reads more slowly than they come; then the stream ends " +
        "with an exception.",
    ),
  keepAliveTimeoutMs: z
    .int()
    .min(1000)
    .max(60 * MINUTE_MS)
    .default(75_000)
    .describe(
      "How long an idle connection is kept, in milliseconds; longer than clients and proxies keep it.",
    ),
  drainDelayMs: z
    .int()
    .min(0)
    .max(10 * MINUTE_MS)
    .default(0)
    .describe(
      "When the server stops: how long it still takes requests while /ping and /readyz tell proxies to send none, in " +
        "milliseconds.",
    ),
  drainTimeoutMs: z
    .int()
    .min(0)
    .max(10 * MINUTE_MS)
    .default(25_000)
    .describe("Time that open requests are given when the server stops, in milliseconds."),
};

const LOG = {
  logLevel: z
    .enum(["fatal", "error", "warn", "info", "debug", "silent"])
    .default("info")
    .describe("How much is logged, as JSON lines on standard error; one line per request at info."),
};

/** Title → the settings of the group. */
export const SETTING_GROUPS = {
  "The model and its speed": MODEL,
  Addresses: ADDRESS,
  "Who may call": ACCESS,
  "Limits of a request": REQUEST,
  "Limits of the server": SERVER,
  "The playground": PLAYGROUND,
  "The log": LOG,
} as const;

export const settingsSchema = z.strictObject({
  ...MODEL,
  ...ADDRESS,
  ...ACCESS,
  ...REQUEST,
  ...SERVER,
  ...PLAYGROUND,
  ...LOG,
});
