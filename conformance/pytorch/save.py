"""Saves one small GPT-2 in every form that PyTorch has: `save.py FOLDER`. Prints a line of JSON for each checkpoint.

A line names the folder, the type of the weights, and the SHA-256 of every tensor as f32 in row-major order.
"""

import hashlib
import json
import sys
from collections import OrderedDict
from pathlib import Path

import torch

V, P, C, L, H = 61, 64, 16, 2, 2
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}
CONFIG = {
    "model_type": "gpt2",
    **{"vocab_size": V, "n_positions": P, "n_embd": C, "n_layer": L, "n_head": H},
    **{"bos_token_id": V - 1, "eos_token_id": V - 1, "activation_function": "gelu_new"},
}


class Attention(torch.nn.Module):
    """A module's own `state_dict()` has metadata about versions, and buffers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("bias", torch.ones(P, P, dtype=torch.uint8).tril().view(1, 1, P, P))
        self.register_buffer("masked_bias", torch.tensor(-1e4))


def weights(dtype):
    generator = torch.Generator().manual_seed(7)

    def normal(*shape, mean=0.0, scale=0.5):
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale + mean).to(dtype)

    tensors = OrderedDict()
    tensors["wte.weight"] = normal(V, C)
    tensors["wpe.weight"] = normal(P, C, scale=0.2)
    for layer in range(L):
        at = f"h.{layer}."
        for name in ("ln_1", "ln_2"):
            tensors[f"{at}{name}.weight"] = normal(C, mean=1.0, scale=0.1)
            tensors[f"{at}{name}.bias"] = normal(C, scale=0.1)
        shapes = {"attn.c_attn": (C, 3 * C), "attn.c_proj": (C, C), "mlp.c_fc": (C, 4 * C), "mlp.c_proj": (4 * C, C)}
        for name, shape in shapes.items():
            tensors[f"{at}{name}.weight"] = normal(*shape)
            tensors[f"{at}{name}.bias"] = normal(shape[1], scale=0.1)
    tensors["ln_f.weight"] = normal(C, mean=1.0, scale=0.1)
    tensors["ln_f.bias"] = normal(C, scale=0.1)
    return tensors


def transposed(tensors):
    """Transposed matrices, as after a conversion of linear layers to GPT-2's."""
    return OrderedDict((n, t.t().contiguous().t() if t.dim() == 2 else t) for n, t in tensors.items())


def views(tensors):
    """All tensors in one storage."""
    flat = torch.cat([t.reshape(-1) for t in tensors.values()])
    parts = torch.split(flat, [t.numel() for t in tensors.values()])
    return OrderedDict((n, part.view(t.shape)) for (n, t), part in zip(tensors.items(), parts))


def columns(tensors):
    """Views: every matrix is the middle of a wider one, and every vector is every second number of a longer one."""

    def wider(t):
        if t.dim() == 1:
            return torch.stack([t, t], dim=1)[:, 0]
        return torch.cat([t, t, t], dim=1)[:, t.shape[1] : 2 * t.shape[1]]

    return OrderedDict((n, wider(t)) for n, t in tensors.items())


def tied(tensors):
    return OrderedDict([*tensors.items(), ("lm_head.weight", tensors["wte.weight"])])


def prefixed(tensors):
    return OrderedDict((f"transformer.{n}", t) for n, t in tensors.items())


def masked(tensors):
    masks = {f"h.{layer}.attn.{n}": t for layer in range(L) for n, t in Attention().state_dict().items()}
    masks["h.0.attn.bias"] = masks["h.0.attn.bias"].bool()
    return OrderedDict([*tensors.items(), *masks.items()])


def noted(tensors):
    state = Attention().state_dict()
    state.clear()
    state.update(tensors)
    assert state._metadata
    return state


def parameters(tensors):
    return OrderedDict((n, torch.nn.Parameter(t)) for n, t in tensors.items())


def nested(tensors):
    return {"epoch": 3, "loss": 2.5, "best": None, "state_dict": tensors, "history": [1.0, (2, -3, 2**40)]}


DRESSES = (dict, OrderedDict, transposed, views, columns, tied, prefixed, masked, noted, parameters, nested)
FORMATS = {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}


def raw(tensor):
    numbers = tensor.detach().contiguous()
    return (numbers.view(torch.int16) if numbers.dtype == torch.bfloat16 else numbers).numpy().tobytes()


def save_safetensors(tensors, file):
    header, data = {}, b""
    for name, tensor in tensors.items():
        begin, data = len(data), data + raw(tensor)
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)


def save_shards(tensors, folder, **options):
    names = list(tensors)
    weight_map = {}
    for shard in range(3):
        file = f"pytorch_model-{shard + 1:05d}-of-00003.bin"
        own = names[shard::3]
        weight_map.update(dict.fromkeys(own, file))
        torch.save({n: tensors[n] for n in own}, folder / file, **options)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def main(root):
    for dtype, name in NAMES.items():
        tensors = weights(dtype)
        hashes = {n: hashlib.sha256(raw(t.float())).hexdigest() for n, t in tensors.items()}

        def folder(form):
            path = root / f"{name}-{form}"
            path.mkdir(parents=True)
            (path / "config.json").write_text(json.dumps(CONFIG))
            print(json.dumps({"folder": str(path), "dtype": name, "hashes": hashes}))
            return path

        save_safetensors(tensors, folder("safetensors") / "model.safetensors")
        for form, options in FORMATS.items():
            for dress in DRESSES:
                torch.save(dress(tensors), folder(f"{form}-{dress.__name__}") / "pytorch_model.bin", **options)
            for protocol in (3, 4):
                file = folder(f"{form}-protocol-{protocol}") / "pytorch_model.bin"
                torch.save(tensors, file, pickle_protocol=protocol, **options)
            save_shards(tensors, folder(f"{form}-shards"), **options)


main(Path(sys.argv[1]))
