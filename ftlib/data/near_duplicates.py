"""Find near-duplicates: descriptions that share most of their words, and titles that differ only in number, edition or color.

Exact repeats are only a part of what a split can leak: a new edition changes one sentence, a second color one word.
`near_groups` merges the groups of such rows. `ftlib prepare` compares each held-out row with the training split and writes
`near_duplicates.csv`; `read` loads it, so that every table can be filtered by `is_new`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ftlib.data.cleaning import normalize
from ftlib.data.raw_reader import Row
from ftlib.data.shingles import shingle_matrix, similarities

NEAR = 0.5  # Jaccard from which two descriptions are near-duplicates
NEW = 0.2  # Jaccard below which a held-out row counts as new
FILE = "near_duplicates.csv"
HELD_OUT = ("validation", "test")
Columns = Mapping[str, Sequence[str]]

_NUMERAL = re.compile(r"\d.*|x{0,3}(?:ix|iv|v?i{0,3})")  # 3, 3rd, 12oz, 10x12; roman numerals up to 39
_VARIANT_WORDS = frozenset(
    """one two three four five six seven eight nine ten eleven twelve twenty
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth
    number numbers no nr edition editions ed revised updated expanded abridged unabridged reprint hardcover paperback
    volume volumes vol vols part parts pt book books bk pack packs pk package set sets count ct pc pcs piece pieces
    black white red blue green yellow orange purple violet pink brown tan beige ivory cream gray grey silver gold golden
    bronze copper navy teal turquoise aqua cyan magenta maroon burgundy olive khaki charcoal lavender lilac peach coral
    color colors colour colours
    size sizes small medium large mini s m l xs xl xxl xxxl
    inch inches cm mm ft feet foot oz ounce ounces lb lbs pound pounds g gram grams kg mg ml liter liters litre litres
    quart quarts qt gallon gallons gal gb mb tb watt watts w volt volts""".split()
)


class Duplicate(NamedTuple):
    """How close a held-out row is to the training split.

    Attributes:
        jaccard: highest Jaccard similarity of its description to a training row's, 0 to 1.
        title_variant: whether a training row has the same `title_variant_key`.
    """

    jaccard: float
    title_variant: bool


def is_near(duplicate: Duplicate) -> bool:
    """Return whether a row is a near-duplicate of a training row."""
    return duplicate.jaccard >= NEAR or duplicate.title_variant


def is_new(duplicate: Duplicate) -> bool:
    """Return whether a held-out row has no near relative in the training split."""
    return duplicate.jaccard < NEW and not duplicate.title_variant


def title_variant_key(title: str) -> str:
    """Return a title's words without numbers, numbering, editions, colors, sizes and units; "" if none is left."""
    return " ".join(
        word for word in normalize(title).split() if word not in _VARIANT_WORDS and not _NUMERAL.fullmatch(word)
    )


def pairs(texts: Sequence[str], titles: Sequence[str]) -> np.ndarray:
    """Find near-duplicates: Jaccard of at least NEAR, or titles that are variants of each other.

    Returns:
        int64, (pairs, 2): positions i < j, sorted. Of many variants of one title all pairs are listed.
    """
    found = _similar(texts)
    for positions in _variants(titles):
        first, second = np.triu_indices(len(positions), 1)
        found.append(np.stack([positions[first], positions[second]], axis=1))
    return np.unique(np.concatenate([np.empty((0, 2), np.int64), *found]), axis=0)


def _similar(texts: Sequence[str]) -> list[np.ndarray]:
    """Return arrays of positions (pairs, 2), i < j, of texts with a Jaccard of at least NEAR."""
    matrix = shingle_matrix(texts)
    found = []
    for first, second, jaccard in similarities(matrix, matrix):
        near = (jaccard >= NEAR) & (first < second)
        found.append(np.stack([first[near], second[near]], axis=1).astype(np.int64))
    return found


def _variants(titles: Sequence[str]) -> list[np.ndarray]:
    """Return the positions of titles with the same non-empty `title_variant_key`, an array for each key."""
    positions: dict[str, list[int]] = {}
    for index, title in enumerate(titles):
        if key := title_variant_key(title):
            positions.setdefault(key, []).append(index)
    return [np.array(indices) for indices in positions.values() if len(indices) > 1]


def near_groups(rows: Sequence[Row], groups: np.ndarray) -> np.ndarray:
    """Merge groups of rows that near-duplicates connect, directly or through other rows.

    Args:
        rows: cleaned rows.
        groups: (rows,), equal for rows that are in one group already.

    Returns:
        int64, (rows,): the index of the first row of each row's group.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    texts: dict[str, int] = {}
    count = len(rows)
    edges = [np.stack([[texts.setdefault(row.content, i) for i, row in enumerate(rows)], np.arange(count)], axis=1)]
    distinct = np.array(list(texts.values()))  # the first row of each text: of many equal ones not all pairs are needed
    edges += [distinct[found] for found in _similar(list(texts))]
    for positions in _variants([row.title for row in rows]):  # a star connects them as well as all pairs do
        edges.append(np.stack([np.full(len(positions) - 1, positions[0]), positions[1:]], axis=1))
    firsts, inverse = np.unique(groups, return_index=True, return_inverse=True)[1:]
    edges.append(np.stack([firsts[inverse], np.arange(count)], axis=1))
    first, second = np.concatenate(edges).T
    labels = connected_components(coo_array((np.ones(len(first), np.int8), (first, second)), (count, count)), False)[1]
    firsts, inverse = np.unique(labels, return_index=True, return_inverse=True)[1:]
    return firsts[inverse]


def highest_jaccard(texts: Sequence[str], training_texts: Sequence[str]) -> np.ndarray:
    """Compute the highest Jaccard similarity of each text to a training text.

    Returns:
        float64, (texts,).
    """
    matrix, highest = shingle_matrix([*texts, *training_texts]), np.zeros(len(texts))
    for rows, _, jaccard in similarities(matrix[: len(texts)], matrix[len(texts) :]):
        np.maximum.at(highest, rows, jaccard)
    return highest


def compare(rows: Columns, training_rows: Columns) -> list[Duplicate]:
    """Compare rows with training rows; both are {column: values} with the columns title and content."""
    trained = {title_variant_key(title) for title in training_rows["title"][:]} - {""}
    highest = highest_jaccard(rows["content"][:], training_rows["content"][:]).tolist()
    variants = (title_variant_key(title) in trained for title in rows["title"])
    return list(map(Duplicate, highest, variants))


def held_out_duplicates(dataset: Mapping[str, Columns]) -> list[tuple[str, float, bool]]:
    """Compare the rows of validation and test with the training split.

    Args:
        dataset: {split: {column: values}} with the columns uid, title and content, such as a DatasetDict.

    Returns:
        (uid, highest Jaccard, title variant) of each held-out row, validation first.
    """
    columns = {name: [text for split in HELD_OUT for text in dataset[split][name]] for name in Row.__struct_fields__}
    duplicates = compare(columns, dataset["train"])
    return [(uid, *duplicate) for uid, duplicate in zip(columns["uid"], duplicates, strict=True)]


def write(folder: Path, dataset: Mapping[str, Columns]) -> None:
    """Write `held_out_duplicates` to near_duplicates.csv of a data set's folder."""
    with open(folder / FILE, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("uid", *Duplicate._fields))
        writer.writerows((uid, jaccard, int(variant)) for uid, jaccard, variant in held_out_duplicates(dataset))


def read(folder: Path, dataset: Mapping[str, Columns]) -> dict[str, Duplicate]:
    """Return {uid: Duplicate} of a data set's held-out rows; computed if it was prepared before the file existed."""
    path = folder / FILE
    if not path.exists():
        return {uid: Duplicate(jaccard, variant) for uid, jaccard, variant in held_out_duplicates(dataset)}
    with open(path, encoding="utf-8", newline="") as file:
        return {
            line["uid"]: Duplicate(float(line["jaccard"]), line["title_variant"] == "1")
            for line in csv.DictReader(file)
        }
