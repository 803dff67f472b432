// The server inside a program of your own: an application of Fastify that nobody has to sign for, called here without a network. To
// serve it, call `app.listen({ port: 8080, host: "127.0.0.1" })`.
import { createApp, DEFAULT_SETTINGS, loadGenerator } from "gpt2-api/server";

const generator = await loadGenerator({
  model: new URL("../models/tiny", import.meta.url).pathname,
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
try {
  const response = await app.inject({
    method: "POST",
    url: "/v1/completions",
    payload: { prompt: "The server said", max_tokens: 12, temperature: 0 },
  });
  console.log(response.json().choices[0].text);
} finally {
  await app.close();
  await generator.close();
}
