"""Writes test/fixtures/generation/: transformers' answers for a few checkpoints and requests of the suite, and the distributions that its
warpers make of given rows. The tests compare with both, without Python. Run it as `conformance/generation/run.sh fixtures`.
"""

import json
import random
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
import transformers
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from cases import SHARE_OF_EXTRAS, random_case, random_checkpoint, random_texts
from checkpoints import rule_values, write
from reference import Reference
from suite import PLACEHOLDER

FOLDER = Path(__file__).resolve().parents[2] / "test/fixtures/generation"
COMMAND = "conformance/generation/run.sh fixtures"
SEED = 2026
CHECKPOINTS = [0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 15]
CASES = 32
MARGIN = 1e-3  # no case that hangs on less
EARLY_STOPPING_SHARE = 0.15
LENGTH_PENALTIES = [0.0, 0.5, 2.0, -1.0]


def rounded(values, digits: int = 6) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values]


def generation_case(reference: Reference, rng: random.Random) -> dict | None:
    case = random_case(reference.checkpoint, rng, SHARE_OF_EXTRAS)
    options = {}
    if case.num_beams > 1 and rng.random() < EARLY_STOPPING_SHARE:
        options = {"early_stopping": True}
    elif case.num_beams > 1 and rng.random() < EARLY_STOPPING_SHARE:
        options = {"length_penalty": rng.choice(LENGTH_PENALTIES)}
    answer = reference.generate(case, **options)
    if answer.gap < MARGIN or any(score < PLACEHOLDER for score in answer.scores) or len(case.prompt) > 64:
        return None
    request = {**asdict(case), **options}
    sequences = [row[len(case.prompt) :] for row in answer.sequences]
    return {**request, "new_tokens": sequences, **({"scores": rounded(answer.scores)} if answer.scores else {})}


def generation_fixture(number: int, folder: Path) -> dict:
    c = random_checkpoint(number, SEED)
    reference = Reference(write(c, folder / str(number)), c)
    rng = random.Random(f"{SEED} fixtures {number}")
    cases = []
    while len(cases) < CASES:
        case = generation_case(reference, rng)
        if case:
            cases.append(case)
    texts = []
    for text in random_texts(c, 3, number, SEED)[1:]:
        scores = reference.score(text)
        numbers = {"logprobs": rounded(scores.logprobs), "last_logits": rounded(scores.last_logits[:8])}
        texts.append({"tokens": text, **numbers})
    options = {key: value for key, value in asdict(c).items() if value is not None}
    return {"checkpoint": options, "cases": cases, "texts": texts}


# Rows of logits by the rule of the checkpoints, name "row": length, seed, scale; `step` rounds them, so that ties come.
ROWS = [
    *[{"length": 61, "seed": seed, "scale": 12, "step": 0} for seed in (1, 2)],
    {"length": 13, "seed": 3, "scale": 4, "step": 0},
    {"length": 500, "seed": 4, "scale": 10, "step": 0.25},
    {"length": 1000, "seed": 5, "scale": 1, "step": 0},
    {"length": 50257, "seed": 6, "scale": 30, "step": 0},
    {"length": 50257, "seed": 7, "scale": 2, "step": 0},
]
FILTERS = [
    {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    for temperature, top_k, top_p in [
        *[(1, 50, 0.92), (0.7, 50, 0.92), (0.7, 0, 0.92), (0.7, 5, 0.8), (1, 1, 1), (1, 50, 1), (1, 0, 0.5)],
        *[(1, 0, 0.999), (1, 0, 1e-9), (2.5, 0, 0.92), (100, 40, 0.9), (0.001, 50, 0.92), (0.3, 1000, 0.99)],
        *[(1, 100000, 1), (1, 12, 0.95), (1.5, 0, 0.3)],
    ]
]
LISTED = 24  # so many tokens of a distribution are written down


def row_values(row: dict) -> torch.Tensor:
    values = rule_values("row", row["length"], row["seed"], row["scale"], 0.0)
    return torch.from_numpy((values / row["step"]).round() * row["step"] if row["step"] else values)


def distribution_fixture(row: dict, options: dict) -> dict:
    """How many tokens stay, the most probable of them, and what all of them had before the filters: tokens of one
    probability are not told apart, so they are given by probability."""
    scores = row_values(row)[None]
    warpers = [
        *([TemperatureLogitsWarper(float(options["temperature"]))] if options["temperature"] != 1 else []),
        *([TopKLogitsWarper(options["top_k"])] if options["top_k"] else []),
        *([TopPLogitsWarper(options["top_p"])] if options["top_p"] < 1 else []),
    ]
    for warper in warpers:
        scores = warper(None, scores)
    kept = torch.nonzero(scores[0] > -torch.inf)[:, 0]
    probabilities = torch.softmax(scores[0].double(), dim=-1)[kept]
    order = sorted(range(len(kept)), key=lambda i: (-probabilities[i].item(), kept[i].item()))
    top = [[kept[i].item(), float(f"{probabilities[i].item():.6g}")] for i in order[:LISTED]]
    return {**options, "kept": len(kept), "smallest": float(f"{probabilities.min().item():.6g}"), "top": top}


def save(name: str, content: dict, lists: str) -> None:
    """One entry a line."""
    head = {"command": COMMAND, "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}
    compact = {"separators": (",", ":")}
    body = []
    for entry in content:
        inner = ",\n".join(json.dumps(item, **compact) for item in entry[lists])
        rest = {key: value for key, value in entry.items() if key != lists}
        body.append(json.dumps(rest, **compact)[:-1] + f',"{lists}":[\n{inner}]}}')
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps(head, **compact)[:-1] + ',"entries":[\n' + ",\n".join(body) + "]}\n"
    (FOLDER / name).write_text(text)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        save("generation.json", [generation_fixture(n, Path(folder)) for n in CHECKPOINTS], "cases")
    rows = [{"row": row, "filters": [distribution_fixture(row, f) for f in FILTERS]} for row in ROWS]
    save("distributions.json", rows, "filters")


if __name__ == "__main__":
    main()
