"""Filter rows, and count how many each step drops or changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import numpy as np

from ftlib.config.settings import Config
from ftlib.data.cleaning import Change, Steps, looks_adult
from ftlib.data.cleaning_vectorized import clean_texts
from ftlib.data.raw_reader import Malformed, Row

EXAMPLE_CHARS = 300  # of a dropped row's texts, stored in the funnel


TYPES = ("i8", "i4", "i8", "i8", "i8", "i8", "i4", "i4")  # dtypes of the columns of KeptRows
_BLAKE = hashlib.blake2b(digest_size=8)


@dataclass
class Funnel:
    """Counts of the rows that were read, dropped and changed, with one example for each step."""

    rows_in: int = 0
    malformed: Malformed = field(default_factory=Malformed)
    dropped: dict[str, int] = field(default_factory=dict)
    cleaned: dict[str, int] = field(default_factory=dict)
    examples: dict[str, dict] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, step: str, row: Row) -> None:
        """Count a row that a step drops."""
        self.dropped[step] = self.dropped.get(step, 0) + 1
        if step not in self.examples:
            title, content = (row.title or "")[:EXAMPLE_CHARS], (row.content or "")[:EXAMPLE_CHARS]
            self.examples[step] = {"uid": row.uid, "title": title, "content": content}

    def change(self, change: Change) -> None:
        """Count a text that a cleaning step changes."""
        step, before, after = change
        self.cleaned[step] = self.cleaned.get(step, 0) + 1
        if step not in self.examples:
            start = max(0, len(os.path.commonprefix([before, after])) - 40)  # just before the first difference
            window = slice(start, start + EXAMPLE_CHARS)
            self.examples[step] = {"before": before[window], "after": after[window]}

    def extend(self, part: Funnel) -> None:
        """Add the counts of the next part of the file."""
        self.rows_in += part.rows_in
        self.malformed.extend(part.malformed)
        for totals, counts in ((self.dropped, part.dropped), (self.cleaned, part.cleaned)):
            for step, count in counts.items():
                totals[step] = totals.get(step, 0) + count
        self.examples = part.examples | self.examples


@dataclass
class KeptRows:
    """The usable rows of a file as columns, 52 bytes per row; all arrays have shape (rows,).

    Attributes:
        offset: byte offset in the unpacked file.
        row_idx: index among the readable rows.
        title: 64-bit hash of the normalized title.
        content: 64-bit hash of the normalized description.
        pair: 64-bit hash of both.
        order: 64-bit hash of both and the seed, which defines a reproducible random order.
        title_chars: length of the title.
        content_chars: length of the description.
    """

    offset: np.ndarray
    row_idx: np.ndarray
    title: np.ndarray
    content: np.ndarray
    pair: np.ndarray
    order: np.ndarray
    title_chars: np.ndarray
    content_chars: np.ndarray

    def __len__(self) -> int:
        return len(self.offset)

    def at(self, selection: np.ndarray) -> KeptRows:
        """Select rows by indices or by a mask."""
        return KeptRows(*(getattr(self, column.name)[selection] for column in fields(self)))

    @staticmethod
    def joined(parts: list[KeptRows]) -> KeptRows:
        """Concatenate parts, and empty them column by column to avoid doubling the memory."""
        columns = []
        for column, dtype in zip(fields(KeptRows), TYPES, strict=True):
            columns.append(np.concatenate([np.array([], dtype), *(getattr(part, column.name) for part in parts)]))
            for part in parts:
                setattr(part, column.name, None)
        return KeptRows(*columns)


def clean_rows(rows: list[Row], steps: Steps) -> tuple[list[tuple[bytes, bytes]], list[Change]]:
    """Clean rows in place; all must have title and content.

    Returns:
        The normalized (title, description) of each row in UTF-8, and the changes.
    """
    texts, keys, changes = clean_texts([text for row in rows for text in (row.title, row.content)], steps)
    for row, title, content in zip(rows, texts[::2], texts[1::2], strict=True):
        row.title, row.content = title, content
    return list(zip(keys[::2], keys[1::2], strict=True)), changes


def why_dropped(row: Row, keys: tuple[bytes, bytes], cfg: Config) -> str | None:
    """Return the name of the filter that drops a cleaned row, or None.

    Args:
        row: the cleaned row.
        keys: its normalized title and description.
        cfg: the configuration.
    """
    data = cfg.data
    title, content = row.title.strip(), row.content.strip()
    if not title or not content:
        return "missing"
    if len(title) < data.min_title_chars:
        return "short_title"
    if len(content) < data.min_content_chars:
        return "short_content"
    if data.clean.same_as_title and keys[0] == keys[1]:
        return "same_as_title"
    if data.drop_adult and looks_adult(title, content):
        return "adult"
    return None


def hashes64(keys: Iterable[bytes]) -> np.ndarray:
    """Hash keys to int64, (keys,); the same on every machine, unlike Python's `hash`."""
    digests = []
    for key in keys:
        hasher = _BLAKE.copy()  # takes half the time of creating one
        hasher.update(key)
        digests.append(hasher.digest())
    return np.frombuffer(b"".join(digests), "<i8").astype(np.int64)
