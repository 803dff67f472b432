// A text while it grows. Leaving the loop stops the work.
import { loadModel } from "gpt2-api";

const model = await loadModel(process.argv[2] ?? "tiny");
try {
  const request = { input: "Once upon a time", mode: "greedy", max_new_tokens: 40, num_return_sequences: 1 };
  for await (const { text } of model.generate(request)) process.stdout.write(text);
  process.stdout.write("\n");
} finally {
  await model.close();
}
