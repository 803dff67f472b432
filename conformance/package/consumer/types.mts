// A consumer of the types: what is right compiles, and what is wrong does not.
import { type GenerateResult, GptError, loadModel } from "gpt2-api";
import { ApiError, Client, type ClientPiece, type ClientResult } from "gpt2-api/client";
import { createApp, DEFAULT_SETTINGS } from "gpt2-api/server";
import { signRequest } from "gpt2-api/sigv4";

export async function library(): Promise<readonly string[]> {
  const model = await loadModel("tiny", { precision: "int8" });
  const result: GenerateResult = await model.generate({ input: "a", mode: "beam", num_beams: 2 });
  for await (const { index, text } of model.generate({ input: "a" })) index.toFixed() + text.trim();
  // @ts-expect-error: there is no such mode
  model.generate({ input: "a", mode: "fast" });
  // @ts-expect-error: a request has an input
  model.generate({ mode: "greedy" });
  await model.close();
  return result.texts;
}

export async function client(signal: AbortSignal): Promise<ClientResult> {
  const there = new Client({ url: "http://h", keyPair: { accessKeyId: "a", secretAccessKey: "b" } });
  for await (const piece of there.generate({ input: "a" }, { signal }))
    (piece satisfies ClientPiece).text.trim();
  // @ts-expect-error: there is no such parameter
  there.generate({ input: "a", max_lenght: 3 });
  return there.generate({ input: "a", stop: ["\n"] });
}

export function isOurs(error: unknown): error is GptError | ApiError {
  return error instanceof GptError || (error instanceof ApiError && error.code === "unavailable");
}

export const entries = { createApp, auth: DEFAULT_SETTINGS.auth, signRequest };
