// A client of a server that runs elsewhere. For the example's sake the server is this program's own: give its URL to talk to yours, with
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.
import { ApiError, Client } from "gpt2-api/client";

const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = process.env;
const theirs = process.argv[2];
const own = theirs ? undefined : await startServer();
const client = new Client({
  url: theirs ?? own.url,
  ...(theirs && secretAccessKey && { keyPair: { accessKeyId, secretAccessKey } }),
});
try {
  const request = { input: "Once upon a time", max_new_tokens: 20, num_return_sequences: 1 };
  const { texts, seed } = await client.generate(request);
  console.log(`With seed ${seed}: ${texts[0]}`);

  for await (const { text } of client.generate({ ...request, mode: "greedy" })) process.stdout.write(text);
  process.stdout.write("\n");

  await client.generate({ ...request, top_p: 7 });
} catch (error) {
  if (!(error instanceof ApiError)) throw error;
  console.log(`Refused (${error.code}): ${error.message}`);
} finally {
  await own?.stop();
}

async function startServer() {
  const { createApp, DEFAULT_SETTINGS, loadGenerator } = await import("gpt2-api/server");
  const { fileURLToPath } = await import("node:url");
  const model = fileURLToPath(new URL("../models/tiny", import.meta.url));
  const generator = await loadGenerator({
    model,
    name: "tiny",
    precision: "int8",
    kvCacheMb: 64,
    queueRequestsMax: 64,
  });
  const app = createApp({
    generators: new Map([["gpt-2", generator]]),
    settings: { ...DEFAULT_SETTINGS, auth: "none" },
    keys: { keyPair: () => undefined, apiKey: () => undefined },
  });
  const stop = async () => {
    await app.close();
    await generator.close();
  };
  return { url: await app.listen({ port: 0, host: "127.0.0.1" }), stop };
}
