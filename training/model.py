"""GPT-2's architecture in PyTorch, and its checkpoint directories.

Modules are named and weights are laid out exactly as in a Hugging Face GPT-2 checkpoint, so that loading and saving are
a matter of one prefix. Letters in shape comments: B sequences, T positions, C width, H heads, V vocabulary.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

PREFIX = "transformer."


@dataclass
class Sizes:
    """What fixes the shape of a model; the fields bear the names of config.json."""

    n_embd: int = 256
    n_layer: int = 4
    n_head: int = 4
    n_positions: int = 256
    vocab_size: int = 50257


class Linear(nn.Module):
    """GPT-2 keeps its matrices as (inputs, outputs), the transpose of nn.Linear's."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return F.linear(x, self.weight.T, self.bias)


class Attention(nn.Module):
    def __init__(self, sizes: Sizes):
        super().__init__()
        self.heads = sizes.n_head
        self.c_attn = Linear(sizes.n_embd, 3 * sizes.n_embd)
        self.c_proj = Linear(sizes.n_embd, sizes.n_embd)

    def forward(self, x):
        B, T, C = x.shape
        # (B, T, 3C) -> three times (B, H, T, C/H)
        q, k, v = self.c_attn(x).view(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).reshape(B, T, C))


class MLP(nn.Module):
    def __init__(self, sizes: Sizes):
        super().__init__()
        self.c_fc = Linear(sizes.n_embd, 4 * sizes.n_embd)
        self.c_proj = Linear(4 * sizes.n_embd, sizes.n_embd)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, sizes: Sizes):
        super().__init__()
        self.ln_1 = nn.LayerNorm(sizes.n_embd)
        self.attn = Attention(sizes)
        self.ln_2 = nn.LayerNorm(sizes.n_embd)
        self.mlp = MLP(sizes)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    """The network without its head: the head is `wte` again, and the callers apply it (all of it, or some rows)."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.sizes = sizes
        self.wte = nn.Embedding(sizes.vocab_size, sizes.n_embd)
        self.wpe = nn.Embedding(sizes.n_positions, sizes.n_embd)
        self.h = nn.ModuleList(Block(sizes) for _ in range(sizes.n_layer))
        self.ln_f = nn.LayerNorm(sizes.n_embd)

    def forward(self, embedded):
        """Token vectors (B, T, C) -> hidden states (B, T, C), ready to be multiplied with rows of wte."""
        x = embedded + self.wpe.weight[: embedded.shape[1]]
        for block in self.h:
            x = block(x)
        return self.ln_f(x)

    def matrices(self) -> dict[str, nn.Parameter]:
        """The linear layers' matrices, by name."""
        return {name: p for name, p in self.named_parameters() if p.ndim == 2 and name.startswith("h.")}


def start_blocks(model: GPT2) -> None:
    """Values of a new model's blocks. Each begins as the identity, since what it adds to the stream is zero."""
    nn.init.normal_(model.wpe.weight, std=0.01)
    for block in model.h:
        for layer in (block.attn.c_attn, block.mlp.c_fc):
            nn.init.orthogonal_(layer.weight, gain=0.7)


def config(sizes: Sizes) -> dict:
    """config.json, with every field that transformers reads for GPT-2 and whose default we do not rely on."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": sizes.vocab_size,
        "n_positions": sizes.n_positions,
        "n_ctx": sizes.n_positions,
        "n_embd": sizes.n_embd,
        "n_layer": sizes.n_layer,
        "n_head": sizes.n_head,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-05,
        "bos_token_id": 50256,
        "eos_token_id": 50256,
        "initializer_range": 0.02,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "scale_attn_weights": True,
        "tie_word_embeddings": True,
        "dtype": "float16",
    }


def save_checkpoint(directory: Path, sizes: Sizes, weights: dict[str, torch.Tensor]) -> None:
    """Writes config.json and model.safetensors (F16). Each file appears whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {PREFIX + name: value.detach().to("cpu", torch.float16).contiguous() for name, value in weights.items()}
    save_file(tensors, directory / "model.safetensors.part", metadata={"format": "pt"})
    (directory / "model.safetensors.part").replace(directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(config(sizes), indent=2) + "\n", encoding="utf-8")


def load_checkpoint(directory: Path) -> GPT2:
    """The model of a Hugging Face GPT-2 directory, in F32. Names may have the prefix or not."""
    settings = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    model = GPT2(Sizes(**{field: settings[field] for field in Sizes.__dataclass_fields__}))
    weights = {name.removeprefix(PREFIX): value for name, value in load_file(directory / "model.safetensors").items()}
    ignored = ("lm_head.weight", ".attn.bias", ".attn.masked_bias")  # the head is wte; masks follow from the positions
    model.load_state_dict({name: weights[name].float() for name in weights if not name.endswith(ignored)})
    return model
