// Shows a request of the playground as commands and programs that send the same request from elsewhere.
import type { Fields } from "../../request/body.ts";
import {
  commandsFor,
  type ExampleTarget,
  invocationUrl,
  pythonLiteral,
} from "../../request/client-examples.ts";
import type { GenerationParams } from "../../request/generation.ts";
import type { Clients } from "./events.ts";

/** The prompt as text, because these clients send no token ids, and its number of tokens. */
export interface ClientPrompt {
  readonly text: string;
  readonly numTokens: number;
}

/** The commands carry the seed that was used, so that they give the same texts. */
export function clientsOf(
  fields: Fields,
  params: GenerationParams,
  prompt: ClientPrompt,
  target: ExampleTarget,
): Clients {
  const { endpoint: _, prompt_token_ids: __, ...rest } = fields;
  const body = { input: prompt.text, ...rest, seed: params.decoding.seed };
  const shell = commandsFor(target, body).map(({ client, command }) => ({
    client,
    language: "sh",
    code: command,
  }));
  return {
    body,
    clients: [
      ...shell,
      { client: "JavaScript", language: "js", code: javaScript(body, target) },
      { client: "OpenAI (Python)", language: "python", code: openAi(params, prompt, target) },
      { client: "JSON", language: "json", code: JSON.stringify(body, null, 2) },
    ],
  };
}

/** A program for Node 20 or later: with AWS's client if requests are signed, otherwise with `fetch`. */
function javaScript(body: Fields, target: ExampleTarget): string {
  const { auth, baseUrl, endpoint, region } = target;
  if (auth === "sigv4" || auth === "any") {
    return [
      'import { InvokeEndpointCommand, SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";',
      "",
      `const client = new SageMakerRuntimeClient({ endpoint: "${baseUrl}", region: "${region}" });`,
      `const body = ${JSON.stringify(body, null, 2)};`,
      "const answer = await client.send(",
      `  new InvokeEndpointCommand({ EndpointName: "${endpoint}", Body: JSON.stringify(body) }),`,
      ");",
      "console.log(JSON.parse(new TextDecoder().decode(answer.Body)));",
    ].join("\n");
  }
  const isBearer = auth === "bearer";
  const key = isBearer ? '\n  headers: { authorization: "Bearer " + env.GPT2_API_KEY },' : "";
  return [
    ...(isBearer ? ['import { env } from "node:process";', ""] : []),
    `const body = ${JSON.stringify(body, null, 2)};`,
    `const answer = await fetch("${invocationUrl(target)}", {`,
    `  method: "POST",${key}`,
    "  body: JSON.stringify(body),",
    "});",
    "console.log(await answer.json());",
  ].join("\n");
}

/** The same request in the parameters of OpenAI's completions. Those that OpenAI does not have go into `extra_body`. */
function openAi(
  params: GenerationParams,
  prompt: ClientPrompt,
  { baseUrl, endpoint, auth }: ExampleTarget,
): string {
  const { decoding, maxNewTokens = decoding.maxLength - prompt.numTokens, keepBest } = params;
  const { search, penalties = {}, ending = {}, numReturnSequences: drawn } = decoding;
  const options: Record<string, unknown> = {
    model: endpoint,
    prompt: prompt.text,
    max_tokens: Math.max(0, maxNewTokens),
    n: keepBest ?? drawn,
    ...(keepBest !== undefined && { best_of: drawn }),
    seed: decoding.seed,
    temperature: search.kind === "sample" ? search.temperature : 0,
    ...(search.kind === "sample" && search.topP < 1 && { top_p: search.topP }),
    ...(params.stopStrings && { stop: params.stopStrings }),
    ...(penalties.frequency && { frequency_penalty: penalties.frequency }),
    ...(penalties.presence && { presence_penalty: penalties.presence }),
    ...(penalties.logitBias && { logit_bias: Object.fromEntries(penalties.logitBias) }),
    ...((params.echo ?? true) && { echo: true }),
  };
  const extra: Record<string, unknown> = {
    ...(search.kind === "sample" && search.topK > 0 && { top_k: search.topK }),
    ...(search.kind === "sample" && search.minP && { min_p: search.minP }),
    ...(search.kind === "beam" && {
      num_beams: search.numBeams,
      length_penalty: search.lengthPenalty,
      early_stopping: search.earlyStopping,
    }),
    ...(decoding.noRepeatNgramSize > 0 && { no_repeat_ngram_size: decoding.noRepeatNgramSize }),
    ...(penalties.repetition && { repetition_penalty: penalties.repetition }),
    ...(ending.minNewTokens && { min_tokens: ending.minNewTokens }),
    ...(ending.ignoreEos && { ignore_eos: true }),
    ...(ending.stopTokenIds && { stop_token_ids: ending.stopTokenIds }),
    ...(params.includeStop && { include_stop_str_in_output: true }),
  };
  const all = Object.keys(extra).length > 0 ? { ...options, extra_body: extra } : options;
  const lines = Object.entries(all).map(([name, value]) => `    ${name}=${pythonLiteral(value)},`);
  const key = auth === "none" ? '"none"' : 'os.environ["OPENAI_API_KEY"]';
  return [
    ...(auth === "none" ? [] : ["import os", ""]),
    "from openai import OpenAI",
    "",
    ...(auth === "sigv4" || auth === "any" ? ['# export OPENAI_API_KEY="$(gpt2-api token)"'] : []),
    `client = OpenAI(base_url="${baseUrl}/v1", api_key=${key})`,
    "completion = client.completions.create(",
    ...lines,
    ")",
    "for choice in completion.choices:",
    "    print(choice.text)",
  ].join("\n");
}
