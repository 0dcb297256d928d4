"""Group rows that share a title or a description, and draw the splits so that a group lies in one of them."""

from __future__ import annotations

import numpy as np

from ftlib.config.settings import Config
from ftlib.data.file_search import data_path
from ftlib.data.funnel import Kept
from ftlib.data.raw_reader import DataError


def group_rows(kept: Kept) -> np.ndarray:
    """Group numbers: rows that share a title or a description, directly or through others, get the same one.

    Returns int64 of shape (rows,): the number of the group's first row.
    """
    groups = np.arange(len(kept))
    keys = [np.unique(hashes, return_inverse=True)[1] for hashes in (kept.title, kept.content)]
    while True:  # each row takes over the smallest number among those that it shares a text with, until none changes
        before = groups
        for key in keys:
            smallest = np.full(key.max(initial=0) + 1, len(kept))
            np.minimum.at(smallest, key, groups)
            groups = smallest[key]
        groups = groups[groups]  # and that of the row it was taken from, so that long chains need few rounds
        if np.array_equal(groups, before):
            return groups


def held_out_sizes(cfg: Config, groups: int, notes: list[str]) -> tuple[int, int]:
    """(test, validation) rows, one a group. A size that the user set must fit; else it shrinks to a tenth of the groups.

    Raises DataError with what there is.
    """
    sizes = []
    for split in ("test", "validation"):
        wanted = cfg.get(f"data.{split}_size")
        size = wanted if cfg.set_by_user(f"data.{split}_size") else min(wanted, max(groups // 10, 1))
        if size < wanted:
            notes.append(f"data.{split}_size is {size} instead of {wanted}: the data has {groups} groups")
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


def choose(cfg: Config, kept: Kept, notes: list[str]) -> tuple[dict[str, list[int]], int]:
    """Positions in `kept` for each split, and the number of groups. Random across the whole file, the same on every machine.

    Raises DataError if a size that the user set does not fit.
    """
    groups = group_rows(kept) if cfg.data.split == "group" else np.arange(len(kept))
    firsts = np.flatnonzero(groups == np.arange(len(groups)))  # each group's first row stands for it
    n_test, n_validation = held_out_sizes(cfg, len(firsts), notes)
    shuffled = firsts[smallest(kept.order[firsts], n_test + n_validation)]
    test, validation = shuffled[:n_test], shuffled[n_test:]
    rest = np.flatnonzero(~np.isin(groups, groups[shuffled]))
    wanted = cfg.data.train_size
    if len(rest) < wanted:
        there = f"{len(rest)} rows are left for training once the groups of validation and test are set aside"
        if cfg.set_by_user("data.train_size"):
            raise DataError(f"data.train_size = {wanted}: {there}; ask for less, or give a larger file with --data")
        notes.append(f"data.train_size is {len(rest)} instead of {wanted}: {there}")
    train = rest[smallest(kept.order[rest], wanted)]
    return {"train": train.tolist(), "validation": validation.tolist(), "test": test.tolist()}, len(firsts)


def smallest(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` smallest values in rising order, equal ones in the order of their places. Millions are not sorted."""
    if count < len(values):
        near = np.flatnonzero(values <= np.partition(values, count)[count])
    else:
        near = np.arange(len(values))
    return near[np.argsort(values[near], kind="stable")][:count]
