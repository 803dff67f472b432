"""Training loss over a sample of the vocabulary, and the exact loss for held-out text."""

import torch
import torch.nn.functional as F
from model import GPT2


class SampledSoftmax:
    """Cross-entropy over a few thousand candidate ids in place of all 50,257.

    Candidates are all ids of the batch and `draws` more, drawn from a mixture of the text's frequencies and the uniform
    distribution. An id that is a candidate with probability q(c) stands for 1/q(c) times itself in the sum of the
    softmax, that is, log q(c) is taken from its logit. Whether an id is a candidate hardly depends on the position at
    hand, so the minimum of this loss lies at the true conditional probabilities.
    """

    def __init__(self, tokens: torch.Tensor, vocabulary: int, batch_ids: int, draws: int, seed: int, device: str):
        counts = torch.bincount(tokens, minlength=vocabulary).double()
        frequency = counts / counts.sum()
        uniform = (counts > 0).double() / (counts > 0).sum()
        mixture = 0.5 * frequency + 0.5 * uniform
        # P(absent) = (1 - frequency)^batch_ids * (1 - mixture)^draws, through logarithms because it is close to 1 or 0
        absent = torch.exp(batch_ids * torch.log1p(-frequency) + draws * torch.log1p(-mixture))
        self.log_present = torch.log((1 - absent).clamp(min=1e-9)).float().to(device)
        self.cumulative = torch.cumsum(mixture, 0)
        self.vocabulary, self.draws, self.seed, self.device = vocabulary, draws, seed, device

    def candidates(self, ids: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """ids (B, T+1) -> the distinct candidates (K), and the place of every id of the batch among them (B, T+1)."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        uniform = torch.rand(self.draws, generator=generator, dtype=torch.double) * self.cumulative[-1]
        drawn = torch.searchsorted(self.cumulative, uniform).clamp(max=self.vocabulary - 1)
        chosen, places = torch.unique(torch.cat([ids.flatten(), drawn]), return_inverse=True)
        return chosen.to(self.device), places[: ids.numel()].view(ids.shape).to(self.device)

    def __call__(self, network, wte: torch.nn.Embedding, ids: torch.Tensor, step: int) -> torch.Tensor:
        chosen, places = self.candidates(ids, step)
        rows = wte(chosen)  # (K, C): serves as the input table and as the head, so wte is gathered once
        hidden = network(F.embedding(places[:, :-1], rows)).flatten(0, 1)  # (B*T, C)
        logits = F.linear(hidden, rows, -self.log_present[chosen].to(hidden.dtype))  # (B*T, K)
        return F.cross_entropy(logits.float(), places[:, 1:].flatten())


@torch.no_grad()
def exact_losses(model: GPT2, window: torch.Tensor) -> torch.Tensor:
    """Windows (B, T+1) -> minus the log-probability of ids 1..T, (B, T), with the whole vocabulary."""
    hidden = model(model.wte(window[:, :-1]))
    logits = (hidden @ model.wte.weight.T).float()  # (B, T, V)
    return F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten(), reduction="none").view(len(window), -1)


def heldout_loss(model: GPT2, windows: list[torch.Tensor], device: str, batch: int = 4) -> tuple[float, int]:
    """Mean loss in nats over all predictions in the windows, and their number. Only the last may be shorter."""
    total, number = 0.0, 0
    full = [window for window in windows if len(window) == len(windows[0])]
    groups = [torch.stack(full[first : first + batch]) for first in range(0, len(full), batch)]
    groups += [window[None] for window in windows if len(window) != len(windows[0])]
    for group in groups:
        losses = exact_losses(model, group.long().to(device)).double()
        total, number = total + losses.sum().item(), number + losses.numel()
    return total / number, number
