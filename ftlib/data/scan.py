"""Scan a raw file on all cores, in bounded memory: clean, filter and hash every row.

`scan(cfg, path, funnel)` returns `KeptRows`, 52 bytes per usable row. It uses processes, because cleaning runs in Python and two
million rows take one core half a minute. A plain file is divided by offsets, and each process reads its own parts; a packed one
is unpacked by the parent process. Results are combined in file order, so they do not depend on the number of processes.
`data.dataset.prepare` calls it.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import sys
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
from ftlib.data.columns import Columns
from ftlib.data.funnel import TYPES, Funnel, KeptRows, clean_rows, hashes64, why_dropped
from ftlib.data.kept_lines import KeptLines
from ftlib.data.raw_reader import Malformed, Row, blocks, is_packed, open_raw, rows_in
from ftlib.runtime import hardware

PART = 2**23  # bytes of a part of a plain file
PARALLEL_FROM = 2**26  # bytes; for smaller files starting processes takes longer than it saves
UNPACKED_PART = 2**20  # bytes of an unpacked part that is sent to a process
READ = 2**16  # bytes per read while searching for a line end
PACKED_RATIO = 3  # typical ratio of unpacked to packed size


@dataclass(frozen=True)
class Part:
    """A part of the file that consists of complete lines.

    Attributes:
        path: of the file.
        start: offset in the unpacked file.
        stop: end offset, for a plain file; else None.
        lines: the unpacked lines of a packed file; None together with `stop` None for a line that is too long.
    """

    path: Path
    start: int
    stop: int | None = None
    lines: bytes | None = None


def parts(path: Path, file, malformed: Malformed) -> Iterator[Part]:
    """Yield the parts of a file in file order; in a packed file a line above LONGEST is a part of its own."""
    if is_packed(path):
        for start, block in blocks(file, malformed, size=UNPACKED_PART):
            yield Part(path, start, None, block)
        return
    size, start = os.fstat(file.fileno()).st_size, 0
    while start < size:
        file.seek(min(start + PART, size))
        while (rest := file.readline(READ)) and not rest.endswith(b"\n"):
            pass  # skips to the line end without holding a very long line
        yield Part(path, start, stop := file.tell())
        start = stop


def read_part(part: Part, cfg: Config) -> tuple[KeptRows, Funnel]:
    """Clean, filter and count the rows of a part; offsets and row indices are relative to its start."""
    kept_blocks, funnel, columns = [], Funnel(), Columns.of(cfg)

    def add(start: int, block: bytes | None) -> None:
        top = part.path if part.start + start == 0 else None
        rows = list(rows_in(block, funnel.malformed, top, columns))
        kept = keep([row for _, row in rows], cfg, funnel)
        kept.offset = start + np.array([offset for offset, _ in rows], np.int64)[kept.offset]
        kept_blocks.append(kept)

    if part.stop is None and part.lines is None:
        add(0, None)
    elif part.stop is None:
        for start, block in blocks(io.BytesIO(part.lines), funnel.malformed):
            add(start, block)
    else:
        with open(part.path, "rb") as file:
            file.seek(part.start)
            for start, block in blocks(file, funnel.malformed, part.stop):
                add(start - part.start, block)
    return KeptRows.joined(kept_blocks), funnel


def keep(rows: list[Row], cfg: Config, funnel: Funnel) -> KeptRows:
    """Clean rows in place, count and filter them, and return the usable ones.

    The offsets of the result are indices into `rows`; `read_part` replaces them by byte offsets.
    """
    complete = [index for index, row in enumerate(rows) if row.title and row.content]
    for row in rows if len(complete) < len(rows) else ():
        if not row.title or not row.content:
            funnel.drop("missing", row)
    keys, changes = clean_rows([rows[index] for index in complete], steps_of(cfg.data.clean))
    for change in changes:
        funnel.change(change)
    usable, titles, contents = [], [], []
    for index, (title, content) in zip(complete, keys, strict=True):
        row = rows[index]
        if reason := why_dropped(row, (title, content), cfg):
            funnel.drop(reason, row)
        else:
            usable.append(index)
            # The key of a title without letters or digits ("???") is empty; such titles are compared as they are.
            titles.append(title or row.title.encode())
            contents.append(content or row.content.encode())
    pair = hashes64([title + b"\0" + content for title, content in zip(titles, contents, strict=True)])
    order = hashes64([b"%d:%d" % (cfg.data.seed, pair_hash) for pair_hash in pair.tolist()])
    chars = [len(rows[index].title) for index in usable], [len(rows[index].content) for index in usable]
    row_idx = funnel.rows_in + np.array(usable, np.int64)
    funnel.rows_in += len(rows)
    columns = usable, row_idx, hashes64(titles), hashes64(contents), pair, order, *chars
    return KeptRows(*map(np.array, columns, TYPES))


def scan(cfg: Config, path: Path, funnel: Funnel, kept_lines: KeptLines | None = None) -> KeptRows:
    """Return the usable rows of a file, duplicates included, and add all counts to `funnel`.

    Args:
        cfg: the configuration.
        path: of the file.
        funnel: receives the counts.
        kept_lines: receives lines of a packed file.

    Raises:
        DataError: the file does not contain rows.
    """
    kept_parts = []
    with open_raw(path) as file, _Progress(path, file) as progress:
        for part, (kept, part_funnel) in _in_order(cfg, parts(path, file, funnel.malformed), _processes(path)):
            if kept_lines is not None and part.lines is not None:
                kept_lines.add(kept, part.lines, part.start)
            kept.offset += part.start
            kept.row_idx += funnel.rows_in
            kept_parts.append(kept)
            funnel.extend(part_funnel)
            progress.show(part, funnel.rows_in)
    funnel.malformed.end()
    return KeptRows.joined(kept_parts)


def _processes(path: Path) -> int:
    size = path.stat().st_size * (PACKED_RATIO if is_packed(path) else 1)
    return hardware.usable_cores() if size >= PARALLEL_FROM else 1


def _in_order(
    cfg: Config, file_parts: Iterator[Part], processes: int
) -> Iterator[tuple[Part, tuple[KeptRows, Funnel]]]:
    """Yield (part, its result) in file order, while other processes read a few parts ahead."""
    if processes < 2:
        yield from ((part, read_part(part, cfg)) for part in file_parts)
        return
    context = multiprocessing.get_context("spawn")  # fork is unsafe: this process may have a CUDA context and threads
    submitted: deque = deque()
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin_worker)
    try:
        for part in file_parts:
            submitted.append((part, pool.submit(read_part, part, cfg)))
            while len(submitted) > 2 * processes:
                yield _result(submitted.popleft(), cfg)
        while submitted:
            yield _result(submitted.popleft(), cfg)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(submitted: tuple[Part, Future], cfg: Config) -> tuple[Part, tuple[KeptRows, Funnel]]:
    """Return the result of a part; read it in this process if the pool broke.

    A pool breaks if memory runs out, or in a script without `if __name__ == "__main__"`.
    """
    part, future = submitted
    try:
        return part, future.result()
    except BrokenProcessPool:
        return part, read_part(part, cfg)


def _begin_worker() -> None:
    """Ignore Ctrl-C, which the parent process handles, and exit if the parent dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process, parent = multiprocessing.parent_process(), os.getppid()

    def watch() -> None:
        if sys.platform == "win32":  # there getppid() stays the same when the parent dies
            process.join()
        while os.getppid() == parent and sys.platform != "win32":
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Progress(tqdm):
    """Progress bar over the stored bytes of the file, with rows/s and the remaining time."""

    def __init__(self, path: Path, file):
        self.rows = 0
        self.stored = getattr(file, "stored", None)  # the packed file on disk
        line = "reading: {percentage:3.0f}%|{bar}| {rows:,} rows, {rows_per_s:,.0f} rows/s, {remaining} left"
        super().__init__(total=path.stat().st_size, disable=None, bar_format=line)

    @property
    def format_dict(self) -> dict:
        """The format variables of tqdm, with `rows` and `rows_per_s`."""
        variables = super().format_dict
        return variables | {"rows": self.rows, "rows_per_s": self.rows / max(variables["elapsed"], 1e-9)}

    def show(self, part: Part, rows: int) -> None:
        """Update the bar after a part was read; `rows` is the total so far."""
        self.rows = rows
        self.update((part.stop or self.n if self.stored is None else self.stored.tell()) - self.n)
