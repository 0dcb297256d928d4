"""Attention over packed examples without a mask, on a GPU; tokens with which all examples begin are computed once.

PyTorch's FlashAttention takes concatenated sequences of any lengths (`torch.nn.attention.varlen`), with other lengths for queries
than for keys: queries are then the last tokens of their keys. All prompts begin alike, with the template and mostly the question.
What a causal model computes for these tokens does not depend on what follows, so a step has them once, and the keys and values
of every example are those of the shared tokens and its own (see `packing.PackedSteps`). Their gradients are summed over the
examples, in float32 and in a fixed order.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

ATTENTION = "ftlib_segments"  # the name of `layer_attention` in transformers' registry


class Segments(NamedTuple):
    """The segments of a step, as in `packing.PackedSteps`; the last three are None where no tokens are shared."""

    starts: torch.Tensor
    key_starts: torch.Tensor | None = None
    keys: torch.Tensor | None = None
    places: torch.Tensor | None = None


def segments_of(batch: dict[str, torch.Tensor]) -> Segments:
    """Return the segments of an item of `packing.PackedSteps`."""
    return Segments(*(batch.get(name) for name in Segments._fields))


class SeenKeys(torch.autograd.Function):
    """Keys (or values) as each segment sees them, (tokens, heads, size) -> (seen, heads, size), with gradients."""

    @staticmethod
    def forward(ctx, x, key_starts, keys, places):
        """Gather the shared tokens and its own for each segment."""
        ctx.save_for_backward(key_starts, places)
        ctx.shared = x.shape[0] - places.shape[0]
        return x.index_select(0, keys)

    @staticmethod
    def backward(ctx, dy):
        """Sum the gradients of the shared tokens over the segments; each other token is seen by one segment."""
        key_starts, places = ctx.saved_tensors
        columns = torch.arange(ctx.shared, device=dy.device)
        shared = dy[key_starts[:-1, None] + columns].float()  # (segments, shared, heads, size)
        is_used = (key_starts[1:] > key_starts[:-1])[:, None, None, None]
        # `where` and not a product: FlashAttention leaves the gradients of unused keys uninitialized
        summed = torch.where(is_used, shared, 0.0).sum(0).to(dy.dtype)
        return torch.cat([summed, dy.index_select(0, places)]), None, None, None


def attend_to_segments(q, k, v, segments: Segments, longest: int):
    """Compute causal attention of each segment, (tokens, heads, size).

    q, k, v: (tokens, heads, size). longest: most tokens of a segment, its shared ones included.
    """
    starts, key_starts, keys, places = segments
    if key_starts is None:
        return varlen(q, k, v, starts, starts, longest)
    k, v = (SeenKeys.apply(each, key_starts, keys, places) for each in (k, v))
    return varlen(q, k, v, starts, key_starts, longest)


def varlen(q, k, v, starts: torch.Tensor, key_starts: torch.Tensor, longest: int):
    """Run PyTorch's FlashAttention over concatenated sequences, (tokens, heads, size)."""
    from torch.nn.attention.varlen import varlen_attn

    known = inspect.signature(varlen_attn).parameters
    causal = {"window_size": (-1, 0)} if "window_size" in known else {"is_causal": True}
    if "enable_gqa" in known:
        causal["enable_gqa"] = q.shape[1] != k.shape[1]
    return varlen_attn(q, k, v, starts, key_starts, longest, longest, **causal)


def can_varlen(device: torch.device, dtype: torch.dtype | None) -> bool:
    """Return True if `varlen` runs here: PyTorch 2.10 or later, compute capability 8.0 or more, 16 bits, Flash switched on."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return False
    if not torch.backends.cuda.flash_sdp_enabled():
        return False
    if importlib.util.find_spec("torch.nn.attention.varlen") is None:
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


def layer_attention(module, query, key, value, attention_mask, scaling=None, *, segments, longest, dtype, **_):
    """Compute attention in the form of transformers' attention interface.

    Args:
        module: the attention layer; not used.
        query: (rows, heads, length, size).
        key, value: (rows, key heads, length, size).
        attention_mask: None.
        scaling: of the scores, 1 / sqrt(size) in all supported families.
        segments, longest: as in `attend_to_segments`.
        dtype: 16-bit, of the products; DoRA's layers return float32.
        **_: other arguments of the interface.

    Returns:
        The output, (rows, length, heads, size), and None for the attention weights.
    """
    q, k, v = (each.transpose(1, 2).flatten(0, 1).to(dtype) for each in (query, key, value))
    return attend_to_segments(q, k, v, segments, longest).unflatten(0, (len(query), -1)), None


@contextlib.contextmanager
def switched(config, name: str, attention: Callable) -> Iterator[None]:
    """Have the layers of a transformers model compute another attention.

    Args:
        config: of the model.
        name: under which transformers registers it.
        attention: in the form of transformers' attention interface, such as `layer_attention`.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(name, attention)
    original, config._attn_implementation = config._attn_implementation, name
    try:
        yield
    finally:
        config._attn_implementation = original
