// A request as the commands and programs of its clients: what `serve` prints, and what the playground shows. They are complete,
// with the real address, to be pasted into a shell in which the two AWS_ variables are set.
import type { Settings } from "../settings.ts";
import type { Fields } from "./body.ts";

export interface ExampleTarget {
  /** Scheme, host and port, without a path. */
  readonly baseUrl: string;
  readonly endpoint: string;
  readonly region: string;
  readonly hasSessionToken: boolean;
  readonly auth: Settings["auth"];
}

export interface Example {
  readonly client: string;
  readonly command: string;
}

export function invocationUrl({ baseUrl, endpoint }: ExampleTarget): string {
  return `${baseUrl}/endpoints/${endpoint}/invocations`;
}

/** The commands for the first request that somebody makes. */
export function examples(target: ExampleTarget): readonly Example[] {
  return commands(target, {
    curl: { input: "Querying the model using curl." },
    python: { input: "This is the input of the algorithm" },
    awsCli: { input: "Now we use the AWS CLI" },
  });
}

/** The commands for one request. */
export function commandsFor(target: ExampleTarget, body: Fields): readonly Example[] {
  return commands(target, { curl: body, python: body, awsCli: body });
}

/** What each kind of client asks. */
interface Bodies {
  readonly curl: Fields;
  readonly python: Fields;
  readonly awsCli: Fields;
}

function commands(target: ExampleTarget, bodies: Bodies): readonly Example[] {
  if (target.auth !== "sigv4" && target.auth !== "any") {
    return [{ client: "curl", command: plainCurl(target, bodies.curl) }];
  }
  return [
    { client: "curl", command: curl(target, bodies.curl) },
    { client: "boto3", command: boto3(target, bodies.python) },
    { client: "AWS CLI v1", command: awsCli(target, bodies.awsCli, "") },
    // Version 2 takes the body for base64 unless told otherwise.
    {
      client: "AWS CLI v2",
      command: awsCli(target, bodies.awsCli, " --cli-binary-format raw-in-base64-out"),
    },
  ];
}

function curl(target: ExampleTarget, body: Fields): string {
  const token = target.hasSessionToken ? ` \\\n  -H "X-Amz-Security-Token: $AWS_SESSION_TOKEN"` : "";
  return [
    `curl --aws-sigv4 "aws:amz:${target.region}:sagemaker" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"${token} \\`,
    `  -H "Content-Type: application/json" --data ${shellText(json(body))} \\`,
    `  ${invocationUrl(target)}`,
  ].join("\n");
}

/** Without a signature. */
function plainCurl(target: ExampleTarget, body: Fields): string {
  const key = target.auth === "bearer" ? ` -H "Authorization: Bearer $GPT2_API_KEY"` : "";
  return [
    `curl${key} -H "Content-Type: application/json" \\`,
    `  --data ${shellText(json(body))} ${invocationUrl(target)}`,
  ].join("\n");
}

function boto3({ baseUrl, endpoint, region }: ExampleTarget, body: Fields): string {
  return [
    "python3 - <<'EOF'",
    "import boto3, json",
    `client = boto3.client("sagemaker-runtime", endpoint_url="${baseUrl}", region_name="${region}")`,
    `payload = json.dumps(${pythonLiteral(body)})`,
    `response = client.invoke_endpoint(EndpointName="${endpoint}", ContentType="application/json", Body=payload)`,
    `print(json.loads(response["Body"].read()))`,
    "EOF",
  ].join("\n");
}

function awsCli({ baseUrl, endpoint, region }: ExampleTarget, body: Fields, options: string): string {
  return [
    `aws sagemaker-runtime invoke-endpoint --endpoint-url ${baseUrl} --region ${region}${options} \\`,
    `  --endpoint-name ${endpoint} --content-type application/json \\`,
    `  --body ${shellText(json(body))} output.json && cat output.json`,
  ].join("\n");
}

/** JSON on one line, with a space behind each colon and comma. */
function json(value: unknown): string {
  return literal(value, String);
}

/** The same value in Python's notation. */
export function pythonLiteral(value: unknown): string {
  const words: Readonly<Record<string, string>> = { true: "True", false: "False", null: "None" };
  return literal(value, (word) => words[word] ?? word);
}

/** A JSON value in a notation that differs from JSON in its words only. */
function literal(value: unknown, word: (name: string) => string): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => literal(item, word)).join(", ")}]`;
  if (typeof value !== "object" || value === null) return word(JSON.stringify(value) ?? "null");
  const members = Object.entries(value).map(
    ([name, item]) => `${JSON.stringify(name)}: ${literal(item, word)}`,
  );
  return `{${members.join(", ")}}`;
}

/** A text as one word of a shell. */
function shellText(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
