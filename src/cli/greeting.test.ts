import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { PairPlace } from "../server/access/own-key-pair.ts";
import { DEFAULT_SETTINGS, type Settings } from "../settings.ts";
import { type Greeting, greeting } from "./greeting.ts";

const MODEL = {
  name: "tiny",
  precision: "int8",
  kernels: "avx2",
  threads: 2,
  parameters: 16_100_000,
  vocabSize: 8192,
  contextLength: 256,
};

function greeted(
  changes: Partial<Settings> = {},
  allClients = false,
  origin?: string,
  facts: Partial<Greeting> = {},
): string {
  const settings = { ...DEFAULT_SETTINGS, ...changes };
  return greeting({
    served: [{ name: "gpt-2", model: { ...MODEL, ...(origin && { origin }) } }],
    target: {
      baseUrl: "http://127.0.0.1:1",
      endpoint: "gpt-2",
      region: "us-east-1",
      hasSessionToken: false,
      auth: settings.auth,
    },
    settings,
    own: undefined,
    isTerminal: true,
    allClients,
    playground: undefined,
    ...facts,
  });
}

test("the greeting is short: model, address, keys, one command, and how to see the others", () => {
  const lines = greeted().trimEnd().split("\n");
  assert.ok(lines.length <= 14, lines.join("\n"));
  assert.equal(lines[0], "# tiny (16.1 M parameters, int8, avx2 kernels) is served at");
  assert.equal(lines[1], "# http://127.0.0.1:1/endpoints/gpt-2/invocations");
  assert.deepEqual(
    lines.filter((line) => /^(curl|aws|python3) /.test(line)).map((line) => line.split(" ")[0]),
    ["curl"],
  );
  assert.ok(
    lines.includes(
      "# With --examples the server also shows how to call it with boto3, AWS CLI v1, AWS CLI v2.",
    ),
  );
});

test("for a model from a hub the greeting names the commit", () => {
  const [line] = greeted({}, false, "owner/tiny at 607a30d7").split("\n");
  assert.equal(line, "# tiny (owner/tiny at 607a30d7, 16.1 M parameters, int8, avx2 kernels) is served at");
});

test("--examples shows all clients", () => {
  const text = greeted({}, true);
  for (const client of ["curl", "boto3", "AWS CLI v1", "AWS CLI v2"])
    assert.ok(text.includes(`# ${client}\n`), client);
  assert.doesNotMatch(text, /--examples/);
  assert.doesNotMatch(greeted({ auth: "none" }), /--examples/);
});

test("if no model was named, the greeting says that this is the small one, and how to get GPT-2", () => {
  const hint = /^# It is the small model that comes with the software; --model gpt2 serves GPT-2 itself\.$/m;
  assert.match(greeted(), hint);
  assert.match(greeted({ endpoint: ["a=/x", "b"] }), hint);
  assert.doesNotMatch(greeted({ model: "/models/gpt2" }), hint);
  assert.doesNotMatch(greeted({ endpoint: ["a=/models/gpt2"] }), hint);
});

const PAIR = { accessKeyId: "GPT2ID", secretAccessKey: "the-secret" };

function pairLines(place: PairPlace, isTerminal: boolean, changes: Partial<Settings> = {}): string {
  return greeted(changes, false, undefined, { own: { credential: PAIR, place }, isTerminal });
}

test("a key pair that the server made is shown on a terminal", () => {
  const exported = "export AWS_ACCESS_KEY_ID=GPT2ID\nexport AWS_SECRET_ACCESS_KEY=the-secret\n";
  const kept = pairLines({ kind: "file", path: "/home/me/credentials.json" }, true);
  assert.ok(kept.includes(exported));
  assert.match(kept, /is kept in \/home\/me\/credentials\.json:/);
  const lost = pairLines({ kind: "nowhere", reason: "no home" }, true);
  assert.ok(lost.includes(exported));
  assert.match(lost, /is not stored and ends with this server:/);
});

test("the secret is shown on a terminal only; elsewhere the printed command reads it from its file", (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'gpt2-api it\'s $(a) "folder" '));
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "credentials.json");
  writeFileSync(path, JSON.stringify(PAIR));
  const places: PairPlace[] = [
    { kind: "file", path },
    { kind: "nowhere", reason: "no home" },
    { kind: "environment" },
  ];
  for (const place of places) assert.doesNotMatch(pairLines(place, false), /the-secret/);
  assert.doesNotMatch(pairLines({ kind: "environment" }, true), /the-secret/);
  const text = pairLines({ kind: "file", path }, false);
  assert.ok(text.includes(path));
  const exports = text.split("\n").filter((line) => line.startsWith("export"));
  const script = [...exports, 'printf "%s %s" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"'].join("\n");
  assert.equal(execFileSync("sh", ["-c", script], { encoding: "utf8" }), "GPT2ID the-secret");
});

test("the playground's link is shown on a terminal only, because it works like a key", () => {
  const playground = "http://127.0.0.1:1/?token=l1nk";
  assert.match(
    greeted({}, false, undefined, { playground }),
    /\n# {3}http:\/\/127\.0\.0\.1:1\/\?token=l1nk\n/,
  );
  assert.doesNotMatch(greeted({}, false, undefined, { playground, isTerminal: false }), /l1nk/);
  assert.doesNotMatch(greeted(), /browser/);
});
