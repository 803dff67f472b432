import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DEFAULT_SETTINGS,
  endpointsOf,
  explainSettings,
  resolveSettings,
  SETTINGS,
  settingsOfObject,
} from "./settings.ts";

test("a flag goes before the environment, and the environment before the default", () => {
  const env = { GPT2_API_PORT: "9000", GPT2_API_HOST: "::1" };
  const settings = resolveSettings({ flags: { port: "9001" }, env });
  assert.equal(settings.port, 9001);
  assert.equal(settings.host, "::1");
  assert.deepEqual({ ...settings, port: 8080, host: "127.0.0.1" }, DEFAULT_SETTINGS);
  assert.equal(resolveSettings({ env: { GPT2_API_PORT: "" } }).port, 8080);
});

test("lists come from a repeated flag or from commas", () => {
  assert.deepEqual(resolveSettings({ flags: { "host-alias": ["a:1", "b"] } }).hostAlias, ["a:1", "b"]);
  assert.deepEqual(resolveSettings({ env: { GPT2_API_HOST_ALIAS: "a:1, b" } }).hostAlias, ["a:1", "b"]);
  assert.throws(() => resolveSettings({ env: { GPT2_API_HOST_ALIAS: "a,," } }), { code: "invalid_config" });
});

test("a malformed value is refused with the name, the value and the range", () => {
  const wrong: [flag: string, value: string, message: RegExp][] = [
    ["port", "65536", /^--port must be an integer from 0 to 65535, got "65536"\./],
    ["port", "80a", /got "80a"/],
    ["port", "", /got ""/],
    ["port", "0x50", /got "0x50"/],
    ["port", "1.5", /got "1.5"/],
    ["precision", "f64", /^--precision must be one of .*f32.*, got "f64"\./],
    ["endpoint", "-gpt", /^--endpoint .* got "-gpt"\. Endpoint to serve: a name of letters/],
    ["endpoint", "a".repeat(64), /^--endpoint/],
    ["clock-skew-seconds", "901", /from 1 to 900/],
  ];
  for (const [flag, value, message] of wrong) {
    assert.throws(() => resolveSettings({ flags: { [flag]: value } }), { code: "invalid_config", message });
  }
  assert.throws(() => resolveSettings({ env: { GPT2_API_PORT: "10.0.0.1:80" } }), {
    code: "invalid_config",
    message: /^GPT2_API_PORT must be an integer from 0 to 65535, got "10\.0\.0\.1:80"\./,
  });
});

test("the variable that Kubernetes sets for a Service of the same name counts as unset", () => {
  const { settings, origins } = explainSettings({ env: { GPT2_API_PORT: "tcp://10.0.0.1:80" } });
  assert.deepEqual([settings.port, origins.port], [8080, "default"]);
  assert.throws(() => resolveSettings({ flags: { port: "tcp://10.0.0.1:80" } }), { code: "invalid_config" });
});

test("every setting has a help text, a flag and a variable of its own", () => {
  assert.equal(new Set(SETTINGS.map(({ flag }) => flag)).size, SETTINGS.length);
  assert.equal(new Set(SETTINGS.map(({ env }) => env)).size, SETTINGS.length);
  for (const { name, help } of SETTINGS) assert.match(help, /\.$/, name);
  const kvCache = SETTINGS.find(({ name }) => name === "kvCacheMb");
  assert.deepEqual(
    [kvCache?.flag, kvCache?.env, kvCache?.default],
    ["kv-cache-mb", "GPT2_API_KV_CACHE_MB", "256"],
  );
});

test("every value has an origin, and further layers stand between the environment and the defaults", () => {
  const first = {
    port: { origin: "OTHER_PORT", value: "1" },
    host: { origin: "OTHER_HOST", value: "h" },
    model: { origin: "OTHER_MODEL", value: "m" },
  };
  const second = { model: { origin: "later", value: "n" }, region: { origin: "later", value: "r" } };
  const sources = { flags: { port: "2" }, env: { GPT2_API_HOST: "e" }, layers: [first, second] };
  const { settings, origins } = explainSettings(sources);
  assert.deepEqual([settings.port, settings.host, settings.model], [2, "e", "m"]);
  assert.deepEqual(
    [origins.port, origins.host, origins.model, origins.region, origins.auth],
    ["--port", "GPT2_API_HOST", "OTHER_MODEL", "later", "default"],
  );
  assert.throws(() => explainSettings({ layers: [{ port: { origin: "OTHER_PORT", value: "x" } }] }), {
    message: /^OTHER_PORT must be an integer/,
  });
});

test("a switch is a flag without a value, or a variable of true or false", () => {
  assert.equal(resolveSettings({ flags: { "insecure-public": true } }).insecurePublic, true);
  assert.equal(resolveSettings({ env: { GPT2_API_INSECURE_PUBLIC: "true" } }).insecurePublic, true);
  assert.equal(resolveSettings({ env: { GPT2_API_INSECURE_PUBLIC: "false" } }).insecurePublic, false);
  assert.throws(() => resolveSettings({ env: { GPT2_API_INSECURE_PUBLIC: "yes" } }), {
    message: /^GPT2_API_INSECURE_PUBLIC must be true or false, got "yes"/,
  });
});

test("endpoints serve the model of the settings or one of their own", () => {
  const settings = resolveSettings({ flags: { endpoint: ["a", "b=/models/b", "c=x=y"], model: "m" } });
  assert.deepEqual(endpointsOf(settings), [
    { name: "a", model: "m" },
    { name: "b", model: "/models/b" },
    { name: "c", model: "x=y" },
  ]);
  assert.throws(() => endpointsOf(resolveSettings({ flags: { endpoint: ["a", "a=x"] } })), {
    code: "invalid_config",
    message: /^--endpoint names "a" twice/,
  });
  for (const endpoint of ["a=", "=m", "-a=m", `${"a".repeat(64)}=m`]) {
    assert.throws(
      () => resolveSettings({ flags: { endpoint: [endpoint] } }),
      { code: "invalid_config" },
      endpoint,
    );
  }
});

test("a file of settings names them as flags, in any of three spellings, with values of their own types", () => {
  const object = {
    port: 9,
    "kv-cache-mb": 64,
    queue_requests_max: "7",
    hostAlias: ["a", "b"],
    "insecure-public": true,
  };
  const { settings, origins } = explainSettings({ layers: [settingsOfObject(object, "s.json")] });
  assert.deepEqual(
    [
      settings.port,
      settings.kvCacheMb,
      settings.queueRequestsMax,
      settings.hostAlias,
      settings.insecurePublic,
    ],
    [9, 64, 7, ["a", "b"], true],
  );
  assert.equal(origins.queueRequestsMax, "s.json: queue_requests_max");
  const flags = { "kv-cache-mb": "65" };
  assert.equal(
    explainSettings({ flags, layers: [settingsOfObject(object, "s.json")] }).settings.kvCacheMb,
    65,
  );
});

test("what is wrong with a file of settings is one sentence that names the file and the field", () => {
  const wrong: [json: unknown, message: RegExp][] = [
    [[], /^s\.json must hold an object such as .*, got a list$/],
    [null, /, got null$/],
    ["port", /, got "port" \(a string\)$/],
    [{ prot: 1 }, /^s\.json: the field "prot" is unknown; did you mean "port"\?$/],
    [{ zzzzzzzzzz: 1 }, /^s\.json: the field "zzzzzzzzzz" is unknown; known are model, .*log-level$/],
    [{ "host-alias": [], hostAlias: [] }, /^s\.json sets host-alias twice, the second time as "hostAlias"$/],
    [{ port: 65_536 }, /^s\.json: port must be an integer from 0 to 65535, got 65536\./],
    [{ port: null }, /^s\.json: port must be an integer .*, got null\./],
    [{ port: [1] }, /^s\.json: port must be an integer .*, got a list\./],
    [{ auth: true }, /^s\.json: auth must be one of .*, got true \(a boolean\)\./],
  ];
  for (const [json, message] of wrong) {
    assert.throws(() => explainSettings({ layers: [settingsOfObject(json, "s.json")] }), {
      code: "invalid_config",
      message,
    });
  }
});

test("every setting stands in one group", () => {
  const groups = SETTINGS.map(({ group }) => group);
  assert.ok(groups.every((group) => group !== ""));
  // The settings of a group follow each other.
  assert.equal(groups.filter((group, i) => group !== groups[i - 1]).length, new Set(groups).size);
});
