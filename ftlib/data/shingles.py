"""Compute the exact Jaccard similarity of texts by their word 5-shingles, with products of sparse matrices.

Not MinHash: for the rows of a training set the exact values take seconds, and no figure depends on a random hash function.
scipy is imported where it is needed, because `ftlib --help` must not wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ftlib.data.cleaning import normalize
from ftlib.runtime import hardware

SHINGLE = 5  # words
PRODUCTS = 2**20  # multiplications of one block, an upper bound of the nonzero values of its result
MAX_THREADS = 4  # each holds a block


def shingle_matrix(texts: Sequence[str]):
    """Return the word 5-shingles of texts as a sparse matrix of ones, (texts, shingles).

    A text of fewer than five words is one shingle; one without words has none.
    """
    from scipy.sparse import csr_array

    vocabulary: dict[str, int] = {}
    parts, lengths = [], np.zeros(len(texts), np.int64)
    for index, text in enumerate(texts):
        words = normalize(text).split()
        word_ids = [vocabulary.setdefault(word, len(vocabulary) + 1) for word in words]
        word_ids += [0] * (SHINGLE - len(word_ids) if word_ids else 0)  # 0 is no word
        parts.append(np.array(word_ids, np.uint64))
        lengths[index] = len(word_ids)
    ids = np.concatenate([*parts, np.zeros(SHINGLE - 1, np.uint64)])  # (words of all texts,), padded at the end
    hashes = np.zeros(len(ids) - SHINGLE + 1, np.uint64)  # one per position
    for offset in range(SHINGLE):
        hashes = _mixed(hashes ^ ids[offset : offset + len(hashes)])
    counts = np.maximum(lengths - SHINGLE + 1, 0)
    ends = np.repeat(np.cumsum(lengths), lengths)
    inside = np.arange(len(hashes)) + SHINGLE <= ends  # shingles that do not run into the next text
    shingles, columns = np.unique(hashes[inside], return_inverse=True)
    rows = np.repeat(np.arange(len(texts)), counts)
    matrix = csr_array((np.ones(len(columns), np.int32), (rows, columns)), shape=(len(texts), len(shingles)))
    matrix.sum_duplicates()
    matrix.data[:] = 1  # a set: repeats within a text count once
    return matrix


def _mixed(values: np.ndarray) -> np.ndarray:
    """Mix the bits of 64-bit values (the finalizer of splitmix64, Steele et al. 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def similarities(left, right) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (rows of `left`, rows of `right`, Jaccard) of all pairs that share a shingle, in blocks of bounded memory.

    The blocks are computed in threads: scipy multiplies without holding Python's lock.
    """
    if not left.shape[0] or not right.shape[0]:
        return
    transposed, sizes = right.T.tocsr(), np.diff(right.indptr)
    cost = np.cumsum(left @ np.diff(transposed.indptr))
    blocks = np.searchsorted(cost, np.arange(PRODUCTS, cost[-1], PRODUCTS), side="right")
    starts = np.unique([0, *blocks, len(cost)])

    def of_block(start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        block = left[start:stop]
        shared = (block @ transposed).tocoo()
        union = np.diff(block.indptr)[shared.row] + sizes[shared.col] - shared.data
        return start + shared.row, shared.col, shared.data / union

    threads = min(hardware.usable_cores(), MAX_THREADS)
    submitted: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for start, stop in zip(starts[:-1], starts[1:], strict=True):
            submitted.append(pool.submit(of_block, start, stop))
            if len(submitted) > threads:
                yield submitted.popleft().result()
        while submitted:
            yield submitted.popleft().result()
