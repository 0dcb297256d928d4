"""Decide which rows are kept, and count what each step drops."""

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

EXAMPLE_CHARS = 300  # of a lost row, kept in the funnel


TYPES = ("i8", "i4", "i8", "i8", "i8", "i8", "i4", "i4")  # of the columns of Kept
_BLAKE = hashlib.blake2b(digest_size=8)


@dataclass
class Funnel:
    """How many rows came in, what each step took away (with one example) and how many were changed by cleaning."""

    rows_in: int = 0
    malformed: Malformed = field(default_factory=Malformed)
    dropped: dict[str, int] = field(default_factory=dict)
    cleaned: dict[str, int] = field(default_factory=dict)
    examples: dict[str, dict] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, step: str, row: Row) -> None:
        self.dropped[step] = self.dropped.get(step, 0) + 1
        if step not in self.examples:
            title, content = (row.title or "")[:EXAMPLE_CHARS], (row.content or "")[:EXAMPLE_CHARS]
            self.examples[step] = {"uid": row.uid, "title": title, "content": content}

    def change(self, change: Change) -> None:
        step, before, after = change
        self.cleaned[step] = self.cleaned.get(step, 0) + 1
        if step not in self.examples:
            start = max(0, len(os.path.commonprefix([before, after])) - 40)  # show where it begins to differ
            window = slice(start, start + EXAMPLE_CHARS)
            self.examples[step] = {"before": before[window], "after": after[window]}

    def follow(self, part: Funnel) -> None:
        """Take over what was found in the part of the file that comes next."""
        self.rows_in += part.rows_in
        self.malformed.follow(part.malformed)
        for own, new in ((self.dropped, part.dropped), (self.cleaned, part.cleaned)):
            for step, count in new.items():
                own[step] = own.get(step, 0) + count
        self.examples = part.examples | self.examples


@dataclass
class Kept:
    """What is remembered of each usable row, an array each: its place in the unpacked file and its number among the readable
    rows, 64-bit hashes of title, description, both, and both with the seed (a random order that depends on nothing else), and how
    many characters title and description have."""

    place: np.ndarray
    index: np.ndarray
    title: np.ndarray
    content: np.ndarray
    pair: np.ndarray
    order: np.ndarray
    title_chars: np.ndarray
    content_chars: np.ndarray

    def __len__(self) -> int:
        return len(self.place)

    def at(self, positions: np.ndarray) -> Kept:
        return Kept(*(getattr(self, each.name)[positions] for each in fields(self)))

    @staticmethod
    def joined(found: list[Kept]) -> Kept:
        """All rows of the parts, which are emptied on the way: both together would need twice the memory."""
        columns = []
        for each, kind in zip(fields(Kept), TYPES, strict=True):
            columns.append(np.concatenate([np.array([], kind), *(getattr(part, each.name) for part in found)]))
            for part in found:
                setattr(part, each.name, None)
        return Kept(*columns)


def clean_rows(rows: list[Row], steps: Steps) -> tuple[list[tuple[bytes, bytes]], list[Change]]:
    """Clean rows in place that have title and content.

    Returns the normalized (title, description) of each in UTF-8, and what each step changed.
    """
    texts, keys, changes = clean_texts([text for row in rows for text in (row.title, row.content)], steps)
    for row, title, content in zip(rows, texts[::2], texts[1::2], strict=True):
        row.title, row.content = title, content
    return list(zip(keys[::2], keys[1::2], strict=True)), changes


def why_dropped(row: Row, keys: tuple[bytes, bytes], cfg: Config) -> str | None:
    """The filter that a cleaned row fails, or None. keys: its normalised title and description."""
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


def hashes64(coded: Iterable[bytes]) -> np.ndarray:
    """A signed 64-bit hash of each that is the same on every machine (Python's own `hash` is not). int64 of shape (count,)."""
    digests = []
    for each in coded:
        hashed = _BLAKE.copy()  # half the time of a new one
        hashed.update(each)
        digests.append(hashed.digest())
    return np.frombuffer(b"".join(digests), "<i8").astype(np.int64)
