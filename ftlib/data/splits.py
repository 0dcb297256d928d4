"""Group rows that share a title or a description or are near-duplicates, and draw splits that keep each group together.

Near-duplicates are looked for among candidates only, somewhat more rows than the splits need: the texts of all rows of a full
file would take gigabytes. The candidates are the first rows of the random order, so the splits are still drawn across the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ftlib.config.settings import Config
from ftlib.data.file_search import data_path
from ftlib.data.funnel import KeptRows
from ftlib.data.near_duplicates import near_groups
from ftlib.data.raw_reader import DataError, Row

MARGIN, SPARE = 1.3, 1_000  # candidates for near-duplicates: MARGIN times the rows of the splits, and SPARE
CANDIDATES = 20_000  # at least, so that the held-out rows are the same for every smaller data.train_size


class Choice(NamedTuple):
    """The rows of the splits, and what was left out.

    Attributes:
        splits: {split: indices of rows}.
        groups: number of groups.
        held_out_groups: rows left out because a row of validation or test is in their group.
        near_groups: groups that near-duplicates joined.
        near_rows: rows of these groups.
        split: how the rows were grouped; `group` where `near` was the default and leaves too few groups.
    """

    splits: dict[str, list[int]]
    groups: int
    held_out_groups: int
    near_groups: int = 0
    near_rows: int = 0
    split: str = "near"


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
            f"give a larger file with --data{_or_split(cfg)}"
        )
    if groups <= sum(sizes):
        raise DataError(
            f"data.test_size = {sizes[0]} and data.validation_size = {sizes[1]}: the data has {groups} groups of usable rows, "
            f"and training needs some of them; ask for less, or give a larger file with --data{_or_split(cfg)}"
        )
    return sizes[0], sizes[1]


def _or_split(cfg: Config) -> str:
    """Return the advice for rows that are written from one template, which are all near-duplicates of each other."""
    similar = "if rows are alike but for a few words, let only equal titles or texts form a group"
    return f"; {similar}: --set data.split=group" if cfg.data.split == "near" else ""


def candidate_count(cfg: Config) -> int:
    """Return the number of rows among which near-duplicates are looked for, unless they leave too few groups."""
    sizes = sum(cfg.get(f"data.{split}_size") for split in ("train", "validation", "test"))
    return max(int(MARGIN * sizes) + SPARE, CANDIDATES)


def choose(cfg: Config, kept: KeptRows, read: Callable[[np.ndarray], list[Row]], notes: list[str]) -> Choice:
    """Draw the splits: at random across the whole file, the same on every machine.

    Args:
        cfg: the configuration.
        kept: the usable rows.
        read: returns the rows at sorted indices into `kept`; only called for the split `near`.
        notes: receives a note for each size that is reduced.

    Raises:
        DataError: a size that the user set does not fit, or a split that the user set leaves too few groups.
    """
    exact = np.arange(len(kept)) if cfg.data.split == "random" else group_rows(kept)
    if cfg.data.split != "near":
        return draw(cfg, kept.order, exact, notes)._replace(split=cfg.data.split)
    choice = draw(cfg, kept.order, exact, [])  # refuses impossible sizes before any text is read
    count = candidate_count(cfg)
    while True:
        candidates = np.sort(smallest(kept.order, count))
        complete, count = len(candidates) == len(kept), 2 * count
        groups = near_groups(read(candidates), exact[candidates])
        new_notes: list[str] = []
        try:
            drawn = draw(cfg, kept.order[candidates], groups, new_notes)
        except DataError:
            if not complete:
                continue
            if cfg.set_by_user("data.split"):
                raise
            found = len(np.unique(groups))
            notes.append(
                f"data.split is group instead of near: the rows are near-duplicates of each other and form {found} group(s); "
                "only equal titles or texts stay together"
            )
            return draw(cfg, kept.order, exact, notes)._replace(split="group")
        if complete or not new_notes:  # else a size would be reduced although the file has more rows
            break
    notes += new_notes
    merged = _merged(exact[candidates], groups)
    return drawn._replace(
        splits={split: candidates[indices].tolist() for split, indices in drawn.splits.items()},
        groups=choice.groups - len(np.unique(exact[candidates])) + drawn.groups,
        near_groups=len(np.unique(groups[merged])),
        near_rows=int(merged.sum()),
    )


def _merged(exact: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return a mask of the rows whose group holds several of the exact groups."""
    parts = np.bincount(groups[np.unique(exact, return_index=True)[1]], minlength=len(groups))
    return parts[groups] > 1


def draw(cfg: Config, order: np.ndarray, groups: np.ndarray, notes: list[str]) -> Choice:
    """Draw test and validation, one row per group, and training rows from the other groups.

    Args:
        cfg: the configuration.
        order: (rows,), the random order.
        groups: (rows,), the index of the first row of each row's group.
        notes: receives a note for each size that is reduced.

    Raises:
        DataError: a size that the user set does not fit.
    """
    firsts = np.flatnonzero(groups == np.arange(len(groups)))  # each group is represented by its first row
    n_test, n_validation = held_out_sizes(cfg, len(firsts), notes)
    shuffled = firsts[smallest(order[firsts], n_test + n_validation)]
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
    train = rest[smallest(order[rest], train_size)]
    splits = {"train": train.tolist(), "validation": validation.tolist(), "test": test.tolist()}
    return Choice(splits, len(firsts), len(groups) - len(rest) - len(shuffled))


def smallest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the `count` smallest values, sorted by value and, for ties, by index.

    Only the candidates are sorted, not all values.
    """
    if count < len(values):
        candidates = np.flatnonzero(values <= np.partition(values, count)[count])
    else:
        candidates = np.arange(len(values))
    return candidates[np.argsort(values[candidates], kind="stable")][:count]
