// The commands that `serve` prints: complete ones for each client, with the real address, to be pasted into a shell in
// which the two AWS_ variables are set.

import type { Settings } from "../settings.ts";

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

export function examples(target: ExampleTarget): readonly Example[] {
  if (target.auth !== "sigv4" && target.auth !== "any")
    return [{ client: "curl", command: plainCurl(target) }];
  return [
    { client: "curl", command: curl(target) },
    { client: "boto3", command: boto3(target) },
    { client: "AWS CLI v1", command: awsCli(target, "") },
    // Version 2 takes the body for base64 unless told otherwise.
    { client: "AWS CLI v2", command: awsCli(target, " --cli-binary-format raw-in-base64-out") },
  ];
}

function curl(target: ExampleTarget): string {
  const token = target.hasSessionToken ? ` \\\n  -H "X-Amz-Security-Token: $AWS_SESSION_TOKEN"` : "";
  return [
    `curl --aws-sigv4 "aws:amz:${target.region}:sagemaker" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"${token} \\`,
    `  -H "Content-Type: application/json" --data '{"input": "Querying the model using curl."}' \\`,
    `  ${invocationUrl(target)}`,
  ].join("\n");
}

/** Without a signature. */
function plainCurl(target: ExampleTarget): string {
  const key = target.auth === "bearer" ? ` -H "Authorization: Bearer $GPT2_API_KEY"` : "";
  return [
    `curl${key} -H "Content-Type: application/json" \\`,
    `  --data '{"input": "Querying the model using curl."}' ${invocationUrl(target)}`,
  ].join("\n");
}

function boto3({ baseUrl, endpoint, region }: ExampleTarget): string {
  return [
    "python3 - <<'EOF'",
    "import boto3, json",
    `client = boto3.client("sagemaker-runtime", endpoint_url="${baseUrl}", region_name="${region}")`,
    `payload = json.dumps({"input": "This is the input of the algorithm"})`,
    `response = client.invoke_endpoint(EndpointName="${endpoint}", ContentType="application/json", Body=payload)`,
    `print(json.loads(response["Body"].read()))`,
    "EOF",
  ].join("\n");
}

function awsCli({ baseUrl, endpoint, region }: ExampleTarget, options: string): string {
  return [
    `aws sagemaker-runtime invoke-endpoint --endpoint-url ${baseUrl} --region ${region}${options} \\`,
    `  --endpoint-name ${endpoint} --content-type application/json \\`,
    `  --body '{"input": "Now we use the AWS CLI"}' output.json && cat output.json`,
  ].join("\n");
}
