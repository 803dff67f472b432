import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../generator/model-directory.ts";
import { verifyBearerToken } from "../sigv4/index.ts";

const MAIN = join(packageRoot(), "dist", "src", "cli", "main.js");
const PAIR = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "secret" };

const run = (...argv: string[]) =>
  spawnSync(process.execPath, [MAIN, "token", ...argv], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, ...PAIR },
  });

test("only the token is printed; it is made from the environment's key pair and valid as long as asked", () => {
  const { status, stdout, stderr } = run("--expires", "15m", "--region", "eu-west-1");
  assert.deepEqual([status, stderr], [0, ""]);
  const verify = (seconds: number) =>
    verifyBearerToken(stdout.trim(), {
      credentials: () => ({
        accessKeyId: PAIR.AWS_ACCESS_KEY_ID,
        secretAccessKey: PAIR.AWS_SECRET_ACCESS_KEY,
      }),
      region: "eu-west-1",
      service: "sagemaker",
      now: new Date(Date.now() + 1000 * seconds),
    }).ok;
  assert.deepEqual([verify(0), verify(890), verify(901)], [true, true, false]);
});

test("a malformed or too long time is refused", () => {
  for (const time of ["0s", "13h", "12", "1d", "soon"]) {
    const { status, stderr, stdout } = run(`--expires=${time}`);
    assert.equal(status, 2);
    assert.match(stderr, /--expires must be a time from 1s to 12h, such as 900s, 15m or 12h, got/);
    assert.equal(stdout, "");
  }
});
