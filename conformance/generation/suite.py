"""Compares the answers of transformers and `gpt2-api` for random checkpoints and requests. Prints one table; the exit code is 1 if they
differ outside ties. In a tie, transformers' own choice depended on a difference below TIE."""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from cases import Case, random_cases, random_checkpoint, random_texts
from checkpoints import Checkpoint, write
from reference import Answer, Reference, Scores
from subject import Run

TIE = 1e-4
# Logits and log-probabilities are compared with transformers in double precision; four times the rounding error of
# transformers in f32 is allowed, and this in any case.
TOLERANCE = 1e-4
SCORE_TOLERANCE = 1e-4
TEXTS_PER_CHECKPOINT = 6
# Transformers' filler for missing hypotheses has a score below this, which is not a log-probability.
PLACEHOLDER = -1e7


class Report:
    def __init__(self, verbose: bool):
        self.verbose = verbose
        self.counts: dict[str, Counter] = defaultdict(Counter)
        self.largest: dict[str, float] = defaultdict(float)

    def passed(self, what: str) -> None:
        self.counts[what]["passed"] += 1

    def other(self, kind: str, what: str, text: str) -> None:
        """`kind` is failed, tie or undefined."""
        self.counts[what][kind] += 1
        if kind != "undefined" or self.verbose:
            print(f"{kind}: {what}: {text}")

    def error(self, what: str, value: float) -> None:
        self.largest[what] = max(self.largest[what], value)

    def table(self) -> int:
        kinds = ["passed", "failed", "tie", "undefined"]
        print(f"\n{'':44}" + "".join(f"{kind:>11}" for kind in kinds) + f"{'max error':>12}")
        total = Counter()
        for what in sorted({*self.counts, *self.largest}):
            row = self.counts[what]
            total += row
            error = f"{self.largest[what]:12.1e}" if what in self.largest else ""
            print(f"{what:44}" + "".join(f"{row[kind]:11}" for kind in kinds) + error)
        print(f"\n{total['passed']} passed, {total['failed']} failed, {total['tie']} ties listed, "
              f"{total['undefined']} without a defined answer")
        return 1 if total["failed"] or not total["passed"] else 0


def compare_generation(
    report: Report, label: str, c: Checkpoint, case: Case, expected: Answer, answer: dict, reference: Reference
) -> None:
    stops = [len(row) > len(case.prompt) and row[-1] in case.eos(c) for row in expected.sequences]
    search = "beam ids" if case.num_beams > 1 else "greedy ids"
    ban = "with n-gram ban" if case.no_repeat_ngram_size else "no ban"
    ends = "end of text" if any(stops) else "full length"
    what = f"{search}, {ban}, {ends}{', extras' if case.extras else ''}"
    request = json.dumps(case.request)
    if "error" in answer:
        return report.other("failed", what, f"{label} {request}: {answer['error']}")
    sequences = [s["token_ids"] for s in answer["sequences"]]
    if sequences != expected.sequences:
        kind = "undefined" if any(s < PLACEHOLDER for s in expected.scores) else "tie" if expected.gap < TIE else "failed"
        text = f"{label} {request} gap {expected.gap:.1e}\n  got      {sequences}\n  expected {expected.sequences}"
        scores = f"\n  got      {[s.get('score') for s in answer['sequences']]}\n  expected {expected.scores}"
        return report.other(kind, what, text + (scores if expected.scores else ""))
    report.passed(what)
    finish = ["stop" if stop else "length" for stop in stops]
    if finish != [s["finish_reason"] for s in answer["sequences"]]:
        report.other("failed", "finish reasons", f"{label} {request}")
    if "logprobs" in case.extras:
        compare_logprobs(report, label, c, case, answer, reference)
    for got, score in zip(answer["sequences"], expected.scores):
        if score < PLACEHOLDER:
            continue
        error = abs(got["score"] - score) / max(1, abs(score))
        report.error("beam scores", error)
        if error <= SCORE_TOLERANCE:
            report.passed("beam scores")
        else:
            report.other("failed", "beam scores", f"{label} {request}: {got['score']} is not {score}")


def compare_logprobs(
    report: Report, label: str, c: Checkpoint, case: Case, answer: dict, reference: Reference
) -> None:
    """Those of a generated text are the model's own for this text, whatever processors chose its tokens."""
    for got in answer["sequences"]:
        ids, values = got["token_ids"], got["token_logprobs"]
        ended = len(ids) - len(values)  # The token that ended a text is not part of it.
        want = reference.score(ids)
        tolerance = max(TOLERANCE, 4 * want.noise)
        pairs = list(zip(values[1:], want.logprobs[: len(values) - 1], strict=True))
        error = max((abs(a - b) for a, b in pairs), default=0.0)
        report.error("log-probabilities of new tokens", error)
        if values[0] is None and ended in (0, 1) and error <= tolerance:
            report.passed("log-probabilities of new tokens")
        else:
            report.other("failed", "log-probabilities of new tokens",
                         f"{label} {json.dumps(case.request)}: off by {error:.1e}, transformers by {want.noise:.1e}")


def compare_score(report: Report, label: str, c: Checkpoint, text: list[int], expected: Scores, answer: dict) -> None:
    if "error" in answer:
        return report.other("failed", "log-probabilities", f"{label} {text}: {answer['error']}")
    tolerance = max(TOLERANCE, 4 * expected.noise)
    for what, got, want in (
        (f"logits {c.dtype}", answer["logits"], expected.last_logits),
        (f"log-probabilities {c.dtype}", answer["logprobs"], expected.logprobs),
    ):
        error = max((abs(a - b) for a, b in zip(got, want, strict=True)), default=0.0)
        report.error(what, error)
        report.error(f"{what}, transformers in f32", expected.noise)
        if error <= tolerance:
            report.passed(what)
        else:
            report.other("failed", what, f"{label} {text}: off by {error:.1e}, transformers by {expected.noise:.1e}")


def check_checkpoint(report: Report, number: int, seed: int, count: int, folder: Path) -> None:
    c = random_checkpoint(number, seed)
    directory = write(c, folder / f"checkpoint-{number}")
    cases = random_cases(c, count, number, seed)
    texts = random_texts(c, TEXTS_PER_CHECKPOINT, number, seed)
    label = f"checkpoint {number} (V {c.V}, d {c.C}, L {c.L}, H {c.H}, {c.dtype}, eos {str(c.eos)[:40]})"
    generating = Run("generate", directory, [case.request for case in cases])
    scoring = Run("score", directory, [{"prompt_token_ids": text} for text in texts], "--logits")
    reference = Reference(directory, c)
    expected = [reference.generate(case) for case in cases]
    scores = [reference.score(text) for text in texts]
    for case, want, answer in zip(cases, expected, generating.answers(count), strict=True):
        compare_generation(report, label, c, case, want, answer, reference)
    for text, want, answer in zip(texts, scores, scoring.answers(len(texts)), strict=True):
        compare_score(report, label, c, text, want, answer)


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=40, help="how many checkpoints (default 40)")
    parser.add_argument("--cases", type=int, default=60, help="generation cases for each (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other checkpoints and cases (default 1)")
    parser.add_argument("--only", type=int, help="this checkpoint alone")
    parser.add_argument("--verbose", action="store_true", help="also list what has no defined answer")
    options = parser.parse_args()
    report = Report(options.verbose)
    start = time.monotonic()
    numbers = range(options.checkpoints) if options.only is None else [options.only]
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            check_checkpoint(report, number, options.seed, options.cases, Path(folder))
            done = sum(row["passed"] for what, row in report.counts.items() if " ids, " in what)
            print(f"{time.monotonic() - start:6.0f} s: checkpoint {number}, {done} generation cases passed",
                  file=sys.stderr)
    return report.table()


if __name__ == "__main__":
    sys.exit(main())
