"""Choose the probabilities that tokens are sampled with, for many rows at once and without sorting the vocabulary."""

from __future__ import annotations

from collections.abc import Callable

import torch

BISECTIONS = 24  # of the threshold of top_p: float32 tells no two thresholds apart that are nearer


def sampled_from(logits: torch.Tensor, generation, narrowed: Callable | None = None) -> torch.Tensor:
    """Return the probabilities that tokens are sampled with: temperature, top_p and min_p as in transformers.

    The threshold of top_p is found by bisection: sorting the vocabulary took longer than the model's step.

    Args:
        logits: (rows, vocabulary).
        generation: `cfg.generation`.
        narrowed: a compiled `narrow`.

    Returns:
        (rows, vocabulary), not normalized, 0 for tokens that are never sampled.
    """
    probabilities = (logits / generation.temperature).softmax(-1)
    largest = probabilities.amax(-1, keepdim=True)
    low, high = torch.zeros_like(largest), largest
    for _ in range(BISECTIONS if generation.top_p < 1 else 0):
        low, high = (narrowed or narrow)(probabilities, low, high, generation.top_p)
    kept = (probabilities > low) & (probabilities >= generation.min_p * largest)
    return torch.where(kept, probabilities, 0.0)


def narrow(
    probabilities: torch.Tensor, low: torch.Tensor, high: torch.Tensor, top_p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Halve the interval of the largest threshold above which the tokens of a row sum to `top_p` or more.

    probabilities: (rows, vocabulary). low, high: (rows, 1).
    """
    middle = (low + high) / 2
    enough = torch.where(probabilities > middle, probabilities, 0.0).sum(-1, keepdim=True) >= top_p
    return torch.where(enough, middle, low), torch.where(enough, high, middle)
