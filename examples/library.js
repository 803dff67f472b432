// GPT-2 in a program of your own: whole answers, log-probabilities, token ids. Run it with `node examples/library.js`, or with the
// name of another model, such as gpt2.
import { loadModel } from "gpt2-api";

const model = await loadModel(process.argv[2] ?? "tiny");
try {
  const { texts, seed } = await model.generate({
    input: "The old man looked at the sea and",
    mode: "sample",
    max_new_tokens: 20,
    num_return_sequences: 2,
    stop: "\n",
  });
  console.log(`With seed ${seed}:`);
  for (const text of texts) console.log(`- ${text}`);

  const { perplexity } = await model.score("The old man looked at the sea.");
  console.log(`Perplexity of a sentence: ${perplexity.toFixed(1)}`);

  const ids = model.tokenizer?.encode("naïve café") ?? [];
  console.log(`Token ids: ${ids.join(" ")}, back again: ${model.tokenizer?.decode(ids)}`);
} finally {
  await model.close();
}
