"""Checkpoints whose weights follow a simple rule, so that tests in any language can make the same ones.

state = (FNV-1a-32(name) + seed * 2654435761) mod 2^32; then, for every element in row-major order,
state = (state * 1664525 + 1013904223) mod 2^32 and value = f32((state / 2^32 - 0.5) * scale + offset).
The name is the tensor's without its prefix; `test/support/checkpoints.ts` is the same rule in TypeScript.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Checkpoint:
    """Like `CheckpointOptions` of the TypeScript tests: sizes, seed, and the form of the files."""

    seed: int
    V: int = 61
    P: int = 64
    C: int = 16
    L: int = 2
    H: int = 2
    F: int | None = None
    ws: float = 2.0
    config: dict = field(default_factory=dict)
    prefix: str = ""
    dtype: str = "F32"
    maskBuffers: bool = False
    shards: int = 1

    @property
    def eos(self) -> list[int]:
        ids = self.config.get("eos_token_id", self.V - 1)
        return [] if ids is None else ids if isinstance(ids, list) else [ids]


def fnv1a(text: str) -> int:
    state = 0x811C9DC5
    for byte in text.encode():
        state = ((state ^ byte) * 0x01000193) % 2**32
    return state


def rule_values(name: str, count: int, seed: int, scale: float, offset: float) -> np.ndarray:
    """The first `count` values, all at once: state n is a^n * s + c * (a^0 + ... + a^(n-1)), modulo 2^32."""
    start = np.uint32((fnv1a(name) + seed * 2654435761) % 2**32)
    powers = np.cumprod(np.full(count, 1664525, dtype=np.uint32), dtype=np.uint32)
    sums = np.cumsum(np.concatenate([[np.uint32(1)], powers[:-1]]), dtype=np.uint32)
    state = powers * start + sums * np.uint32(1013904223)
    return ((state.astype(np.float64) / 2**32 - 0.5) * scale + offset).astype(np.float32)


def rule(c: Checkpoint) -> list[tuple[str, tuple[int, ...], float, float]]:
    """Name, shape, scale and offset of every tensor."""
    F = c.F or 4 * c.C
    tensors = [
        ("wte.weight", (c.V, c.C), c.ws, 0.0),
        ("wpe.weight", (c.P, c.C), 1.0, 0.0),
        ("ln_f.weight", (c.C,), 0.2, 1.0),
        ("ln_f.bias", (c.C,), 0.2, 0.0),
    ]
    for layer in range(c.L):
        at = f"h.{layer}."
        for name in ("ln_1", "ln_2"):
            tensors += [(f"{at}{name}.weight", (c.C,), 0.2, 1.0), (f"{at}{name}.bias", (c.C,), 0.2, 0.0)]
        for name, rows, columns in (
            ("attn.c_attn", c.C, 3 * c.C),
            ("attn.c_proj", c.C, c.C),
            ("mlp.c_fc", c.C, F),
            ("mlp.c_proj", F, c.C),
        ):
            tensors += [(f"{at}{name}.weight", (rows, columns), 1.0, 0.0), (f"{at}{name}.bias", (columns,), 0.2, 0.0)]
    if c.config.get("tie_word_embeddings") is False:
        tensors.append(("lm_head.weight", (c.V, c.C), c.ws, 0.0))
    return tensors


def write(c: Checkpoint, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": c.V,
        "n_positions": c.P,
        "n_embd": c.C,
        "n_layer": c.L,
        "n_head": c.H,
        **({} if c.F is None else {"n_inner": c.F}),
        "bos_token_id": c.V - 1,
        "eos_token_id": c.V - 1,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        **c.config,
    }
    (directory / "config.json").write_text(json.dumps(config))
    tensors = {}
    for name, shape, scale, offset in rule(c):
        values = rule_values(name, int(np.prod(shape)), c.seed, scale, offset).reshape(shape)
        full = name if name.startswith("lm_head") else c.prefix + name
        tensors[full] = torch.from_numpy(values).to(DTYPES[c.dtype]).contiguous()
    if c.maskBuffers:
        for layer in range(c.L):
            mask = torch.tril(torch.ones(c.P, c.P, dtype=torch.uint8)).view(1, 1, c.P, c.P)
            tensors[f"{c.prefix}h.{layer}.attn.bias"] = mask
            tensors[f"{c.prefix}h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    if c.shards == 1:
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        return directory
    names = list(tensors)
    weight_map = {}
    for shard in range(c.shards):
        file = f"model-{shard + 1:05d}-of-{c.shards:05d}.safetensors"
        own = names[shard :: c.shards]
        weight_map |= dict.fromkeys(own, file)
        save_file({name: tensors[name] for name in own}, directory / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return directory
