// The part of the OpenAPI description for the routes of other dialects. Bodies are described by the schemas that check them.
import { z } from "zod";
import { parametersSchema } from "../../dialects/huggingface/generation-request.ts";
import { completionSchema } from "../../dialects/openai/completion-request.ts";
import { PROMPTS_EXPECTED } from "../../dialects/openai/prompts.ts";

type Json = Readonly<Record<string, unknown>>;

const JSON_TYPE = "application/json";

/** OpenAI's operations, by name. An undefined one is not in the description. */
export function openAiOperations(limits: { maxNumReturnSequences: number; maxNumBeams: number }) {
  return {
    CreateCompletion: createCompletion(limits),
    CreateChatCompletion: undefined,
    CreateResponse: undefined,
    ListModels: { responses: answers("The endpoints, as models.") },
    RetrieveModel: { parameters: [inPath("Model")], responses: answers("An endpoint, as a model.") },
    TokenizerInfo: { responses: answers("The special tokens.") },
    Tokenize: { requestBody: body({ prompt: { type: "string" } }), responses: answers("Token ids.") },
    Detokenize: {
      requestBody: body({ tokens: { type: "array", items: { type: "integer" } } }),
      responses: answers("A text."),
    },
  } as const;
}

/** TGI's operations, by name. */
export function tgiOperations(limits: {
  contextLength: number;
  maxNumReturnSequences: number;
  maxNumBeams: number;
}) {
  const { $schema: _, ...parameters } = z.toJSONSchema(parametersSchema(limits), { io: "input" });
  const text = { type: "string" };
  const inputs = { anyOf: [text, { type: "array", items: text }] };
  const operation = (description: string): Json => ({
    requestBody: body({ inputs, parameters, stream: { type: "boolean" } }),
    responses: answers(description, tgiRefusal()),
  });
  return {
    TgiCompat: operation("A list of texts, or a stream."),
    TgiGenerate: operation("A text."),
    TgiGenerateStream: operation("A stream of tokens."),
    TgiInfo: { responses: answers("Facts about the model.", tgiRefusal()) },
    TgiHealth: { responses: answers("Nothing: the model is ready.", tgiRefusal()) },
  } as const;
}

function createCompletion(limits: { maxNumReturnSequences: number; maxNumBeams: number }): Json {
  const { $schema: _, properties, ...schema } = z.toJSONSchema(completionSchema(limits), { io: "input" });
  const prompt = { description: `What is completed: ${PROMPTS_EXPECTED}.` };
  return {
    requestBody: {
      required: true,
      content: { [JSON_TYPE]: { schema: { ...schema, properties: { prompt, ...properties } } } },
    },
    responses: {
      200: {
        description: "The choices; with `stream` server-sent events, whose chunks hold them in pieces.",
        content: {
          [JSON_TYPE]: { schema: { type: "object" } },
          "text/event-stream": { schema: { type: "string" } },
        },
      },
      default: refusal(),
    },
  };
}

function body(properties: Json): Json {
  return { required: true, content: { [JSON_TYPE]: { schema: { type: "object", properties } } } };
}

function answers(description: string, failed = refusal()): Json {
  return {
    200: { description, content: { [JSON_TYPE]: { schema: { type: "object" } } } },
    default: failed,
  };
}

function inPath(name: string): Json {
  return { name, in: "path", required: true, schema: { type: "string" } };
}

function tgiRefusal(): Json {
  const text = { type: "string" };
  const schema = { type: "object", properties: { error: text, error_type: text } };
  return { description: "An error, as TGI tells it.", content: { [JSON_TYPE]: { schema } } };
}

function refusal(): Json {
  const error = {
    type: "object",
    properties: {
      message: { type: "string" },
      type: { type: "string" },
      param: { type: ["string", "null"] },
      code: { type: ["string", "null"] },
    },
  };
  const schema = { type: "object", properties: { error } };
  return { description: "An error in OpenAI's form.", content: { [JSON_TYPE]: { schema } } };
}
