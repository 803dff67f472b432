// The small commands, and how settings choose keys and read the container's variables. No model is loaded.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadKeys } from "../server/access/load-keys.ts";
import { isLoopback } from "../server/access/place.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { containerPlatform } from "./commands/container.ts";
import { settingsOf } from "./config-file.ts";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));
const KEY = {
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

function run(argv: readonly string[], env: Record<string, string> = KEY) {
  return spawnSync(process.execPath, [MAIN, ...argv], { env, encoding: "utf8" });
}

// The signature that botocore and other signers make of this request.
const REQUEST = [
  "http://localhost:8080/endpoints/gpt-2/invocations",
  "--date",
  "2015-08-30T12:36:00Z",
  "--header",
  "Content-Type: application/json",
  "--body",
  '{"input":"This is an input text"}',
];
const SIGNATURE = "7ad0bb79c070e877a30ed636f34e91a0b5b3a87aa3708e6c95c8a8cc6c937d3d";

test("sign prints the headers to send", () => {
  const { stdout, status } = run(["sign", ...REQUEST]);
  assert.equal(status, 0);
  assert.match(stdout, /^host: localhost:8080$/m);
  assert.match(stdout, /^x-amz-date: 20150830T123600Z$/m);
  assert.match(stdout, new RegExp(`^authorization: AWS4-HMAC-SHA256 .*Signature=${SIGNATURE}$`, "m"));
});

test("sign --explain prints the three stages", () => {
  const { stdout } = run(["sign", "--explain", ...REQUEST]);
  const stages =
    /^1\. Canonical request\n\n(.*)\n\n2\. String to sign\n\n(.*)\n\n3\. Signature\n\n(.*)\n\nAuth/s.exec(
      stdout,
    );
  const [, canonical = "", text = "", signature] = stages ?? [];
  assert.match(
    canonical,
    /^POST\n\/endpoints\/gpt-2\/invocations\n\ncontent-type:application\/json\nhost:localhost:8080\n/,
  );
  assert.equal(text.split("\n").at(-1), createHash("sha256").update(canonical).digest("hex"));
  assert.equal(signature, SIGNATURE);
  assert.doesNotMatch(stdout, /wJalr/);
});

test("sign reports wrong arguments", () => {
  const cases: [argv: string[], message: RegExp][] = [
    [[], /One URL must be given, got 0/],
    [["nowhere"], /The URL must be absolute/],
    [["http://x/", "--date", "soon"], /--date must be a time/],
    [["http://x/", "--header", "x"], /--header must be NAME:VALUE, got "x"/],
    [["http://x/", "--body", "@/no/such/file"], /cannot be read/],
  ];
  for (const [argv, message] of cases) {
    const { status, stderr } = run(["sign", ...argv]);
    assert.equal(status, 2);
    assert.match(stderr, message);
  }
});

test("api-key shows the key once and stores its hash", () => {
  const { stdout, stderr } = run(["api-key", "alice", "--endpoint", "gpt-2"]);
  const [key = ""] = /gpt2_[\w-]{43}/.exec(stderr) ?? [];
  assert.deepEqual(JSON.parse(stdout), {
    id: "alice",
    sha256: createHash("sha256").update(key).digest("hex"),
    endpoints: ["gpt-2"],
  });
});

test("api-key makes no entry that the server would refuse, and then no key", () => {
  for (const [argv, message] of [
    [[""], /ID cannot stand/],
    [["a".repeat(129)], /ID cannot stand/],
    [["alice", "--endpoint", "no such/endpoint"], /--endpoint cannot stand/],
    [["alice", "--endpoint", ""], /--endpoint cannot stand/],
  ] as const) {
    const { status, stdout, stderr } = run(["api-key", ...argv]);
    assert.deepEqual([status, stdout], [2, ""], argv.join(" "));
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /gpt2_/);
  }
});

test("--print-config prints every setting, its value and its origin, and starts nothing", () => {
  const { stdout } = run(["serve", "--print-config", "--port", "9"], { GPT2_API_REGION: "any" });
  assert.match(stdout, /^--port +9 +--port$/m);
  assert.match(stdout, /^--region +"any" +GPT2_API_REGION$/m);
  assert.match(stdout, /^--endpoint +\["gpt-2"\] +default$/m);
  const container = run(["container", "--print-config"], { SAGEMAKER_BIND_TO_PORT: "9090" }).stdout;
  assert.match(container, /^--port +9090 +SAGEMAKER_BIND_TO_PORT$/m);
  assert.match(container, /^--host +"0.0.0.0" +the container contract$/m);
});

test("the container reads SageMaker's variables, and our own variables override them", () => {
  const env = {
    SAGEMAKER_BIND_TO_PORT: "9090",
    SAGEMAKER_MAX_PAYLOAD_IN_MB: "20",
    SAGEMAKER_MODEL_SERVER_TIMEOUT: "30",
    SAGEMAKER_CONTAINER_LOG_LEVEL: "40",
    GPT2_API_HOST: "127.0.0.1",
  };
  const { settings } = settingsOf({}, env, containerPlatform(env));
  assert.deepEqual(
    [settings.host, settings.port, settings.bodyBytesMax, settings.requestDeadlineMs, settings.logLevel],
    ["127.0.0.1", 9090, 20 * 2 ** 20, 30_000, "error"],
  );
  const bare = (isMounted: boolean) => settingsOf({}, {}, containerPlatform({}, isMounted)).settings;
  const { host, port, model } = bare(true);
  assert.deepEqual([host, port, model], ["0.0.0.0", 8080, "/opt/ml/model"]);
  assert.equal(bare(false).model, "tiny");
  assert.throws(() => containerPlatform({ SAGEMAKER_MAX_PAYLOAD_IN_MB: "many" }), {
    code: "invalid_config",
    message: 'SAGEMAKER_MAX_PAYLOAD_IN_MB must be a number, got "many"',
  });
});

test("without authentication only the loopback address is allowed, unless the operator confirms it", () => {
  const keys = (changes: object) => loadKeys({ ...DEFAULT_SETTINGS, ...changes }, {}, () => {});
  const open = { auth: "none", host: "0.0.0.0" } as const;
  assert.throws(() => keys(open), { code: "invalid_config", message: /--insecure-public/ });
  assert.equal(keys({ ...open, insecurePublic: true }).own, undefined);
  assert.equal(keys({ auth: "none" }).own, undefined);
  assert.throws(() => keys({ auth: "bearer" }), { code: "invalid_config", message: /needs --api-keys-file/ });
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) assert.ok(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example"]) assert.ok(!isLoopback(host), host);
});

test("HTTPS needs both the certificate and the key file", () => {
  const { status, stderr } = run(["serve", "--tls-cert", "cert.pem"]);
  assert.equal(status, 2);
  assert.match(stderr, /--tls-cert is set and --tls-key is not/);
});

test("a parameter of generate that is wrong is a flag that is wrong", () => {
  const { status, stderr } = run(["generate", "--top-p", "3", "x"]);
  assert.deepEqual([status, stderr], [2, "gpt2-api: top_p must be a number from 0 to 1, got 3\n"]);
});
