"""Held-out perplexity of a checkpoint directory.

    python training/evaluate.py --model models/tiny --data path/to/data
    python training/evaluate.py --model models/tiny --data path/to/data --export path/to/folder

Reads every NAME.heldout.u16 of --data and the F16 weights as they are on disk, computes in F32 with the whole
vocabulary, and prints one line for each part and one for all of them.

How the text is cut (`--predict`): the documents, each led by 50256, make one row of ids. It is cut into windows of
`n_positions` ids, each beginning with the last id of the one before. Within a window every id but the first is
predicted from those before it. So each id of the text (but the very first) is predicted once, from 1 to
n_positions - 1 ids of context, and a window fits a program that takes n_positions ids and returns a log-probability
for all but the first. The last window may be shorter.

`--predict n_positions` is for comparison with figures made in another common way: windows of n_positions inputs and as
many predictions, the last id being predicted only, and the rest of the text that fills no window left out.

--export writes the windows as NAME.jsonl, one {"prompt_token_ids": [...]} a line, for `gpt2-api score`.
"""

import argparse
import json
import math
from pathlib import Path

import torch
from data import heldout_windows, read_parts
from loss import heldout_loss
from model import GPT2, load_checkpoint


def cut(tokens: torch.Tensor, predicted: int, positions: int) -> list[torch.Tensor]:
    """Windows in which `predicted` ids are predicted: positions - 1 (all of the text), or positions (whole windows)."""
    windows = heldout_windows(tokens, predicted + 1)
    if predicted < positions:
        return windows
    return [window for window in windows if len(window) == predicted + 1]


def export(path: Path, windows: list[torch.Tensor]) -> None:
    lines = (json.dumps({"prompt_token_ids": window.tolist()}, separators=(",", ":")) for window in windows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def report(name: str, loss: float, number: int) -> None:
    print(f"{name}: perplexity {math.exp(loss):.2f}, {loss:.5f} nats a token, {number:,} tokens", flush=True)


def evaluate(model: GPT2, data: Path, predicted: int, limit: int | None, folder: Path | None) -> None:
    positions = model.sizes.n_positions
    device = next(model.parameters()).device.type
    total, count = 0.0, 0
    for name, tokens in read_parts(data, "heldout").items():
        windows = cut(tokens, predicted, positions)[:limit]
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            export(folder / f"{name}.jsonl", windows)
        loss, number = heldout_loss(model, windows, device)
        report(name, loss, number)
        total, count = total + loss * number, count + number
    report("all", total / count, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="checkpoint directory")
    parser.add_argument("--data", type=Path, required=True, help="folder written by prepare.py")
    parser.add_argument("--predict", type=int, help="ids predicted in a window (default: n_positions - 1)")
    parser.add_argument("--windows", type=int, help="only the first so many windows of each part (default: all)")
    parser.add_argument("--export", type=Path, help="also write the windows as JSON lines into this folder")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: PyTorch's choice")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    model = load_checkpoint(args.model)
    positions = model.sizes.n_positions
    predicted = args.predict or positions - 1
    if not positions - 1 <= predicted <= positions:
        parser.error(f"--predict must be {positions - 1} or {positions} for this model")
    if args.export and predicted == positions:
        parser.error("--export needs windows of n_positions ids: leave --predict out")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    evaluate(model.to(device), args.data, predicted, args.windows, args.export)


if __name__ == "__main__":
    main()
