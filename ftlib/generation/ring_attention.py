"""Attention of one new token per slot to a ring of keys and values, as one Triton kernel.

PyTorch's kernels are made for many queries: with an additive mask and one query per slot they read keys and values at a third of
the memory's bandwidth, those of empty columns too. This kernel skips blocks of columns that a slot does not use.
"""

from __future__ import annotations

import torch

try:
    import triton
    import triton.language as tl
except ImportError:  # PyTorch for CPUs, macOS and Windows comes without it
    triton = None

BLOCK = 64  # columns that are read together; the ring's length is a multiple
QUERIES = 16  # rows of a block of queries: the smallest matrix product of Triton
EMPTY = -1e4  # a mask below this is an unused column
PROGRAMS = 256  # with fewer (slot, key head) pairs most of the GPU would wait


def is_worthwhile(query: torch.Tensor, key: torch.Tensor) -> bool:
    """Return whether `attend` supports the shapes and occupies the GPU. query and key are as there."""
    slots, heads, queries, size = query.shape
    fits = queries <= QUERIES and size in (32, 64, 128) and key.shape[2] % BLOCK == 0
    return triton is not None and query.is_cuda and fits and slots * heads >= PROGRAMS


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Compute softmax(query @ key.T * scale + mask) @ value.

    Args:
        query: (slots, key heads, queries, size): the query heads that share a key head.
        key: (slots, key heads, length, size), contiguous.
        value: as `key`.
        mask: (slots, 1, 1, length), additive; each slot has at least one column of 0.
        scale: of the scores.

    Returns:
        (slots, key heads, queries, size).
    """
    query, (slots, heads, queries, size) = query.contiguous(), query.shape
    out = torch.empty_like(query)
    precision = "ieee" if query.dtype == torch.float32 else "tf32"  # concerns float32 alone
    _kernel[(slots, heads)](
        query, key, value, mask, out, scale * 1.4426950408889634, heads, key.shape[2], queries,
        SIZE=size, BLOCK=BLOCK, QUERIES=QUERIES, EMPTY=EMPTY, PRECISION=precision, num_warps=4,
    )  # fmt: skip
    return out


if triton is not None:

    @triton.jit
    def _kernel(
        query, key, value, mask, out, scale, heads, length, queries,
        SIZE: tl.constexpr, BLOCK: tl.constexpr, QUERIES: tl.constexpr, EMPTY: tl.constexpr, PRECISION: tl.constexpr,
    ):  # fmt: skip
        """Attend for one slot and key head, block by block with a running softmax (Dao et al. 2022). scale: times log2(e)."""
        slot, head = tl.program_id(0), tl.program_id(1)
        pair = (slot * heads + head).to(tl.int64)
        rows, sizes, columns = tl.arange(0, QUERIES), tl.arange(0, SIZE), tl.arange(0, BLOCK)
        at = pair * queries * SIZE + rows[:, None] * SIZE + sizes[None, :]
        q = tl.load(query + at, mask=rows[:, None] < queries, other=0.0)
        largest = tl.full([QUERIES], -1e30, tl.float32)
        total = tl.zeros([QUERIES], tl.float32)
        mean = tl.zeros([QUERIES, SIZE], tl.float32)
        for start in range(0, length, BLOCK):
            hidden = tl.load(mask + slot * length + start + columns).to(tl.float32)
            if tl.max(hidden, 0) > EMPTY:
                tile = pair * length * SIZE + (start + columns)[:, None] * SIZE + sizes[None, :]
                k = tl.load(key + tile)
                scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
                scores = tl.where(hidden[None, :] > EMPTY, scores, -1e30)
                new_largest = tl.maximum(largest, tl.max(scores, 1))
                weights = tl.exp2(scores - new_largest[:, None])
                shrink = tl.exp2(largest - new_largest)
                total = total * shrink + tl.sum(weights, 1)
                v = tl.load(value + tile)
                mean = mean * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
                largest = new_largest
        tl.store(out + at, (mean / total[:, None]).to(q.dtype), mask=rows[:, None] < queries)
