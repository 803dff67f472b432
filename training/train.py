"""Trains a GPT-2-architecture model and writes it as a Hugging Face checkpoint directory.

    python training/train.py --data path/to/data --out path/to/run --minutes 90
    python training/train.py --data path/to/data --out path/to/run --minutes 90 --init models/tiny

The directory --out receives config.json and model.safetensors (F16; the weights with the best held-out loss so far),
training.json (arguments and log; those of --init's run are kept under "before"), and state.pt, from which the same
command with --resume goes on. The sizes are those of --init if it is given. Runs on a CUDA device if there is one, else
on the CPU.
"""

import argparse
import json
import math
import time
from dataclasses import asdict
from pathlib import Path

import torch
from data import Windows, heldout_windows, read_parts
from loss import SampledSoftmax, heldout_loss
from model import GPT2, Sizes, load_checkpoint, save_checkpoint, start_blocks
from optim import Average, Muon, adam, schedule
from start import start_embeddings


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder written by prepare.py")
    add("--out", type=Path, required=True, help="folder of the run and of the finished checkpoint")
    add("--init", type=Path, help="checkpoint directory to go on from; the optimizers start anew")
    add("--resume", action="store_true", help="go on from state.pt in --out, if it is there")
    add("--minutes", type=float, default=0, help="wall-clock budget, evaluation included, over all resumed runs")
    add("--steps", type=int, default=0, help="budget in steps; with both budgets, the first that is spent")
    add("--width", type=int, default=256, help="C: width of the stream of vectors")
    add("--layers", type=int, default=4)
    add("--heads", type=int, default=4)
    add("--positions", type=int, default=256, help="T: longest context, and the length of a training window")
    add("--batch", type=int, default=16, help="windows in a step")
    add("--draws", type=int, default=4096, help="extra candidates of the sampled softmax in a step")
    add("--matrix-rate", type=float, default=0.02, help="learning rate of Muon")
    add("--vector-rate", type=float, default=0.003, help="learning rate of Adam")
    add("--warmup", type=int, default=40, help="steps until the learning rates are whole")
    add("--flat", type=float, default=0.4, help="share of the budget after which the learning rates fall")
    add("--average", type=float, default=0.95, help="what the average of the weights keeps, every 10 steps; 0: none")
    add("--evaluate-every", type=int, default=250, help="steps between evaluations (and states saved)")
    add("--evaluate-windows", type=int, default=96, help="held-out windows of each part that an evaluation reads")
    add("--patience", type=int, default=0, help="stop after so many evaluations without a better one; 0: never")
    add("--threads", type=int, default=0, help="CPU threads; 0: PyTorch's choice")
    add("--compile", action="store_true", help="compile the network (needs a C++ compiler)")
    add("--seed", type=int, default=1)
    args = parser.parse_args()
    if not args.minutes and not args.steps:
        parser.error("a budget is needed: --minutes or --steps")
    return args


class Run:
    """One training run: the model, its optimizers, its data, and where it stands."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.resuming = args.resume and (args.out / "state.pt").exists()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(args.seed)
        parts = read_parts(args.data, "train")
        self.tokens = torch.cat(list(parts.values()))
        self.model = self.first_model().to(self.device)
        T = self.model.sizes.n_positions
        self.windows = Windows(self.tokens, T, args.batch, args.seed)
        vocabulary = self.model.sizes.vocab_size
        self.loss = SampledSoftmax(
            self.tokens, vocabulary, args.batch * (T + 1), args.draws, args.seed, self.device
        )
        self.heldout = {
            name: spread(heldout_windows(tokens, T), args.evaluate_windows)
            for name, tokens in read_parts(args.data, "heldout").items()
        }
        matrices = self.model.matrices()
        chosen = {id(p) for p in matrices.values()}
        self.muon = Muon(matrices)
        self.adam = adam([p for p in self.model.parameters() if id(p) not in chosen], args.vector_rate)
        self.average = Average(self.model, args.average) if args.average else None
        self.network = torch.compile(self.model) if args.compile else self.model
        self.step, self.seconds, self.best, self.since_best = 0, 0.0, math.inf, 0
        self.log: list[dict] = []
        self.before = earlier(args.init)

    def first_model(self) -> GPT2:
        args = self.args
        if self.resuming:
            return load_checkpoint(args.out)  # for its sizes; restore() sets the weights
        if args.init:
            return load_checkpoint(args.init)
        model = GPT2(Sizes(args.width, args.layers, args.heads, args.positions))
        start_blocks(model)
        start_embeddings(model, self.tokens, args.seed)
        return model

    def progress(self) -> float:
        """Share of the budget that is spent."""
        by_time = self.seconds / (self.args.minutes * 60) if self.args.minutes else 0.0
        by_steps = self.step / self.args.steps if self.args.steps else 0.0
        return max(by_time, by_steps)

    def train_step(self) -> float:
        args = self.args
        ids = self.windows.at(self.step).to(self.device)  # (B, T+1)
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda"):
            loss = self.loss(self.network, self.model.wte, ids, self.step)
        for parameter in self.model.parameters():
            parameter.grad = None
        loss.backward()
        factor = schedule(self.step, self.progress(), args.warmup, args.flat)
        for group in self.adam.param_groups:
            group["lr"] = args.vector_rate * factor
        self.adam.step()
        self.muon.step(args.matrix_rate * factor)
        self.step += 1
        if self.average and self.step % 10 == 0:
            self.average.update(self.model)
        return loss.item()

    def tokens_seen(self) -> int:
        return self.step * self.args.batch * self.model.sizes.n_positions

    def evaluate(self) -> None:
        """Held-out losses of the weights and of their average; writes the checkpoint if either is the best so far."""
        candidates = {"weights": {name: value.clone() for name, value in self.model.state_dict().items()}}
        if self.average:
            candidates["average"] = self.average.weights
        entry = {"step": self.step, "minutes": round(self.seconds / 60, 2), "tokens": self.tokens_seen()}
        self.since_best += 1
        for kind, weights in candidates.items():
            self.model.load_state_dict(weights)
            losses = {n: heldout_loss(self.model, w, self.device)[0] for n, w in self.heldout.items()}
            entry[kind] = {name: round(loss, 4) for name, loss in losses.items()}
            mean = sum(losses.values()) / len(losses)
            if mean < self.best:
                self.best, self.since_best = mean, 0
                save_checkpoint(self.args.out, self.model.sizes, weights)
                entry["saved"] = kind
        self.model.load_state_dict(candidates["weights"])
        self.log.append(entry)
        print("held out:", json.dumps(entry), flush=True)

    def save(self) -> None:
        """state.pt, for --resume, and the log as training.json."""
        # Folders say nothing about the run, and the sizes may come from --init rather than from the arguments.
        places = ("data", "out", "init", "resume", "width", "layers", "heads", "positions")
        summary = {
            "sizes": asdict(self.model.sizes),
            "arguments": {key: value for key, value in vars(self.args).items() if key not in places},
            "steps": self.step,
            "tokens": self.tokens_seen(),
            "minutes": round(self.seconds / 60, 2),
            "log": self.log,
        }
        if self.before:
            summary["before"] = self.before
        self.args.out.mkdir(parents=True, exist_ok=True)
        (self.args.out / "training.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        state = {
            "model": self.model.state_dict(),
            "adam": self.adam.state_dict(),
            "muon": self.muon.averages,
            "average": self.average.weights if self.average else None,
            "position": (self.step, self.seconds, self.best, self.since_best, self.log, self.before),
        }
        torch.save(state, self.args.out / "state.pt.part")
        (self.args.out / "state.pt.part").replace(self.args.out / "state.pt")

    def restore(self) -> None:
        state = torch.load(self.args.out / "state.pt", map_location=self.device)
        self.model.load_state_dict(state["model"])
        self.adam.load_state_dict(state["adam"])
        self.muon.averages = state["muon"]
        if self.average and state["average"]:
            self.average.weights = state["average"]
        self.step, self.seconds, self.best, self.since_best, self.log, self.before = state["position"]


def earlier(directory: Path | None) -> dict | None:
    """training.json of the checkpoint that a run starts from, so that the log tells the whole way to the weights."""
    file = directory / "training.json" if directory else None
    return json.loads(file.read_text(encoding="utf-8")) if file and file.exists() else None


def spread(windows: list, number: int) -> list:
    """`number` of the windows, evenly spaced over the text; the shorter last one is left out unless it is alone."""
    full = windows[:-1] or windows
    if number >= len(full):
        return full
    return [full[index * len(full) // number] for index in range(number)]


def main() -> None:
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    run = Run(args)
    if run.resuming:
        run.restore()
    weights = sum(parameter.numel() for parameter in run.model.parameters())
    print(f"{weights:,} parameters, {len(run.tokens):,} tokens of text, {run.device}, step {run.step}", flush=True)
    if not run.log:
        run.evaluate()
    last = time.monotonic()
    while run.progress() < 1 and not (args.patience and run.since_best >= args.patience):
        loss = run.train_step()
        run.seconds += time.monotonic() - last
        last = time.monotonic()
        if run.step % 20 == 0:
            speed = run.tokens_seen() / run.seconds
            print(f"step {run.step}  {run.seconds / 60:.1f} min  {speed:.0f} tokens/s  loss {loss:.3f}", flush=True)
        if run.step % args.evaluate_every == 0:
            run.evaluate()
            run.save()
    if not run.log or run.log[-1]["step"] != run.step:
        run.evaluate()
    run.save()


if __name__ == "__main__":
    main()
