"""Token files, and the order in which training reads them.

Everything here depends on the seed and the step number alone, so a run that is stopped and resumed reads what an
unbroken run would have read.
"""

from pathlib import Path

import numpy as np
import torch

END_OF_TEXT = 50256


def read_tokens(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.fromfile(path, dtype="<u2").astype(np.int32))


def read_parts(directory: Path, kind: str) -> dict[str, torch.Tensor]:
    """part name -> ids, for all NAME.<kind>.u16 in a folder."""
    files = sorted(directory.glob(f"*.{kind}.u16"))
    if not files:
        raise FileNotFoundError(f"no *.{kind}.u16 in {directory}; run prepare.py first")
    return {file.name.split(".")[0]: read_tokens(file) for file in files}


class Windows:
    """Cuts a row of ids into windows of T + 1 ids (T inputs and their T targets) and deals them out in batches.

    Each pass takes all windows once, in a new order and with a new offset, so that a token sees different contexts.
    """

    def __init__(self, tokens: torch.Tensor, length: int, batch: int, seed: int):
        if len(tokens) < 2 * length + 1:
            raise ValueError(f"{len(tokens)} tokens are too few for windows of {length}")
        self.tokens, self.length, self.batch, self.seed = tokens, length, batch, seed
        self.per_pass = (len(tokens) - 1) // length - 1
        self.number, self.starts = -1, torch.zeros(0)

    def _begin(self, number: int) -> None:
        generator = torch.Generator().manual_seed(self.seed * 1009 + number)
        offset = int(torch.randint(0, self.length, (1,), generator=generator))
        self.number = number
        self.starts = torch.randperm(self.per_pass, generator=generator) * self.length + offset

    def at(self, step: int) -> torch.Tensor:
        """(batch, T + 1) ids of one step."""
        rows = []
        for index in range(step * self.batch, (step + 1) * self.batch):
            if index // self.per_pass != self.number:
                self._begin(index // self.per_pass)
            start = int(self.starts[index % self.per_pass])
            rows.append(self.tokens[start : start + self.length + 1])
        return torch.stack(rows).long()


def heldout_windows(tokens: torch.Tensor, length: int) -> list[torch.Tensor]:
    """Windows of up to `length` ids in which every id but the first of the text is predicted exactly once.

    A window begins with the last id of the window before it: that id is the context of the first prediction and is not
    predicted again. A model that reads T ids predicts T - 1 of them, so no engine has to take more than T.
    """
    step = length - 1
    return [tokens[start : start + length] for start in range(0, len(tokens) - 1, step)]
