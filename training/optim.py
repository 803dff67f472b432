"""How the weights move: Muon for the matrices of the blocks, Adam for all else, one schedule for both."""

import math

import torch

# Odd polynomial x -> ax + bx^3 + cx^5 of Keller Jordan's Muon: five rounds of it push every singular value in (0, 1]
# close to 1. The slope at 0 matters more than the exact limit, so the limit is only "about 1".
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalise(g: torch.Tensor) -> torch.Tensor:
    """The nearest matrix with all singular values about 1: the direction of g, with no direction in it favoured."""
    a, b, c = NEWTON_SCHULZ
    wide = g if g.shape[0] <= g.shape[1] else g.T
    x = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x if g.shape[0] <= g.shape[1] else x.T


class Muon:
    """Momentum whose step is orthogonalised. `parameters`: matrices (inputs, outputs), by name."""

    def __init__(self, parameters: dict[str, torch.nn.Parameter], momentum: float = 0.95, decay: float = 0.05):
        self.parameters = parameters
        self.momentum = momentum
        self.decay = decay
        self.averages = {name: torch.zeros_like(p) for name, p in parameters.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for name, p in self.parameters.items():
            average = self.averages[name].mul_(self.momentum).add_(p.grad)
            ahead = p.grad.add(average, alpha=self.momentum)
            # Query, key and value share one matrix but are three maps, so each is made orthogonal on its own.
            parts = ahead.chunk(3, dim=1) if name.endswith("attn.c_attn.weight") else (ahead,)
            update = torch.cat([orthogonalise(part) for part in parts], dim=1)
            # An orthogonal map to more outputs than inputs has small entries; keep the step per output the same.
            inputs, outputs = parts[0].shape
            p.mul_(1 - rate * self.decay).add_(update, alpha=-rate * math.sqrt(max(1, outputs / inputs)))


def adam(parameters, rate: float) -> torch.optim.Adam:
    """A short memory (0.95) for the squares, and an epsilon below the tiny gradients of rare words' rows."""
    return torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.95), eps=1e-10, fused=True)


def schedule(step: int, progress: float, warmup: int, flat: float) -> float:
    """Factor of both learning rates: up over `warmup` steps, flat until `progress` reaches `flat`, then down to 0."""
    up = min(1.0, (step + 1) / warmup) if warmup else 1.0
    down = 1.0 if progress < flat else max(0.0, (1.0 - progress) / (1.0 - flat))
    return up * down


class Average:
    """Exponential moving average of the weights: what a small step size would have reached, while steps are large."""

    def __init__(self, model: torch.nn.Module, keep: float):
        self.keep = keep
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        for name, value in model.state_dict().items():
            self.weights[name].lerp_(value, 1 - self.keep)
