"""Compute packed rows without padding, their attention example by example, and a shared beginning once.

SDPA takes a mask for packed rows and multiplies every query with every key of its row, though the mask hides most of them: with
three examples to a row that was a third of a training step. Here the examples of a batch are one row without padding, and
attention is computed for each of them alone, causal and without a mask: on a CPU by small products, on a GPU by one kernel (see
`segment_attention`). All prompts begin alike, with the template and mostly the question: a third of the tokens of short
examples. What a causal model computes for them does not depend on what follows, so they are computed once for the batch, and
every example attends to them. The values are the same up to rounding (a test compares losses and gradients).
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ftlib.generation.cuda_graph_decoder import is_plain_attention
from ftlib.models import segment_attention
from ftlib.prompts.encoding import IGNORED
from ftlib.prompts.packing import keys_of_segments

ATTENTION = "ftlib_examples"  # the name of `example_attention` in transformers' registry
SHORT = 512  # tokens; beyond, the scores take more memory than they save time


def example_attention(module, query, key, value, attention_mask, scaling=None, *, sizes, shared=0, **_):
    """Compute causal attention within each example of one packed row.

    Args:
        module: the attention layer; not used.
        query: (1, heads, length, size).
        key, value: (1, key heads, length, size).
        attention_mask: None.
        scaling: of the scores.
        sizes: tokens of each example, without its shared ones.
        shared: tokens at the start of the row with which all examples begin.
        **_: other arguments of transformers' attention interface.

    Returns:
        The output, (1, length, heads, size), and None for the attention weights.
    """
    # `split`, because its gradient is one concatenation; that of slices fills the whole tensor with zeros for each slice
    queries, keys, values = (each.split([shared, *sizes], dim=2) for each in (query, key, value))
    if not shared:
        outputs = [attend(*example, scaling) for example in zip(queries[1:], keys[1:], values[1:], strict=True)]
        return torch.cat(outputs, dim=2).transpose(1, 2), None
    outputs = [attend(queries[0], keys[0], values[0], scaling)]
    for query, *own in zip(queries[1:], keys[1:], values[1:], strict=True):
        whole = (torch.cat((first[0], each), dim=2) for first, each in zip((keys, values), own, strict=True))
        outputs.append(attend(query, *whole, scaling))
    return torch.cat(outputs, dim=2).transpose(1, 2), None


def attend(query, key, value, scaling: float) -> torch.Tensor:
    """Compute causal attention of one example, (1, heads, length, size).

    Up to SHORT tokens three plain products in float32 take half the time of the CPU's flash kernel in bfloat16, and round less.

    Args:
        query: (1, heads, length, size), of its last tokens.
        key, value: (1, key heads, tokens, size).
        scaling: of the scores.
    """
    (_, heads, length, size), (kv_heads, tokens) = query.shape, key.shape[1:3]
    groups = heads // kv_heads
    if tokens > SHORT:
        key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
        visible = _causal_mask(length, tokens) == 0 if length < tokens else None
        return functional.scaled_dot_product_attention(
            query, key, value, visible, is_causal=visible is None, scale=scaling
        )
    grouped = query.reshape(kv_heads, groups * length, size).float()
    mask = _causal_mask(length, tokens).repeat(groups, 1)  # (groups * length, tokens)
    scores = torch.baddbmm(mask, grouped, key[0].float().transpose(1, 2), alpha=scaling)
    out = scores.softmax(-1) @ value[0].float()  # (key heads, groups * length, size)
    return out.to(query.dtype).view(1, heads, length, size)


@functools.lru_cache(maxsize=2 * SHORT)
def _causal_mask(length: int, tokens: int) -> torch.Tensor:
    """Return the additive mask of the last `length` of some tokens, (length, tokens)."""
    return torch.full((length, tokens), float("-inf")).triu(1 + tokens - length)


def shared_tokens(ids: list[list[int]], unlabeled: list[int]) -> int:
    """Count the tokens with which all examples begin; one token before the first labeled one stays with each example.

    ids: of each example. unlabeled: tokens of each example before its first labeled one.
    """
    if len(ids) < 2:
        return 0
    return max(0, min(len(os.path.commonprefix(ids)), min(unlabeled) - 1))


def fits(model) -> bool:
    """Return whether packed rows of this model are computed example by example: full attention, on a CPU or in 16 bits.

    Activation checkpointing repeats the forward pass in the backward pass, where the attention has been switched back.
    """
    checkpointing = model.training and getattr(model, "is_gradient_checkpointing", False)
    weight = model.get_input_embeddings().weight
    device_fits = weight.device.type == "cpu" or segment_attention.can_varlen(weight.device, weight.dtype)
    sdpa = model.config._attn_implementation == "sdpa"
    return device_fits and is_plain_attention(model.config) and not checkpointing and sdpa


def has_dropout(model) -> bool:
    """Return whether a model is trained with dropout, which examples that share tokens would share too."""
    return model.training and any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())


def attention_of(model, sizes: list[int], shared: int) -> Callable:
    """Return the attention of one row, in the form of transformers' interface. sizes, shared: as in `example_attention`."""
    weight = model.get_input_embeddings().weight
    if weight.device.type == "cpu":
        return functools.partial(example_attention, sizes=sizes, shared=shared)
    return one_kernel(weight, sizes, shared)


def one_kernel(weight: torch.Tensor, sizes: list[int], shared: int) -> Callable:
    """Return `attention_of` a GPU. weight: of the model, whose type and device are those of the attention."""
    starts = np.cumsum([0, shared, *sizes] if shared else [0, *sizes]).astype(np.int32)
    batch = {"starts": starts} | (keys_of_segments(starts, len(starts) - 1, shared) if shared else {})
    segments = segment_attention.segments_of(
        {name: torch.from_numpy(array).to(weight.device) for name, array in batch.items()}
    )
    return functools.partial(
        segment_attention.layer_attention, segments=segments, longest=shared + max(sizes), dtype=weight.dtype
    )


@contextlib.contextmanager
def example_by_example(model, batch: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """Yield a packed batch as one row without padding, with the attention switched.

    The tokens with which all examples begin are there once, at the start. The first label of an example is ignored, so no
    example predicts the next one's. Where this does not fit, or the batch is not packed, it is yielded as it is.

    Args:
        model: a causal language model.
        batch: as from `PackingCollator`, each (rows, length).
    """
    if "position_ids" not in batch or not fits(model):
        yield batch
        return
    real = batch["owners"] >= 0  # (rows, length)
    row = {name: values[real] for name, values in batch.items()}  # each (tokens,)
    starts = (row["position_ids"] == 0).nonzero()[:, 0].tolist()
    sizes = [end - start for start, end in zip(starts, [*starts[1:], len(row["labels"])], strict=True)]
    ids = [example.tolist() for example in row["input_ids"].split(sizes)]
    unlabeled = [int((example != IGNORED).int().argmax()) for example in row["labels"].split(sizes)]
    if shared := 0 if has_dropout(model) else shared_tokens(ids, unlabeled):
        kept = row["position_ids"] >= shared
        kept[:shared] = True
        row, sizes = {name: values[kept] for name, values in row.items()}, [size - shared for size in sizes]
    with segment_attention.switched(model.config, ATTENTION, attention_of(model, sizes, shared)):
        yield {name: values[None] for name, values in row.items()}
