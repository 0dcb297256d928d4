"""The first look at a raw file: every row cleaned, filtered and reduced to a few numbers, on all cores, in bounded memory.

What: `scan(cfg, path, funnel)` gives `Kept`: 52 bytes for each row that can be used. Why processes: cleaning is Python, and a
file of two million rows keeps one core busy for half a minute. A plain file is shared out by places, so that each process reads
its own parts; a packed one is unpacked by one process. The parts are put together in file order, so the result is the same with
any number of processes. How: `ftlib.data.dataset.prepare` calls it.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ftlib.config.settings import Config
from ftlib.data.cleaning import steps_of
from ftlib.data.funnel import TYPES, Funnel, Kept, clean_rows, hashes64, why_dropped
from ftlib.data.raw_reader import Malformed, Row, blocks, is_packed, open_raw, rows_in
from ftlib.runtime import hardware

PART = 2**23  # bytes of a part of the file
WORTH = 2**26  # bytes of a plain file from which on processes save more time than their start takes
SENT = 2**20  # bytes of a part that is unpacked and sent to a process
PIECE = 2**16
PACKED = 3  # a packed file of this size holds about so many times as much


@dataclass(frozen=True)
class Part:
    """A part of the file: whole lines, by their places in a plain file, or unpacked. lines None: one line that is too long."""

    path: Path
    start: int
    stop: int | None = None
    lines: bytes | None = None


def parts(path: Path, file, malformed: Malformed) -> Iterator[Part]:
    """The file in parts of whole lines, in file order. A line above LONGEST is a part by itself in a packed file."""
    if is_packed(path):
        for start, block in blocks(file, malformed, size=SENT):
            yield Part(path, start, None, block)
        return
    size, start = os.fstat(file.fileno()).st_size, 0
    while start < size:
        file.seek(min(start + PART, size))
        while (rest := file.readline(PIECE)) and not rest.endswith(b"\n"):
            pass  # a very long line is read past in pieces
        yield Part(path, start, stop := file.tell())
        start = stop


def read_part(part: Part, cfg: Config) -> tuple[Kept, Funnel]:
    """Clean, filter and count the rows of a part. Places and numbers are counted from its beginning."""
    found, funnel = [], Funnel()

    def take(start: int, block: bytes | None) -> None:
        top = part.path if part.start + start == 0 else None
        placed = list(rows_in(block, funnel.malformed, top))
        kept = keep([row for _, row in placed], cfg, funnel)
        kept.place = start + np.array([place for place, _ in placed], np.int64)[kept.place]
        found.append(kept)

    if part.stop is None and part.lines is None:
        take(0, None)
    elif part.stop is None:
        for start, block in blocks(io.BytesIO(part.lines), funnel.malformed):
            take(start, block)
    else:
        with open(part.path, "rb") as file:
            file.seek(part.start)
            for start, block in blocks(file, funnel.malformed, part.stop):
                take(start - part.start, block)
    return Kept.joined(found), funnel


def keep(rows: list[Row], cfg: Config, funnel: Funnel) -> Kept:
    """Clean rows in place and count them; of those that can be used, what is remembered. Their place is that in the list."""
    full = [number for number, row in enumerate(rows) if row.title and row.content]
    for row in rows if len(full) < len(rows) else ():
        if not row.title or not row.content:
            funnel.drop("missing", row)
    keys, changes = clean_rows([rows[number] for number in full], steps_of(cfg.data.clean))
    for change in changes:
        funnel.change(change)
    kept, titles, contents = [], [], []
    for number, (title, content) in zip(full, keys, strict=True):
        row = rows[number]
        if reason := why_dropped(row, (title, content), cfg):
            funnel.drop(reason, row)
        else:
            kept.append(number)
            # A title of signs only ("???") has no words to compare; it stands for itself.
            titles.append(title or row.title.encode())
            contents.append(content or row.content.encode())
    pair = hashes64([title + b"\0" + content for title, content in zip(titles, contents, strict=True)])
    order = hashes64([b"%d:%d" % (cfg.data.seed, each) for each in pair.tolist()])
    chars = [len(rows[number].title) for number in kept], [len(rows[number].content) for number in kept]
    index = funnel.rows_in + np.array(kept, np.int64)
    funnel.rows_in += len(rows)
    columns = kept, index, hashes64(titles), hashes64(contents), pair, order, *chars
    return Kept(*map(np.array, columns, TYPES))


def scan(cfg: Config, path: Path, funnel: Funnel) -> Kept:
    """All usable rows of a file, duplicates included; `funnel` counts what was lost. Raises DataError as `open_raw` does."""
    kept = []
    with open_raw(path) as file, _Progress(path, file) as progress:
        for part, (rows, found) in _in_order(cfg, parts(path, file, funnel.malformed), _processes(path)):
            rows.place += part.start
            rows.index += funnel.rows_in
            kept.append(rows)
            funnel.follow(found)
            progress.show(part, funnel.rows_in)
    funnel.malformed.end()
    return Kept.joined(kept)


def _processes(path: Path) -> int:
    size = path.stat().st_size * (PACKED if is_packed(path) else 1)
    return hardware.usable_cores() if size >= WORTH else 1


def _in_order(cfg: Config, found: Iterator[Part], processes: int) -> Iterator[tuple[Part, tuple[Kept, Funnel]]]:
    """(part, what was read of it), in file order; a few parts ahead are read by the other processes."""
    if processes < 2:
        yield from ((part, read_part(part, cfg)) for part in found)
        return
    context = multiprocessing.get_context("spawn")  # no plain fork: this process may hold a GPU and threads
    ahead: deque = deque()
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin_worker)
    try:
        for part in found:
            ahead.append((part, pool.submit(read_part, part, cfg)))
            while len(ahead) > 2 * processes:
                yield _result(ahead.popleft(), cfg)
        while ahead:
            yield _result(ahead.popleft(), cfg)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(submitted: tuple[Part, Future], cfg: Config) -> tuple[Part, tuple[Kept, Funnel]]:
    """A part that its process did not finish (no memory, a script without `if __name__ == "__main__"`) is read here."""
    part, future = submitted
    try:
        return part, future.result()
    except BrokenProcessPool:
        return part, read_part(part, cfg)


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent process, and exit if the parent dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Progress(tqdm):
    """A bar over the bytes of the file as they are stored, that says rows/s and the time left."""

    def __init__(self, path: Path, file):
        self.rows = 0
        self.stored = getattr(file, "stored", None)  # the packed file on the disk
        line = "reading: {percentage:3.0f}%|{bar}| {rows:,} rows, {rows_per_s:,.0f} rows/s, {remaining} left"
        super().__init__(total=path.stat().st_size, disable=None, bar_format=line)

    @property
    def format_dict(self) -> dict:
        known = super().format_dict
        return known | {"rows": self.rows, "rows_per_s": self.rows / max(known["elapsed"], 1e-9)}

    def show(self, part: Part, rows: int) -> None:
        """The part was read, and so many rows in all."""
        self.rows = rows
        self.update((part.stop or self.n if self.stored is None else self.stored.tell()) - self.n)
