// Perplexities of texts, without a server: `node examples/evaluate.js [TEXT…]`. The lower, the less a text surprised the model.
import { loadModel } from "gpt2-api";

const given = process.argv.slice(2);
const texts =
  given.length > 0
    ? given
    : [
        "The old man looked at the sea.",
        "The old man looked at the quickly.",
        "Sea the at looked man old the.",
      ];
const model = await loadModel("tiny", { precision: "f32" });
try {
  for (const text of texts) {
    const { perplexity } = await model.score(text);
    console.log(`${perplexity.toFixed(1).padStart(10)}  ${text}`);
  }
} finally {
  await model.close();
}
