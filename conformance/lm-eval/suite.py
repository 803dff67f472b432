"""lm-evaluation-harness with its model `local-completions` on this server, and with its own model `hf`, on the shipped model in
f32: likelihoods, rolling likelihoods and generations must be alike, however the requests are sent. Exit code 1 if they are not.
With --speed it prints the requests a second of both instead, for f32 and int8, on the same cores."""

import argparse
import contextlib
import json
import math
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OPENAI_API_KEY", "none")

from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("GPT2_API", ROOT / "dist/src/cli/main.js"))
MODEL = ROOT / "models/tiny"
LENGTH = 256
TOLERANCE = 5e-4  # of a sum of log-probabilities; transformers adds them in f32

TEXTS = (ROOT / "README.md").read_text().split("\n\n")


@contextlib.contextmanager
def server(precision: str):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["serve", "--model", MODEL, "--precision", precision, "--auth", "none", "--port", str(port)]
    process = subprocess.Popen(["node", PROGRAM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{base}/ping").read()
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError("the server does not start")
            time.sleep(0.05)
        yield base
    finally:
        process.terminate()
        process.wait(30)


def over_http(base: str, **options):
    arguments = {"tokenizer": str(MODEL), "tokenizer_backend": "huggingface", "max_length": LENGTH, **options}
    return get_model("local-completions")(model="gpt-2", base_url=f"{base}/v1/completions", **arguments)


def by_transformers(batch_size: int = 1):
    return get_model("hf")(pretrained=str(MODEL), dtype="float32", device="cpu", batch_size=batch_size)


def instances(kind: str, arguments: list) -> list[Instance]:
    return [Instance(request_type=kind, doc={}, arguments=each, idx=i) for i, each in enumerate(arguments)]


def likelihood_cases(count: int) -> list[tuple[str, str]]:
    rng = random.Random(7)
    fixed = [("The old man", " went home"), ("The old man", " sea banana"), ("", " went"), ("She said,", ' "I am not'),
             ("naïve café", " — 日本 😀"), ("The old man ", "sea")]
    words = " ".join(TEXTS).split()
    cases = []
    for _ in range(count - len(fixed)):
        begin = rng.randrange(len(words) - 60)
        length = rng.randrange(1, 25)  # Longer contexts are cut, and the API's model cuts two tokens more than `hf`.
        cases.append((" ".join(words[begin : begin + length]), " " + " ".join(words[begin + length :][: rng.randrange(1, 6)])))
    return fixed + cases


def choice_cases(questions: int) -> list[tuple[str, str]]:
    """Multiple choice: four continuations of the same context."""
    rng = random.Random(8)
    words = " ".join(TEXTS).split()
    cases = []
    for _ in range(questions):
        begin = rng.randrange(len(words) - 80)
        context = " ".join(words[begin : begin + 60])
        cases += [(context, " " + " ".join(rng.sample(words, rng.randrange(2, 7)))) for _ in range(4)]
    return cases


GENERATIONS = [
    ("The old man looked at the sea and", {"until": ["man, but", "\n"], "max_gen_toks": 24}),
    ("Once upon a time", {"until": ["."], "max_gen_toks": 30}),
    ("A server should", {"until": ["\n\n", "<|endoftext|>"], "max_gen_toks": 40, "do_sample": False}),
]
ROLLING = [("The old man looked at the sea and said nothing. " * 30,), ("Short.",), (TEXTS[2],)]


class Report:
    def __init__(self):
        self.failed = 0

    def compare(self, what: str, got: list, want: list, tolerance: float = TOLERANCE) -> None:
        wrong = [(g, w) for g, w in zip(got, want, strict=True) if not alike(g, w, tolerance)]
        self.failed += len(wrong)
        print(f"{'FAILED' if wrong else 'ok':7}{what}: {len(got) - len(wrong)} of {len(got)} alike"
              + (f", for example {wrong[0][0]!r} for {wrong[0][1]!r}" if wrong else ""))


def alike(got, want, tolerance: float) -> bool:
    if isinstance(want, (tuple, list)):
        return len(got) == len(want) and all(alike(g, w, tolerance) for g, w in zip(got, want))
    if isinstance(want, float):
        return math.isclose(got, want, rel_tol=1e-5, abs_tol=tolerance)
    return got == want


def compare(count: int) -> int:
    report = Report()
    cases = likelihood_cases(count)
    reference = by_transformers()
    # One by one, because `hf` sometimes gives a text in a list another result than alone.
    likelihoods = [reference.loglikelihood(instances("loglikelihood", [case]), disable_tqdm=True)[0] for case in cases]
    texts = reference.generate_until(instances("generate_until", GENERATIONS))
    # The API's model cuts its windows two tokens shorter than `hf` does.
    shorter = get_model("hf")(pretrained=str(MODEL), dtype="float32", device="cpu", batch_size=1, max_length=LENGTH - 2)
    rolling = shorter.loglikelihood_rolling(instances("loglikelihood_rolling", ROLLING))
    with server("f32") as base:
        for name, options in {
            "tokens, one by one": {},
            "tokens, batches of 8": {"batch_size": 8},
            "tokens, 4 at a time": {"num_concurrent": 4},
            "texts": {"tokenized_requests": False},
            "tokenizer of the server": {"tokenizer_backend": "remote", "tokenizer": None},
        }.items():
            lm = over_http(base, **options)
            report.compare(f"likelihoods, {name}", lm.loglikelihood(instances("loglikelihood", cases)), likelihoods)
            report.compare(f"generations, {name}", lm.generate_until(instances("generate_until", GENERATIONS)), texts)
        lm = over_http(base)
        report.compare("rolling likelihoods", lm.loglikelihood_rolling(instances("loglikelihood_rolling", ROLLING)),
                       rolling, tolerance=5e-6 * LENGTH * 2)
    print(f"{report.failed} failed")
    return 1 if report.failed else 0


def speed(questions: int) -> int:
    cases = choice_cases(questions)

    def measured(lm) -> float:
        begin = time.monotonic()
        lm.loglikelihood(instances("loglikelihood", cases), disable_tqdm=True)
        return len(cases) / (time.monotonic() - begin)

    rates = {"hf": measured(by_transformers(batch_size=16))}
    for precision in ("f32", "int8"):
        with server(precision) as base:
            rates[precision] = measured(over_http(base, batch_size=16, num_concurrent=2))
    rates["hf again"] = measured(by_transformers(batch_size=16))
    best = max(rates["hf"], rates["hf again"])
    print(json.dumps({name: {"requests a second": round(rate, 1), "times hf": round(rate / best, 2)}
                      for name, rate in rates.items()}, indent=1))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("--cases", type=int, default=60, help="likelihoods to compare (default 60)")
    parser.add_argument("--speed", action="store_true", help="measure instead")
    parser.add_argument("--questions", type=int, default=100, help="of four choices each, to measure (default 100)")
    options = parser.parse_args()
    return speed(options.questions) if options.speed else compare(options.cases)


if __name__ == "__main__":
    sys.exit(main())
