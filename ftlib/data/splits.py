"""Group rows that share a title or a description, and draw splits that keep each group together."""

from __future__ import annotations

import numpy as np

from ftlib.config.settings import Config
from ftlib.data.file_search import data_path
from ftlib.data.funnel import KeptRows
from ftlib.data.raw_reader import DataError


def group_rows(kept: KeptRows) -> np.ndarray:
    """Group rows that share a title or a description, directly or through other rows.

    Returns:
        int64, (rows,): the index of the first row of each row's group.
    """
    groups = np.arange(len(kept))
    keys = [np.unique(hashes, return_inverse=True)[1] for hashes in (kept.title, kept.content)]
    while (
        True
    ):  # connected components: propagate the smallest index among rows with the same text, until nothing changes
        before = groups
        for key in keys:
            smallest = np.full(key.max(initial=0) + 1, len(kept))
            np.minimum.at(smallest, key, groups)
            groups = smallest[key]
        groups = groups[groups]  # pointer jumping, so that long chains need few rounds
        if np.array_equal(groups, before):
            return groups


def held_out_sizes(cfg: Config, groups: int, notes: list[str]) -> tuple[int, int]:
    """Return the sizes of the (test, validation) splits, which get one row per group.

    A size that the user set is used as it is; a default is reduced to at most a tenth of the groups, with a note.

    Raises:
        DataError: the sizes do not fit the number of groups.
    """
    sizes = []
    for split in ("test", "validation"):
        configured = cfg.get(f"data.{split}_size")
        size = configured if cfg.set_by_user(f"data.{split}_size") else min(configured, max(groups // 10, 1))
        if size < configured:
            notes.append(f"data.{split}_size is {size} instead of {configured}: the data has {groups} groups")
        sizes.append(size)
    if groups < 3:
        raise DataError(
            f"{data_path(cfg)}: {groups} different product(s) can be used, and each of the three splits needs one; "
            "give a larger file with --data"
        )
    if groups <= sum(sizes):
        raise DataError(
            f"data.test_size = {sizes[0]} and data.validation_size = {sizes[1]}: the data has {groups} groups of usable rows, "
            "and training needs some of them; ask for less, or give a larger file with --data"
        )
    return sizes[0], sizes[1]


def choose(cfg: Config, kept: KeptRows, notes: list[str]) -> tuple[dict[str, list[int]], int]:
    """Draw the splits: at random across the whole file, the same on every machine.

    Args:
        cfg: the configuration.
        kept: the usable rows.
        notes: receives a note for each size that is reduced.

    Returns:
        {split: indices into `kept`}, and the number of groups.

    Raises:
        DataError: a size that the user set does not fit.
    """
    groups = group_rows(kept) if cfg.data.split == "group" else np.arange(len(kept))
    firsts = np.flatnonzero(groups == np.arange(len(groups)))  # each group is represented by its first row
    n_test, n_validation = held_out_sizes(cfg, len(firsts), notes)
    shuffled = firsts[smallest(kept.order[firsts], n_test + n_validation)]
    test, validation = shuffled[:n_test], shuffled[n_test:]
    rest = np.flatnonzero(~np.isin(groups, groups[shuffled]))
    train_size = cfg.data.train_size
    if len(rest) < train_size:
        available = f"{len(rest)} rows are left for training without the groups of validation and test"
        if cfg.set_by_user("data.train_size"):
            raise DataError(
                f"data.train_size = {train_size}: {available}; ask for less, or give a larger file with --data"
            )
        notes.append(f"data.train_size is {len(rest)} instead of {train_size}: {available}")
    train = rest[smallest(kept.order[rest], train_size)]
    return {"train": train.tolist(), "validation": validation.tolist(), "test": test.tolist()}, len(firsts)


def smallest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the `count` smallest values, sorted by value and, for ties, by index.

    Only the candidates are sorted, not all values.
    """
    if count < len(values):
        candidates = np.flatnonzero(values <= np.partition(values, count)[count])
    else:
        candidates = np.arange(len(values))
    return candidates[np.argsort(values[candidates], kind="stable")][:count]
