// A checkpoint that always generates the same hostile text: markup, right-to-left writing, an emoji cut into its bytes, control
// characters, ten thousand spaces. Its position embedding selects the token of each position. All other weights have no effect.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../../dist/test/support/checkpoints.js";

export const MARKUP = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script><b>bold</b>`;
export const RIGHT_TO_LEFT = "\n\u05e9\u05dc\u05d5\u05dd \u202eabc\u202c ";
export const EMOJI = "\u{1f469}\u200d\u{1f680}";
export const CONTROLS = "\u0000\u0007\u007f";
const SPACES_PER_TOKEN = 100;
export const NUM_SPACES = 10_000;

/** The alphabet of GPT-2's vocab.json: bytes that are not printable characters are written as characters from U+0100 on. */
function byteCharacters() {
  const isShown = (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173 && byte <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isShown(byte) ? byte : next++));
}

/** Writes the model into a folder. For the whole text, the prompt must be a single token. */
export function writeHostileModel(folder) {
  mkdirSync(folder, { recursive: true });
  const characters = byteCharacters();
  const spaces = 256;
  const end = 257;
  const vocab = Object.fromEntries([
    ...characters.map((character, byte) => [character, byte]),
    [characters[32].repeat(SPACES_PER_TOKEN), spaces],
    ["<|endoftext|>", end],
  ]);
  const bytes = new TextEncoder().encode(MARKUP + RIGHT_TO_LEFT + EMOJI + CONTROLS);
  const script = [...bytes, ...new Array(NUM_SPACES / SPACES_PER_TOKEN).fill(spaces), end];
  const P = script.length + 1;
  const C = Math.ceil(P / 64) * 64;
  const V = end + 1;
  const config = {
    model_type: "gpt2",
    vocab_size: V,
    n_positions: P,
    n_embd: C,
    n_layer: 1,
    n_head: C / 64,
    bos_token_id: end,
    eos_token_id: end,
    activation_function: "gelu_new",
    layer_norm_epsilon: 1e-5,
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeFileSync(join(folder, "vocab.json"), JSON.stringify(vocab));
  writeFileSync(join(folder, "merges.txt"), "#version: 0.2\n");
  writeSafetensors(join(folder, "model.safetensors"), tensors(script, { P, C, V }));
}

function tensors(script, { P, C, V }) {
  const of = (name, shape, value = 0) => {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value);
    return { name, shape, dtype: "F32", values };
  };
  const wte = of("wte.weight", [V, C]);
  const wpe = of("wpe.weight", [P, C]);
  for (const [position, token] of script.entries()) {
    wte.values[token * C + position] = 1;
    wpe.values[position * C + position] = 1000;
  }
  const norm = (name) => [of(`${name}.weight`, [C], 1), of(`${name}.bias`, [C])];
  const linear = (name, from, to) => [of(`${name}.weight`, [from, to]), of(`${name}.bias`, [to])];
  const all = [
    wte,
    wpe,
    ...norm("h.0.ln_1"),
    ...linear("h.0.attn.c_attn", C, 3 * C),
    ...linear("h.0.attn.c_proj", C, C),
    ...norm("h.0.ln_2"),
    ...linear("h.0.mlp.c_fc", C, 4 * C),
    ...linear("h.0.mlp.c_proj", 4 * C, C),
    ...norm("ln_f"),
  ];
  return all.map(({ values, ...rest }) => ({ ...rest, bytes: new Uint8Array(values.buffer) }));
}
