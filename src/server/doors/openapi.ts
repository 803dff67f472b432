// The OpenAPI 3.1 description of the server's routes for callers. It is made from the table of routes, the schema of the
// parameters and the table of errors, so that it cannot contradict the code.
import { z } from "zod";
import { type ParameterLimits, requestSchema } from "../../request/params.ts";
import { DEFAULT_SETTINGS, ENDPOINT_NAME, ENDPOINT_NAME_MAX, type Settings } from "../../settings.ts";
import { STATUS } from "../http/http-errors.ts";
import { HEADER_LIMITS, RESPONSE_TYPES } from "./envelope.ts";
import { openAiOperations, tgiOperations } from "./openapi-dialects.ts";
import { type OperationOf, routesOf } from "./routes.ts";

type Json = Readonly<Record<string, unknown>>;

const JSON_TYPE = "application/json";

/** A door for callers. */
export type CallersDoor = "runtime" | "container";

/** What the description depends on. */
export interface ServerFacts {
  readonly door: CallersDoor;
  /** Scheme, host and port; undefined while the server does not listen yet. */
  readonly baseUrl: string | undefined;
  /** The runtime's authentication. A container has none. */
  readonly auth: Settings["auth"];
  readonly limits: ParameterLimits;
}

/** The ways in which callers authenticate. */
const SECURITY_SCHEMES = {
  sigv4: {
    type: "apiKey",
    in: "header",
    name: "Authorization",
    description: "AWS Signature Version 4 for the service `sagemaker`.",
  },
  token: { type: "http", scheme: "bearer", description: "A token made from a key pair: `gpt2-api token`." },
  bearer: { type: "http", scheme: "bearer", description: "An API key of this server." },
} as const satisfies Record<string, Json>;

/** The schemes in use for each value of the setting. */
const SCHEMES_OF: Readonly<Record<Settings["auth"], readonly (keyof typeof SECURITY_SCHEMES)[]>> = {
  sigv4: ["sigv4", "token"],
  bearer: ["bearer"],
  any: ["sigv4", "token", "bearer"],
  none: [],
};

/** The description, as a JSON value. */
export function openApi({ door, baseUrl, auth, limits }: ServerFacts): Json {
  const schemes = door === "container" ? [] : SCHEMES_OF[auth];
  const { $schema: _, ...request } = z.toJSONSchema(requestSchema(limits), { io: "input" });
  return {
    openapi: "3.1.0",
    info: {
      title: "GPT-2 API",
      version: "2017-05-13",
      description:
        "Text generation with GPT-2, over the protocols of Amazon SageMaker Runtime and of OpenAI's completions.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: baseUrl === undefined ? [] : [{ url: baseUrl }],
    security: schemes.map((scheme) => ({ [scheme]: [] })),
    paths: paths(door, limits),
    components: {
      schemas: { GenerationRequest: request, Texts: texts(), Error: error() },
      responses: { Error: errorResponse() },
      parameters: parameters(),
      securitySchemes: Object.fromEntries(schemes.map((scheme) => [scheme, SECURITY_SCHEMES[scheme]])),
    },
  };
}

type Operations = { readonly [D in CallersDoor]: Readonly<Record<OperationOf<D>, Json | undefined>> };

/** What the description says about each operation, besides its route. An undefined one is not in the description. */
function operationsOf({
  contextLength,
  maxNumReturnSequences = DEFAULT_SETTINGS.maxNumReturnSequences,
  maxNumBeams = DEFAULT_SETTINGS.maxNumBeams,
}: ParameterLimits): Operations {
  const openAi = openAiOperations({ maxNumReturnSequences, maxNumBeams });
  const { CreateCompletion, CreateChatCompletion, ListModels } = openAi;
  return {
    runtime: {
      InvokeEndpoint: invokeEndpoint(),
      InvokeEndpointWithResponseStream: invokeWithStream(),
      InvokeEndpointAsync: undefined,
      Ping: ping(),
      ...openAi,
      ...tgiOperations({ contextLength, maxNumReturnSequences, maxNumBeams }),
    },
    container: {
      CreateCompletion,
      CreateChatCompletion,
      ListModels,
      invocations: invocations(),
      ping: ping(),
      "execution-parameters": executionParameters(),
    },
  };
}

function paths(door: CallersDoor, limits: ParameterLimits): Json {
  const operations: Readonly<Record<string, Json | undefined>> = operationsOf(limits)[door];
  const all: Record<string, Record<string, Json>> = {};
  for (const [operationId, { method, path, summary, isForEverybody }] of routesOf(door)) {
    const described = operations[operationId];
    if (described === undefined) continue;
    const security = isForEverybody ? { security: [] } : {};
    const name = path.replace("{+", "{");
    all[name] = { ...all[name], [method.toLowerCase()]: { operationId, summary, ...security, ...described } };
  }
  return all;
}

function reference(kind: string, name: string): Json {
  return { $ref: `#/components/${kind}/${name}` };
}

function errors(): Json {
  const statuses = [...new Set([...Object.values(STATUS), 403])].sort((a, b) => a - b);
  return Object.fromEntries(statuses.map((status) => [String(status), reference("responses", "Error")]));
}

function parameterList(...names: readonly string[]): readonly Json[] {
  return names.map((name) => reference("parameters", name));
}

function body(): Json {
  return { required: true, content: { [JSON_TYPE]: { schema: reference("schemas", "GenerationRequest") } } };
}

function invokeEndpoint(): Json {
  return {
    parameters: parameterList("EndpointName", "CustomAttributes", "InferenceId"),
    requestBody: body(),
    responses: {
      200: {
        description: "The texts, each beginning with the input.",
        headers: seedHeader(),
        content: { [JSON_TYPE]: { schema: reference("schemas", "Texts") } },
      },
      ...errors(),
    },
  };
}

function invokeWithStream(): Json {
  return {
    parameters: parameterList("EndpointName", "StreamAccept", "CustomAttributes", "InferenceId"),
    requestBody: body(),
    responses: {
      200: {
        description:
          "Event-stream frames. The payloads joined are the answer of InvokeEndpoint and a line feed, or JSON lines of `index` and `text`.",
        content: { "application/vnd.amazon.eventstream": { schema: { type: "string", format: "binary" } } },
      },
      ...errors(),
    },
  };
}

function invocations(): Json {
  return {
    parameters: parameterList("CustomAttributes", "InferenceId"),
    requestBody: body(),
    responses: {
      200: {
        description:
          "The texts; with `Accept: application/jsonlines` lines of `index` and `text` while the texts are generated.",
        headers: seedHeader(),
        content: {
          [JSON_TYPE]: { schema: reference("schemas", "Texts") },
          "application/jsonlines": { schema: { type: "string" } },
        },
      },
      ...errors(),
    },
  };
}

function executionParameters(): Json {
  return {
    responses: {
      200: { description: "The limits.", content: { [JSON_TYPE]: { schema: { type: "object" } } } },
    },
  };
}

function ping(): Json {
  return {
    responses: {
      200: { description: "Yes.", content: { [JSON_TYPE]: { schema: { type: "object" } } } },
      503: reference("responses", "Error"),
    },
  };
}

function seedHeader(): Json {
  return { "x-gpt2-seed": { description: "The seed that was used.", schema: { type: "integer" } } };
}

function texts(): Json {
  return { type: "array", items: { anyOf: [{ type: "string" }, scoredText()] } };
}

/** A text with log-probabilities. Its lists are parallel: entry i of each is about token i. */
function scoredText(): Json {
  const list = (items: Json): Json => ({ type: "array", items });
  return {
    type: "object",
    description: "A text where logprobs is sent.",
    properties: {
      text: { type: "string" },
      finish_reason: { enum: ["stop", "length"] },
      token_ids: {
        ...list({ type: "integer" }),
        description: "Of the new tokens, with the one that ended the text.",
      },
      tokens: list({ type: "string" }),
      token_logprobs: list({ type: ["number", "null"] }),
      top_logprobs: list({ type: ["object", "null"], additionalProperties: { type: "number" } }),
      text_offset: list({ type: "integer" }),
    },
  };
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
  const header = (name: string, schema: Json): Json => ({
    in: "header",
    name: `X-Amzn-SageMaker-${name}`,
    schema: { type: "string", ...schema },
  });
  return {
    EndpointName: {
      in: "path",
      name: "EndpointName",
      required: true,
      schema: { type: "string", maxLength: ENDPOINT_NAME_MAX, pattern: ENDPOINT_NAME.source },
    },
    CustomAttributes: header("Custom-Attributes", {
      maxLength: HEADER_LIMITS["x-amzn-sagemaker-custom-attributes"],
    }),
    InferenceId: header("Inference-Id", { maxLength: HEADER_LIMITS["x-amzn-sagemaker-inference-id"] }),
    StreamAccept: header("Accept", { enum: RESPONSE_TYPES, default: JSON_TYPE }),
  };
}
