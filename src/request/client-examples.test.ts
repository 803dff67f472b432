import assert from "node:assert/strict";
import { test } from "node:test";
import { examples } from "./client-examples.ts";

const TARGET = {
  baseUrl: "http://127.0.0.1:4321",
  endpoint: "my-gpt",
  region: "eu-west-1",
  hasSessionToken: false,
  auth: "sigv4",
} as const;

function commands(hasSessionToken = false): Record<string, string> {
  return Object.fromEntries(
    examples({ ...TARGET, hasSessionToken }).map(({ client, command }) => [client, command]),
  );
}

test("every client is told the real address, endpoint and region", () => {
  const all = commands();
  assert.deepEqual(Object.keys(all), ["curl", "boto3", "AWS CLI v1", "AWS CLI v2"]);
  for (const [client, command] of Object.entries(all)) {
    assert.ok(command.includes("http://127.0.0.1:4321"), client);
    assert.ok(command.includes("my-gpt"), client);
    assert.ok(command.includes("eu-west-1"), client);
  }
  assert.match(all.curl ?? "", /--aws-sigv4 "aws:amz:eu-west-1:sagemaker"/);
});

test("only AWS CLI v2 is told that the body is not base64", () => {
  const option = "--cli-binary-format raw-in-base64-out";
  const told = Object.entries(commands()).filter(([, command]) => command.includes(option));
  assert.deepEqual(
    told.map(([client]) => client),
    ["AWS CLI v2"],
  );
});

test("curl sends the session token where there is one", () => {
  assert.doesNotMatch(commands().curl ?? "", /Token/);
  assert.match(commands(true).curl ?? "", /-H "X-Amz-Security-Token: \$AWS_SESSION_TOKEN" \\\n/);
});

test("where nothing is signed only curl is shown, with the API key where one is needed", () => {
  const [bearer, ...others] = examples({ ...TARGET, auth: "bearer" });
  assert.match(bearer?.command ?? "", /-H "Authorization: Bearer \$GPT2_API_KEY"/);
  assert.deepEqual(others, []);
  const [open] = examples({ ...TARGET, auth: "none" });
  assert.doesNotMatch(open?.command ?? "", /Authorization|sigv4/);
});
