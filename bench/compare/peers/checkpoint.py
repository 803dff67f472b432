"""Makes the checkpoint that all contestants run: GPT-2's default shape (124 M parameters) with random weights.

`checkpoint.py DIRECTORY TOKENIZER_DIRECTORY`. Speed does not depend on the weights, with one exception: an end-of-text token would
end a text early. So the weights make its logit very low, for all contestants alike.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

SEED = 124


def main(directory: Path, tokenizer: Path) -> None:
    torch.manual_seed(SEED)
    config = GPT2Config()
    model = GPT2LMHeadModel(config)  # Initialises with a standard deviation of 0.02.
    with torch.no_grad():
        model.transformer.ln_f.bias[0] = 1
        model.transformer.wte.weight[config.eos_token_id, 0] = -100
    model.save_pretrained(directory)
    # GPT-2's old name of the context length, which some converters ask for.
    file = directory / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "n_ctx": config.n_positions}, indent=2))
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(tokenizer / name, directory)
    AutoTokenizer.from_pretrained(directory).save_pretrained(directory)  # As tokenizer.json, too.


main(Path(sys.argv[1]), Path(sys.argv[2]))
