"""Look at a data file before any training: its kind, columns and first rows, and what would be kept of it, on one screen.

`look(cfg, rows)` reads the file as `ftlib prepare` does, with its cleaning and filters, but writes nothing and stops after some
rows, so that a file of gigabytes is judged in seconds. Run it with `ftlib data look FILE`.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ftlib.config.settings import Config
from ftlib.data import file_formats
from ftlib.data.columns import Columns, settings_for, suggestion
from ftlib.data.content_kinds import printable
from ftlib.data.file_search import SYNTHETIC, present_path
from ftlib.data.funnel import Funnel
from ftlib.data.raw_reader import Malformed, Row, open_raw, read_rows
from ftlib.data.scan import keep

WIDTH, ROWS_SHOWN, BATCH = 110, 10, 1_000  # characters of a line; rows; rows that are cleaned together
NAMES_SHOWN, KINDS_SHOWN = 20, 4  # columns and kinds of malformed lines
LONGEST_NAME = 30  # characters of a column's name that are shown
UID_WIDTH, TITLE_WIDTH = 14, 36  # characters; the content has the rest of a line


@dataclass
class Look:
    """What a file is, and what would be kept of it.

    Attributes:
        path: of the file.
        identity: its kind and columns.
        columns: the names that are used for our columns, suggested ones included.
        suggested: {our column: the file's column} where the configured name is not in the file.
        unmapped: our columns for which no name is there.
        first: the first rows as they are in the file.
        funnel: counts of the rows that were read.
        kept: usable rows without duplicates.
        complete: True if the whole file was read.
    """

    path: Path
    identity: file_formats.Identity
    columns: Columns
    suggested: dict[str, str]
    unmapped: list[str]
    first: list[Row] = field(default_factory=list)
    funnel: Funnel = field(default_factory=Funnel)
    kept: int = 0
    complete: bool = True


def look(cfg: Config, rows: int | None) -> Look:
    """Read the first rows of `data.path` and count what would be kept of them.

    Args:
        cfg: the configuration.
        rows: how many rows are counted; None counts all.

    Raises:
        DataError: the file cannot be read; the message says what it is and how to convert it.
    """
    path = present_path(cfg)
    identity = file_formats.identify(path)
    file_formats.refuse(identity)
    columns = Columns.of(cfg)
    missing = columns.missing(identity.fields) if identity.fields else []
    taken = {name for column, name in columns._asdict().items() if column not in missing}
    found = suggestion([name for name in identity.fields if name not in taken])
    suggested = {column: found[column] for column in missing if column in found}
    if "uid" not in identity.fields and columns.uid == "uid" and "uid" in found:
        suggested = {"uid": found["uid"]} | suggested
    unmapped = [column for column in missing if column not in found and column != "uid"]
    result = Look(path, identity, columns._replace(**suggested), suggested, unmapped)
    if not unmapped:
        _count(result, cfg, rows)
    return result


def _count(result: Look, cfg: Config, limit: int | None) -> None:
    """Read rows and fill in the counts of `result`."""
    malformed, pairs = Malformed(), []
    all_rows = read_rows(result.path, malformed, result.columns)
    rows = itertools.islice(all_rows, limit)
    while batch := list(itertools.islice(rows, BATCH)):
        for row in batch[: ROWS_SHOWN - len(result.first)]:
            result.first.append(Row(row.uid, row.title, row.content))  # a copy, because cleaning changes rows in place
        pairs.append(keep(batch, cfg, result.funnel).pair)
    result.complete = next(all_rows, None) is None
    result.funnel.malformed = malformed
    usable = np.concatenate(pairs) if pairs else np.array([])
    result.kept = len(np.unique(usable)) if cfg.data.deduplicate else len(usable)
    if repeats := len(usable) - result.kept:
        result.funnel.dropped["duplicate"] = repeats


def render(result: Look, cfg: Config) -> str:
    """Render one screen, at most 40 lines of WIDTH characters.

    Args:
        result: of `look`.
        cfg: the configuration, for the next command.
    """
    return "\n".join(map(printable, _lines(result, cfg)))


def _lines(result: Look, cfg: Config) -> Iterator[str]:
    identity = result.identity
    packing = "".join(f" in {container.name}" for container, _ in reversed(identity.steps))
    yield _shortened(f"{result.path.name}: {identity.sentence}{packing}, {_size(result.path.stat().st_size)}", WIDTH)
    yield from _wrapped("columns: ", list(identity.fields[:NAMES_SHOWN]), len(identity.fields) > NAMES_SHOWN)
    uses = [f"{ours} = {name}" for ours, name in result.columns._asdict().items() if name in identity.fields]
    row_numbers = [] if result.columns.uid in identity.fields else ["uid = the row's number"]
    if result.unmapped:
        yield f"No column is known as {' or '.join(result.unmapped)}: name it with --set data.columns.{result.unmapped[0]}=NAME"
        yield ""
        yield from _raw_rows(result.path)
        return
    yield from _wrapped("suggested: " if result.suggested else "used: ", [*uses, *row_numbers])
    yield ""
    yield _cells("uid", "title", "content")
    for row in result.first:
        yield _cells(row.uid or "", row.title or "", row.content or "")
    yield ""
    yield from _kept(result)
    yield ""
    yield from _next_step(result, cfg)


def _cells(uid: str, title: str, content: str) -> str:
    rest = WIDTH - UID_WIDTH - TITLE_WIDTH - 4
    cells = ((uid, UID_WIDTH), (title, TITLE_WIDTH), (content, rest))
    return "  ".join(_shortened(text, width).ljust(width) for text, width in cells).rstrip()


def _shortened(text: str, width: int) -> str:
    """Return the beginning of a text on one line, with an ellipsis if it is longer."""
    text = " ".join(printable(text[: 4 * width]).split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _raw_rows(path: Path) -> Iterator[str]:
    """Yield the first rows with their own columns."""
    with open_raw(path) as file:
        head = file.read1(2**18).split(b"\n")  # type: ignore[attr-defined]
    for line in [line for line in head if line.strip()][:ROWS_SHOWN]:
        yield _shortened(line.decode("utf-8", errors="replace"), WIDTH)


def _kept(result: Look) -> Iterator[str]:
    funnel = result.funnel
    count = funnel.rows_in + funnel.malformed.total
    scope = f"{count:,} rows" if result.complete else f"the first {count:,} rows (--all reads the whole file)"
    yield f"kept: {result.kept:,} of {scope}"
    if funnel.dropped:
        yield from _wrapped("dropped: ", [f"{number:,} {step}" for step, number in funnel.dropped.items()])
    if funnel.cleaned:
        yield from _wrapped("cleaned: ", [f"{number:,} texts by {step}" for step, number in funnel.cleaned.items()])
    kinds = list(funnel.malformed.kinds.items())
    for kind, entry in kinds[:KINDS_SHOWN]:
        first = ", ".join(map(str, entry["first_lines"]))
        why = funnel.malformed.why.get(kind, "")
        yield _shortened(f"malformed: {entry['count']:,} {kind} (first at {first}): {why}", WIDTH)
    if len(kinds) > KINDS_SHOWN:
        yield f"malformed: {len(kinds) - KINDS_SHOWN} further kinds"
    if funnel.malformed.cut:
        yield _shortened(f"damaged, download it again: {funnel.malformed.cut}", WIDTH)
    lengths = [len(row.content or "") for row in result.first]
    if lengths:
        yield f"the longest of these {len(lengths)} contents has {max(lengths):,} characters"


def _next_step(result: Look, cfg: Config) -> Iterator[str]:
    options = ["--profile", cfg.profile] if cfg.profile == "qa" else []
    options += ["--data", cfg.data.path]
    chosen = {
        column: name
        for column, name in result.columns._asdict().items()
        if column in result.suggested or cfg.set_by_user(f"data.columns.{column}")
    }
    words = ["ftlib", "prepare", *map(shlex.quote, options), *_words(settings_for(chosen))]
    yield from _wrapped("next: ", words, separator=" ")
    if result.path not in SYNTHETIC.values():
        yield "Are you allowed to train on these rows, and do they name people? See docs/own_data.md, Privacy and licenses."


def _words(options: str) -> list[str]:
    """Split options into words that stay quoted, so that a line is never broken within one."""
    return [shlex.quote(word) for word in shlex.split(options)]


def _wrapped(label: str, words: list[str], more: bool = False, separator: str = ", ") -> Iterator[str]:
    """Yield words on lines of at most WIDTH characters, the following lines indented."""
    words = [word if separator == " " else _shortened(word, LONGEST_NAME) for word in words]
    words += ["..."] if more else []
    line = label
    for number, word in enumerate(words):
        piece = word + (separator if number < len(words) - 1 else "")
        if len(line) + len(piece) > WIDTH and line.strip():
            yield line.rstrip() + (" \\" if separator == " " else "")
            line = "  "
        line += piece
    yield line.rstrip()


def _size(count: int) -> str:
    """Return a number of bytes with its unit, in powers of 1,000."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
