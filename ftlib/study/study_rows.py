"""Choose the rows of a study: those that may be trained on, those that no split uses, and their wordings."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator

import numpy as np

from ftlib.config.settings import Config
from ftlib.data.cleaning import clean_text, normalize, steps_of
from ftlib.data.near_duplicates import compare, is_near, near_groups
from ftlib.data.raw_reader import Row
from ftlib.prompts.templates import TEMPLATE, build_prompt, question_for

BATCH = 10_000  # rows that are compared with the held-out rows together


def unused_rows(rows: list[dict], taken: Collection[tuple[str, str]], near: bool) -> list[dict]:
    """Return the first row of each group without a row in `taken`, in the order of `rows`.

    taken: (title, description). Rows with the same normalized title or description are one group, and near-duplicates if `near`.
    """
    keys: dict[tuple[str, str], int] = {}
    groups = np.arange(len(rows))
    for row_idx, row in enumerate(rows):
        for column in ("title", "content"):
            first = keys.setdefault((column, normalize(row[column]) or row[column]), row_idx)
            groups[groups == groups[row_idx]] = groups[first]
    if near:
        groups = near_groups([Row(row["uid"], row["title"], row["content"]) for row in rows], groups)
    taken_groups = {
        group for row, group in zip(rows, groups.tolist(), strict=True) if (row["title"], row["content"]) in taken
    }
    unused: dict[int, dict] = {}
    for row, group in zip(rows, groups.tolist(), strict=True):
        if group not in taken_groups:
            unused.setdefault(group, row)
    return list(unused.values())


def not_held_out(rows, held_out: list[dict], cfg: Config, leaks: bool) -> Iterator[int]:
    """Yield positions of rows that may be trained on.

    Not held out and, unless `leaks`, without a held-out title or text; where the study's split is `near`, also without a
    held-out near-duplicate.

    cfg: the study's settings; rows are cleaned by them before they are compared.
    """
    steps = steps_of(cfg.data.clean)

    def cleaned(row: dict) -> dict[str, str]:
        return {column: clean_text(row[column], steps) for column in ("title", "content")}

    def text_keys(texts: dict[str, str]) -> set[tuple[str, str]]:
        return {(column, normalize(text) or text) for column, text in texts.items()}

    uids, held_out_texts = {row["uid"] for row in held_out}, [] if leaks else list(map(cleaned, held_out))
    held_out_keys = set().union(*map(text_keys, held_out_texts))
    numbered = enumerate(rows)
    while batch := list(itertools.islice(numbered, BATCH)):
        texts = [cleaned(row) for _, row in batch]
        near = [False] * len(batch)
        if cfg.data.split == "near" and not leaks:
            near = list(map(is_near, compare(_columns(texts), _columns(held_out_texts))))
        for (row_idx, row), row_texts, row_near in zip(batch, texts, near, strict=True):
            if row["uid"] not in uids and not row_near and not (text_keys(row_texts) & held_out_keys):
                yield row_idx


def _columns(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    return {column: [row[column] for row in rows] for column in ("title", "content")}


def reworded(row: dict, seed: int, names: list[str], template: str = TEMPLATE) -> dict:
    """Return the row with a question drawn from `names` (see `templates.question_for`). template: `prompt.template`."""
    question = question_for(row["uid"], seed, names)
    return row | {"question": question, "input_text": build_prompt(row["title"], question, template)}
