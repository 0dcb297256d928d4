"""The small matrices of notebook 03."""

import torch

from ftlib.training.lora_math import even_round_trip, lora_pair, memory_parts, nf4_round_trip


def test_an_adapter_begins_at_zero_and_has_rank_r():
    """If B A were not zero at the start, the first picture of the notebook would be wrong."""
    a, b = lora_pair(8, 6, 2)
    assert not (b @ a).any() and a.shape == (2, 6) and b.shape == (8, 2)
    assert torch.linalg.matrix_rank(torch.randn(8, 2) @ a) == 2


def test_nf4_loses_less_than_even_levels_on_normal_weights():
    """The reason for NF4's uneven levels must be visible in the numbers that the notebook prints."""
    weights = torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
    nf4, even = ((change(weights) - weights).pow(2).mean().item() for change in (nf4_round_trip, even_round_trip))
    assert 0 < nf4 < even
    blocks = even_round_trip(weights).reshape(-1, 64) / weights.reshape(-1, 64).abs().amax(dim=1, keepdim=True)
    assert len(blocks.mul(7.5).round(decimals=3).unique()) <= 16


def test_memory_is_counted_in_the_right_units():
    """A table in MB that is off by 1,024 sends a student to a GPU that nobody needs."""
    manifest = {
        "trainable_parameters": 2**20,
        "tokens": 4000,
        "stopped_at_step": 4,
        "padding_efficiency": 0.5,
        "base_mib": 7.5,
    }
    parts = memory_parts(manifest, vocabulary=2**10, labeled_share=0.5)
    base, adapter, adam, logits = parts.values()
    assert (base, adapter, adam) == (7.5, 8, 8)
    # a step of 1,000 tokens in 2,000 positions: 4 bytes a position and vocabulary entry, 12 for each labeled token
    assert logits == round((2000 * 4 + 500 * 12) * 2**10 / 2**20, 1)
