// The OpenAPI 3.1 description of the runtime front, made from the schema of the parameters and the table of errors, so
// that it cannot say anything else than the code.
import { z } from "zod";
import { type ParameterLimits, requestSchema } from "../../request/params.ts";
import { STATUS } from "../http/http-errors.ts";

type Json = Readonly<Record<string, unknown>>;

const JSON_TYPE = "application/json";

/** A description for a model with these limits; plain JSON. */
export function openApi(limits: ParameterLimits): Json {
  const { $schema: _, ...request } = z.toJSONSchema(requestSchema(limits), { io: "input" });
  return {
    openapi: "3.1.0",
    info: {
      title: "GPT-2 API",
      version: "2017-05-13",
      description: "Text generation with GPT-2 over the protocol of Amazon SageMaker Runtime.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "http://127.0.0.1:8080" }],
    security: [{ sigv4: [] }],
    paths: {
      "/endpoints/{EndpointName}/invocations": { post: invokeEndpoint() },
      "/endpoints/{EndpointName}/invocations-response-stream": { post: invokeWithStream() },
      "/ping": { get: ping() },
    },
    components: {
      schemas: { GenerationRequest: request, Texts: texts(), Error: error() },
      responses: { Error: errorResponse() },
      parameters: parameters(),
      securitySchemes: {
        sigv4: {
          type: "apiKey",
          in: "header",
          name: "Authorization",
          description: "AWS Signature Version 4 for the service `sagemaker`.",
        },
      },
    },
  };
}

const reference = (kind: string, name: string): Json => ({ $ref: `#/components/${kind}/${name}` });

function errors(): Json {
  const statuses = [...new Set([...Object.values(STATUS), 403])].sort((a, b) => a - b);
  return Object.fromEntries(statuses.map((status) => [String(status), reference("responses", "Error")]));
}

function body(): Json {
  return { required: true, content: { [JSON_TYPE]: { schema: reference("schemas", "GenerationRequest") } } };
}

function invokeEndpoint(): Json {
  return {
    operationId: "InvokeEndpoint",
    summary: "Completes a text.",
    parameters: ["EndpointName", "CustomAttributes", "InferenceId"].map((name) =>
      reference("parameters", name),
    ),
    requestBody: body(),
    responses: {
      200: {
        description: "The texts, each beginning with the input.",
        headers: { "x-gpt2-seed": { description: "The seed that was used.", schema: { type: "integer" } } },
        content: { [JSON_TYPE]: { schema: reference("schemas", "Texts") } },
      },
      ...errors(),
    },
  };
}

function invokeWithStream(): Json {
  return {
    operationId: "InvokeEndpointWithResponseStream",
    summary: "Completes a text and answers while it grows.",
    parameters: ["EndpointName", "StreamAccept", "CustomAttributes", "InferenceId"].map((name) =>
      reference("parameters", name),
    ),
    requestBody: body(),
    responses: {
      200: {
        description:
          "Event-stream frames. The payloads joined are the answer of InvokeEndpoint, or JSON lines of `index` and `text`.",
        content: { "application/vnd.amazon.eventstream": { schema: { type: "string", format: "binary" } } },
      },
      ...errors(),
    },
  };
}

function ping(): Json {
  return {
    operationId: "Ping",
    summary: "Tells whether every model is ready.",
    security: [],
    responses: {
      200: { description: "All are.", content: { [JSON_TYPE]: { schema: { type: "object" } } } },
      503: reference("responses", "Error"),
    },
  };
}

function texts(): Json {
  return { type: "array", items: { type: "string" } };
}

function error(): Json {
  const message = { type: "string" };
  return { type: "object", properties: { Message: message, message } };
}

function errorResponse(): Json {
  return {
    description: "An error; the header names it, the body explains it.",
    headers: {
      "x-amzn-ErrorType": { schema: { type: "string" } },
      "x-amzn-RequestId": { schema: { type: "string", format: "uuid" } },
    },
    content: { [JSON_TYPE]: { schema: reference("schemas", "Error") } },
  };
}

function parameters(): Json {
  const header = (name: string, maxLength: number) => ({
    ...{ in: "header", name, schema: { type: "string", maxLength } },
  });
  return {
    EndpointName: {
      ...{ in: "path", name: "EndpointName", required: true },
      schema: { type: "string", maxLength: 63, pattern: "^[a-zA-Z0-9](-*[a-zA-Z0-9])*$" },
    },
    CustomAttributes: header("X-Amzn-SageMaker-Custom-Attributes", 1024),
    InferenceId: header("X-Amzn-SageMaker-Inference-Id", 64),
    StreamAccept: {
      ...{ in: "header", name: "X-Amzn-SageMaker-Accept" },
      schema: { type: "string", enum: [JSON_TYPE, "application/jsonlines"], default: JSON_TYPE },
    },
  };
}
