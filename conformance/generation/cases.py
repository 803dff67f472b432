"""Random checkpoints and requests from one seed. Options that must occur are taken in turn, the others at random."""

import random
from dataclasses import dataclass, field

from checkpoints import Checkpoint

# (n_embd, n_head): head sizes 8 to 64, head counts from 1 to 12, most of them no powers of two.
SHAPES = [
    *[(16, 1), (24, 3), (40, 5), (64, 1), (96, 12), (48, 3), (56, 7), (32, 1), (72, 9), (80, 5)],
    *[(96, 3), (16, 2), (88, 11), (64, 2), (96, 2), (48, 6), (24, 1), (72, 3), (80, 10), (60, 5)],
]
VOCABULARIES = [13, 61, 257, 29, 1003, 17, 97, 500, 37, 128, 5000, 23]
LARGE_VOCABULARIES = [32000, 50257]
ACTIVATIONS = [
    *("gelu_new", "gelu", "relu", "gelu_pytorch_tanh", "silu", "tanh", "quick_gelu", "gelu_fast", "gelu_10"),
    *("relu2", "relu6", "leaky_relu", "linear", "sigmoid", "hardswish", "mish", "laplace"),
]
SHARE_OF_EXTRAS = 0.6
EOS = ["last", "inside", "list", "outside", "long list", "mixed list", "none"]


def eos_ids(kind: str, V: int, rng: random.Random):
    if kind == "inside":
        return rng.randrange(V)
    if kind == "outside":
        return V + rng.randrange(1000)
    if kind == "list":
        return rng.sample(range(V), 2)
    if kind == "long list":
        return rng.sample(range(V), max(3, min(24, V // 12)))
    if kind == "mixed list":
        return [V + 3, rng.randrange(V), rng.randrange(V)]
    return None if kind == "none" else V - 1


def random_checkpoint(number: int, seed: int) -> Checkpoint:
    """The `number`-th checkpoint of a run; one of eight has a vocabulary of GPT-2's size."""
    rng = random.Random(f"{seed} checkpoint {number}")
    large = number % 8 == 7
    C, H = SHAPES[(number + seed) % len(SHAPES)]
    V = LARGE_VOCABULARIES[number // 8 % 2] if large else VOCABULARIES[(number - number // 8) % len(VOCABULARIES)]
    config = {
        "activation_function": ACTIVATIONS[number % len(ACTIVATIONS)],
        "scale_attn_weights": number % 5 != 1,
        "scale_attn_by_inverse_layer_idx": number % 3 == 1,
        "layer_norm_epsilon": rng.choice([1e-5, 1e-5, 1e-6, 1e-3]),
        "bos_token_id": rng.randrange(V),
        "eos_token_id": eos_ids(EOS[number % len(EOS)], V, rng),
    }
    if number % 4 == 2:
        config["tie_word_embeddings"] = False
    if number % 6 == 5:
        config["reorder_and_upcast_attn"] = True
    return Checkpoint(
        seed=rng.randrange(2**31),
        V=V,
        P=rng.choice([16, 33, 64, 100, 128]) if number % 10 != 9 else 1024,
        C=C,
        L=1 + number % 4 if not large else 1 + number % 2,
        H=H,
        F=rng.choice([None, None, C, 3 * C + 5, 24, 37]),
        ws=rng.choice([0.5, 1.0, 2.0, 3.0]),
        config=config,
        prefix="transformer." if number % 2 else "",
        dtype=["F32", "F16", "BF16"][number // 2 % 3],
        maskBuffers=number % 3 == 0,
        shards=[1, 1, 2, 3][rng.randrange(4)],
    )


@dataclass(frozen=True)
class Case:
    prompt: list[int]
    max_length: int
    num_beams: int  # 0: greedy
    no_repeat_ngram_size: int
    num_return_sequences: int
    # Parameters that SageMaker's contract does not have, with their names in a request; see `random_extras`.
    extras: dict = field(default_factory=dict)

    def eos(self, c: Checkpoint) -> list[int]:
        """The tokens that end a text."""
        return [*([] if self.extras.get("ignore_eos") else c.eos), *self.extras.get("stop_token_ids", [])]

    @property
    def request(self) -> dict:
        """The line for `gpt2-api generate --requests`."""
        beam = {"mode": "beam", "num_beams": self.num_beams} if self.num_beams else {"mode": "greedy"}
        return {
            "prompt_token_ids": self.prompt,
            "max_length": self.max_length,
            "no_repeat_ngram_size": self.no_repeat_ngram_size,
            "num_return_sequences": self.num_return_sequences,
            **beam,
            **self.extras,
        }


def random_prompt(c: Checkpoint, length: int, rng: random.Random) -> list[int]:
    inside = [id for id in c.eos if id < c.V]
    kind = rng.randrange(6)
    if kind == 0:  # a few tokens again and again: n-gram bans have work
        few = [rng.randrange(c.V) for _ in range(3)]
        return [rng.choice(few) for _ in range(length)]
    prompt = [rng.randrange(c.V) for _ in range(length)]
    if kind == 1 and inside:  # end of text in the prompt
        prompt[rng.randrange(length)] = rng.choice(inside)
    return prompt


def random_extras(c: Checkpoint, prompt: list[int], new: int, rng: random.Random) -> dict:
    """Penalties, biases, endings and log-probabilities; each in some of the cases."""
    some = [rng.randrange(c.V) for _ in range(4)] + prompt[-2:]
    extras = {
        "repetition_penalty": rng.choice([0.7, 1.1, 1.3, 2.0]),
        "frequency_penalty": rng.choice([-0.5, 0.3, 1.5]),
        "presence_penalty": rng.choice([-1.0, 0.4, 2.0]),
        "logit_bias": {str(id): rng.choice([-100, -1.5, 0.25, 3, 100]) for id in rng.sample(some, 3)},
        "min_new_tokens": rng.randrange(0, new + 2),
        "ignore_eos": True,
        "stop_token_ids": sorted({rng.randrange(c.V) for _ in range(rng.randrange(1, max(2, c.V // 8)))})[:20],
        "logprobs": rng.choice([0, 1, 5]),
    }
    return {name: value for name, value in extras.items() if rng.random() < 0.35}


def random_case(c: Checkpoint, rng: random.Random, share_of_extras: float = 0.0) -> Case:
    longest = c.P - 1
    length = min(longest, rng.choice([1, 2, 3, 5, 8, 13, rng.randrange(1, 40), longest if c.P <= 64 else 20]))
    new = rng.choice([1, 2, 3, 5, 8, 12, 16, 24]) if rng.random() < 0.95 else min(c.P, 64)
    widths = [1, 2, 2, 3, 3, 4, 5, 5, 6, 7, 8, *([c.V + 3] if c.V < 20 else [])]
    beams = 0 if rng.random() < 0.35 else rng.choice(widths)
    prompt = random_prompt(c, length, rng)
    extras = random_extras(c, prompt, new, rng) if share_of_extras and rng.random() < share_of_extras else {}
    return Case(
        prompt=prompt,
        max_length=min(c.P, length + new),
        num_beams=beams,
        no_repeat_ngram_size=rng.choice([0, 0, 0, 0, 1, 2, 2, 3, 4]),
        num_return_sequences=rng.randrange(1, max(beams, 1) + 1),
        extras=extras,
    )


def random_cases(c: Checkpoint, count: int, number: int, seed: int) -> list[Case]:
    rng = random.Random(f"{seed} cases {number}")
    return [random_case(c, rng, SHARE_OF_EXTRAS) for _ in range(count)]


def random_texts(c: Checkpoint, count: int, number: int, seed: int) -> list[list[int]]:
    """Token ids to score; one of them fills the context."""
    rng = random.Random(f"{seed} texts {number}")
    lengths = [min(c.P, 256), *(rng.randrange(1, min(c.P, 40) + 1) for _ in range(count - 1))]
    return [random_prompt(c, length, rng) for length in lengths]
