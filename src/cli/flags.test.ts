import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags, settingOptions } from "./flags.ts";

const FLAGS_ONLY = {
  options: { ...settingOptions(), json: { type: "boolean", short: "j", help: "Prints JSON." } },
} as const;
const WITH_OPERANDS = { ...FLAGS_ONLY, operands: "PROMPT" };

test("flags are read with and without an equals sign, and what was not given is absent", () => {
  const { values, operands } = parseFlags(
    ["--port=1", "--host", "::1", "--host-alias", "a", "--host-alias", "b", "-j"],
    FLAGS_ONLY,
  );
  assert.deepEqual({ ...values }, { port: "1", host: "::1", "host-alias": ["a", "b"], json: true });
  assert.deepEqual(operands, []);
});

test("operands are accepted by commands that take them, and everything after -- is an operand", () => {
  assert.deepEqual(parseFlags(["a", "--json", "b"], WITH_OPERANDS).operands, ["a", "b"]);
  assert.deepEqual(parseFlags(["--", "--json"], WITH_OPERANDS).operands, ["--json"]);
  assert.throws(() => parseFlags(["serve"], FLAGS_ONLY), {
    code: "invalid_config",
    message: /^"serve" is not a flag/,
  });
});

test("a value may start with a hyphen", () => {
  assert.equal(parseFlags(["--port", "-1"], FLAGS_ONLY).values.port, "-1");
});

test("a wrong flag is reported in one sentence that names it", () => {
  const wrong: [argv: string[], message: RegExp][] = [
    [["--prot", "1"], /^The flag --prot is unknown; did you mean --port\?$/],
    [["--zzzzzzzzz"], /^The flag --zzzzzzzzz is unknown; --help lists the known ones$/],
    [["--toString"], /^The flag --toString is unknown/],
    [["-x"], /^The flag -x is unknown/],
    [["--port"], /^The flag --port needs a value$/],
    [["--json=1"], /^The flag --json takes no value, got "1"$/],
  ];
  for (const [argv, message] of wrong) {
    assert.throws(() => parseFlags(argv, WITH_OPERANDS), { code: "invalid_config", message });
  }
});
