"""Word vectors to start from, computed from counts of neighbouring words before any training.

The matrix of positive pointwise mutual information (PPMI) says how much more often two words stand side by side than
chance would have it. Its leading singular vectors are word vectors in which words with like neighbours lie close
together. A model that starts from them instead of from noise skips the first few hundred steps, in which it would
learn little else.
"""

import math

import numpy as np
import scipy.sparse as sparse
import torch
from model import GPT2

NEIGHBOURS = 20_000  # only the most frequent words count as neighbours
DISTANCES = (1, 2)
SMOOTHING = 0.75  # exponent on neighbour counts: keeps rare neighbours from dominating
ROUNDS = 2  # power iterations of the randomised singular value decomposition


def ppmi(tokens: np.ndarray, counts: np.ndarray) -> sparse.csr_matrix:
    """(V, 4 x NEIGHBOURS): one block for each distance, before and after, because word order matters to a model."""
    vocabulary = len(counts)
    place = np.full(vocabulary, -1)
    frequent = np.argsort(-counts, kind="stable")[:NEIGHBOURS]
    place[frequent] = np.arange(len(frequent))
    blocks = []
    for distance in DISTANCES:
        left, right = tokens[:-distance], tokens[distance:]
        for word, neighbour in ((left, right), (right, left)):
            column = place[neighbour]
            known = column >= 0
            pairs = sparse.coo_matrix(
                (np.ones(known.sum(), np.float32), (word[known], column[known])), shape=(vocabulary, len(frequent))
            )
            blocks.append(information(pairs.tocsr()))
    return sparse.hstack(blocks).tocsr()


def information(pairs: sparse.csr_matrix) -> sparse.csr_matrix:
    """Counts of pairs -> max(0, log P(word, neighbour) / (P(word) P(neighbour))); zeros stay zeros."""
    total = pairs.sum()
    words = np.asarray(pairs.sum(axis=1)).ravel() + 1e-9
    neighbours = np.asarray(pairs.sum(axis=0)).ravel() ** SMOOTHING
    neighbours *= total / neighbours.sum()
    pairs = pairs.tocoo()
    value = np.log(pairs.data * total / (words[pairs.row] * np.maximum(neighbours[pairs.col], 1e-9)))
    positive = value > 0
    kept = (value[positive].astype(np.float32), (pairs.row[positive], pairs.col[positive]))
    return sparse.coo_matrix(kept, shape=pairs.shape).tocsr()


def leading_vectors(matrix: sparse.csr_matrix, number: int, seed: int) -> np.ndarray:
    """Left singular vectors times the square roots of their singular values, (rows, number).

    Randomised: the matrix is applied to random vectors a few times, which leaves a small space in which the exact
    decomposition is cheap.
    """
    random = np.random.default_rng(seed)
    space = matrix @ random.standard_normal((matrix.shape[1], number + 32)).astype(np.float32)
    for _ in range(ROUNDS):
        basis, _ = np.linalg.qr(space)
        space = matrix @ (matrix.T @ basis)
    basis, _ = np.linalg.qr(space)
    inner, values, _ = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    return (basis @ inner)[:, :number] * np.sqrt(values[:number])


@torch.no_grad()
def start_embeddings(model: GPT2, tokens: torch.Tensor, seed: int, length: float = 0.35, slope: float = 0.05) -> None:
    """Sets wte and the final layer norm, so that the untrained model already predicts how frequent each word is.

    One direction u of the C is kept for the log-frequency: row w of wte is `slope` * log P(w) along u, and the final
    norm's bias is u / slope, whose product with that row is log P(w). All other directions hold the word vectors.
    """
    V, C = model.wte.weight.shape
    counts = torch.bincount(tokens, minlength=V).double()
    share = (counts / counts.sum()).float()
    vectors = torch.from_numpy(leading_vectors(ppmi(tokens.long().numpy(), counts.numpy()), C - 1, seed)).float()
    vectors = vectors / (vectors.norm(dim=1, keepdim=True) + 1e-6)
    vectors = vectors - share @ vectors  # mean 0 over the text
    logs = torch.log((counts.float() + 0.05) / counts.sum().float())
    logs = logs - share @ logs

    # u has entries of one size, so that no single channel is large; the rest of the basis is random and orthogonal
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(C, generator=generator).sign() / math.sqrt(C)
    basis = torch.linalg.qr(torch.cat([u[:, None], torch.randn(C, C - 1, generator=generator)], dim=1))[0]
    model.wte.weight.copy_(length * vectors @ basis[:, 1:].T + slope * logs[:, None] * u)
    model.ln_f.weight.fill_(0.5)
    model.ln_f.bias.copy_(u / slope)
