"""Keep the lines of a packed file that the splits are probably drawn from, so that it is unpacked once and not twice.

The splits are drawn from the first rows of a random order (`KeptRows.order`). While the file is scanned, `KeptLines` keeps the
lines with the lowest values of that order so far. What it lacks is read from the file again, so it decides the time and never
the rows.
"""

from __future__ import annotations

import codecs

import numpy as np

from ftlib.data.funnel import KeptRows

MAX_BYTES = 2**26  # of the lines; where they are longer, fewer are kept


class KeptLines:
    """The lines of the rows with the lowest order values, in bounded memory."""

    def __init__(self, count: int):
        """count: lines that are kept at least, if they fit in MAX_BYTES."""
        self._count, self._bytes, self._limit = count, 0, np.iinfo(np.int64).max
        self._lines: dict[int, tuple[int, bytes]] = {}  # {order value: (offset in the unpacked file, line)}

    def add(self, kept: KeptRows, lines: bytes, start: int) -> None:
        """Add the next part of the file.

        Rows with the same order value repeat each other; only the first is kept, as in deduplication.

        Args:
            kept: usable rows of the part; their offsets are relative to its start.
            lines: content of the part.
            start: its offset in the unpacked file.
        """
        indices = np.flatnonzero(kept.order <= self._limit)
        for order, offset in zip(kept.order[indices].tolist(), kept.offset[indices].tolist(), strict=True):
            if order not in self._lines:
                end = lines.find(b"\n", offset)
                line = lines[offset : None if end < 0 else end]
                self._lines[order] = (start + offset, line)
                self._bytes += len(line)
        if len(self._lines) > 2 * self._count or self._bytes > 2 * MAX_BYTES:
            self._prune()

    def _prune(self) -> None:
        """Keep `count` lines of at most MAX_BYTES together, those with the lowest order values."""
        kept, self._bytes = {}, 0
        for order in sorted(self._lines)[: self._count]:
            size = len(self._lines[order][1])
            if self._bytes + size > MAX_BYTES:
                break
            kept[order] = self._lines[order]
            self._bytes += size
            self._limit = order
        self._lines = kept

    def by_offset(self) -> dict[int, bytes]:
        """Return {offset in the unpacked file: line without its end and without a byte order mark}."""
        return {offset: line.removeprefix(codecs.BOM_UTF8) for offset, line in self._lines.values()}
