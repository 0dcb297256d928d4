"""Compute packed rows on a CPU without padding, and their attention example by example.

SDPA takes a mask for packed rows and multiplies every query with every key of its row, though the mask hides most of them: with
three examples to a row that was a third of a training step. Here the examples of a batch are one row without padding, and
attention is computed for each of them alone, causal and without a mask. The values are the same up to rounding (a test compares
losses and gradients). On a GPU one large product is faster than many small ones; its own way is `torch.nn.attention.varlen` in
the compiled step.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import torch
from torch.nn import functional

from ftlib.generation.cuda_graph_decoder import MODEL_TYPES

ATTENTION = "ftlib_examples"  # the name of `example_attention` in transformers' registry
SHORT = 512  # tokens; beyond, the scores take more memory than they save time


def example_attention(module, query, key, value, attention_mask, scaling=None, position_ids=None, **_):
    """Compute causal attention within each example of one packed row.

    Args:
        module: the attention layer; not used.
        query: (1, heads, length, size).
        key, value: (1, key heads, length, size).
        attention_mask: None.
        scaling: of the scores.
        position_ids: (1, length); an example starts where they are 0.
        **_: other arguments of transformers' attention interface.

    Returns:
        The output, (1, length, heads, size), and None for the attention weights.
    """
    starts = (position_ids[0] == 0).nonzero()[:, 0].tolist()
    sizes = [end - start for start, end in zip(starts, [*starts[1:], position_ids.shape[1]], strict=True)]
    # `split`, because its gradient is one concatenation; that of slices fills the whole tensor with zeros for each slice
    examples = zip(*(each.split(sizes, dim=2) for each in (query, key, value)), strict=True)
    return torch.cat([attend(*example, scaling).transpose(1, 2) for example in examples], dim=1), None


def attend(query, key, value, scaling: float) -> torch.Tensor:
    """Compute causal attention of one example, (1, heads, length, size); shapes as in `example_attention`.

    Up to SHORT tokens three plain products in float32 take half the time of the CPU's flash kernel in bfloat16, and round less.
    """
    (_, heads, length, size), kv_heads = query.shape, key.shape[1]
    groups = heads // kv_heads
    if length > SHORT:
        key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
    grouped = query.reshape(kv_heads, groups * length, size).float()
    mask = _causal_mask(length).repeat(groups, 1)  # (groups * length, length)
    scores = torch.baddbmm(mask, grouped, key[0].float().transpose(1, 2), alpha=scaling)
    out = scores.softmax(-1) @ value[0].float()  # (key heads, groups * length, size)
    return out.to(query.dtype).view(1, heads, length, size)


@functools.lru_cache(maxsize=2 * SHORT)
def _causal_mask(length: int) -> torch.Tensor:
    """Return the additive mask, (length, length)."""
    return torch.full((length, length), float("-inf")).triu(1)


def fits(model) -> bool:
    """Return whether packed rows of this model are computed example by example: full attention, on a CPU.

    Activation checkpointing repeats the forward pass in the backward pass, where the attention has been switched back.
    """
    config = model.config
    sliding = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    checkpointing = model.training and getattr(model, "is_gradient_checkpointing", False)
    on_cpu = next(model.parameters()).device.type == "cpu"
    return (
        on_cpu
        and config.model_type in MODEL_TYPES
        and sliding is None
        and not checkpointing
        and config._attn_implementation == "sdpa"
    )


@contextlib.contextmanager
def example_by_example(model, batch: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """Yield a packed batch as one row without padding, with attention switched to `example_attention`.

    The first label of an example is ignored, so no example predicts the next one's. Where this does not fit, or the batch is not
    packed, it is yielded as it is.

    Args:
        model: a causal language model.
        batch: as from `PackingCollator`, each (rows, length).
    """
    if "position_ids" not in batch or not fits(model):
        yield batch
        return
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, example_attention)
    real = batch["owners"] >= 0  # (rows, length)
    original, model.config._attn_implementation = model.config._attn_implementation, ATTENTION
    try:
        yield {name: values[real][None] for name, values in batch.items()}
    finally:
        model.config._attn_implementation = original
