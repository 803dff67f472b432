// One call of InvokeEndpoint from Node: `echo CALL | node invoke.js aws4|sdk`, where CALL is the JSON of clients.py's
// `Call`. Prints what the caller gets, as JSON: {shown, status, code, message} or {body}.
import { text } from "node:stream/consumers";
import {
  InvokeEndpointCommand,
  SageMakerRuntimeClient,
  SageMakerRuntimeServiceException,
} from "@aws-sdk/client-sagemaker-runtime";
import aws4 from "aws4";

const amzDate = (time) => new Date(time).toISOString().replace(/[-:]|\.\d+/g, "");

async function withAws4(call) {
  const body = Buffer.from(call.body, "base64");
  const path = `/endpoints/${call.endpointName}/invocations`;
  const headers = {
    "Content-Type": "application/json",
    "X-Amz-Date": amzDate(Date.now() + call.clockOffset * 1000),
  };
  const { host } = new URL(call.url);
  const request = { host, path, method: "POST", region: call.region, service: call.service, headers, body };
  const signed = aws4.sign(request, { accessKeyId: call.keyId, secretAccessKey: call.secret });
  const { Host: _host, "Content-Length": _length, ...sent } = signed.headers;
  const response = await fetch(call.url + path, { method: "POST", headers: sent, body });
  const answer = await response.text();
  if (response.ok) return { body: answer };
  return {
    shown: `HTTP ${response.status}`,
    status: response.status,
    code: response.headers.get("x-amzn-errortype"),
    message: JSON.parse(answer).message ?? JSON.parse(answer).Message,
  };
}

async function withSdk(call) {
  const client = new SageMakerRuntimeClient({
    endpoint: call.url,
    region: call.region,
    credentials: { accessKeyId: call.keyId, secretAccessKey: call.secret },
    systemClockOffset: call.clockOffset * 1000,
    maxAttempts: call.maxAttempts,
    signingName: call.service,
  });
  const command = new InvokeEndpointCommand({
    EndpointName: call.endpointName,
    ContentType: "application/json",
    Body: Buffer.from(call.body, "base64"),
  });
  try {
    return { body: (await client.send(command)).Body.transformToString() };
  } catch (error) {
    const { name, message, $metadata } = error;
    const shown =
      error instanceof SageMakerRuntimeServiceException ? error.constructor.name : `not AWS's: ${name}`;
    return {
      shown,
      status: $metadata?.httpStatusCode,
      code: name,
      message,
      original: error.OriginalStatusCode,
    };
  }
}

const call = JSON.parse(await text(process.stdin));
const outcome = await (process.argv[2] === "aws4" ? withAws4 : withSdk)(call);
process.stdout.write(JSON.stringify(outcome));
