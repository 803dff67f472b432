// One call from Node: `echo CALL | node invoke.js aws4|sdk|stream|leave`, where CALL is the JSON of clients.py's `Call`.
// Prints what the caller gets, as JSON: {shown, status, code, message} or {body}. `stream` reads a whole response stream,
// `leave` only its first part.
import { text } from "node:stream/consumers";
import {
  InvokeEndpointCommand,
  InvokeEndpointWithResponseStreamCommand,
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

function sdkClient(call) {
  return new SageMakerRuntimeClient({
    endpoint: call.url,
    region: call.region,
    credentials: { accessKeyId: call.keyId, secretAccessKey: call.secret },
    systemClockOffset: call.clockOffset * 1000,
    maxAttempts: call.maxAttempts,
    signingName: call.service,
  });
}

function sdkInput(call) {
  return {
    EndpointName: call.endpointName,
    ContentType: "application/json",
    Body: Buffer.from(call.body, "base64"),
    ...(call.accept ? { Accept: call.accept } : {}),
  };
}

function sdkError(error) {
  const { name, message, $metadata } = error;
  const isAws = error instanceof SageMakerRuntimeServiceException;
  return {
    shown: isAws ? error.constructor.name : `not AWS's: ${name}`,
    status: $metadata?.httpStatusCode,
    code: name,
    message,
    original: error.OriginalStatusCode,
  };
}

async function withSdk(call) {
  try {
    const { Body } = await sdkClient(call).send(new InvokeEndpointCommand(sdkInput(call)));
    return { body: Body.transformToString() };
  } catch (error) {
    return sdkError(error);
  }
}

async function withStream(call, partsMax = Number.POSITIVE_INFINITY) {
  const client = sdkClient(call);
  const parts = [];
  try {
    const { Body } = await client.send(new InvokeEndpointWithResponseStreamCommand(sdkInput(call)));
    for await (const { PayloadPart } of Body) {
      if (PayloadPart) parts.push(PayloadPart.Bytes);
      if (parts.length >= partsMax) break;
    }
    return { body: Buffer.concat(parts).toString(), parts: parts.length };
  } catch (error) {
    return { ...sdkError(error), parts: parts.length };
  } finally {
    client.destroy();
  }
}

const OPERATIONS = {
  aws4: withAws4,
  sdk: withSdk,
  stream: withStream,
  leave: (call) => withStream(call, 1),
};

const call = JSON.parse(await text(process.stdin));
const outcome = await OPERATIONS[process.argv[2]](call);
process.stdout.write(JSON.stringify(outcome));
