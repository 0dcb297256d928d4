"""Split the unseen rows by how close they are to the training split: new products, and those with near-duplicates.

A catalog has variants of one product, so a lookup of the nearest title quotes a near-duplicate of many a test row. What a
model knows about a new product shows on the other rows only, so each block of metrics.json is also computed for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ftlib.data.near_duplicates import NEAR, NEW, Duplicate, compare, is_near, is_new
from ftlib.prompts.templates import Passages

# {block of metrics.json: which of the unseen rows it holds}
SUBSETS: dict[str, Callable[[Duplicate], bool]] = {
    "unseen_new": is_new,
    "unseen_similar": lambda duplicate: not is_new(duplicate) and duplicate.jaccard < NEAR,
    "unseen_near": lambda duplicate: duplicate.jaccard >= NEAR,
}
SUBSET_TITLES = {
    "unseen_new": f"new products (no training description with a Jaccard of {NEW} or more, no title variant)",
    "unseen_similar": f"similar products (a training description with a Jaccard of {NEW} to {NEAR}, or a title variant)",
    "unseen_near": f"near-duplicates (a training description with a Jaccard of {NEAR} or more)",
}


def subsets(uids: Sequence[str], duplicates: Mapping[str, Duplicate]) -> dict[str, np.ndarray]:
    """Return {block: positions of its rows} for the blocks that have rows.

    Args:
        uids: of the unseen rows.
        duplicates: {uid: Duplicate}, see `data.near_duplicates.read`; {} gives no blocks.
    """
    if not duplicates:
        return {}
    positions = {
        block: np.array([index for index, uid in enumerate(uids) if belongs(duplicates[uid])], dtype=np.int64)
        for block, belongs in SUBSETS.items()
    }
    return {block: indices for block, indices in positions.items() if len(indices)}


def values_at(metrics: Mapping, positions: np.ndarray) -> dict:
    """Return row values at some rows. metrics: {metric: values}, or {system: {metric: values}}; rows are the last axis."""
    return {
        name: values_at(values, positions) if isinstance(values, Mapping) else np.asarray(values)[..., positions]
        for name, values in metrics.items()
    }


def passage_counts(rows: Sequence[Mapping], passages: Mapping[str, Passages]) -> dict[str, int]:
    """Count passages that are near-duplicates of the row that is asked about: where a model can quote instead of write.

    Args:
        rows: with uid, title and content.
        passages: {uid: passages in its prompt}.

    Returns:
        The numbers of rows, of passages, of near-duplicates among them, and of rows with at least one.
    """
    counts = dict.fromkeys(("rows", "passages", "near_duplicates", "rows_with_near_duplicate"), 0)
    for row in rows:
        near = 0
        for title, content in passages.get(row["uid"], ()):
            (duplicate,) = compare(
                {"title": [row["title"]], "content": [row["content"]]}, {"title": [title], "content": [content]}
            )
            near += is_near(duplicate)
            counts["passages"] += 1
        counts["rows"] += 1
        counts["near_duplicates"] += near
        counts["rows_with_near_duplicate"] += near > 0
    return counts
