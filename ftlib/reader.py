"""Read product rows from a raw file: .json, .jsonl, the same gzipped, or the distributed zip, one line at a time.

What: `read_rows(path)` yields `Row(uid, title, content)` and counts every line that cannot be read, by kind, with the first
line numbers. Why: the file has 2.25 million lines and 1.9 GB, so it is never held in memory; and a line that is skipped in
silence (as in the reference) hides a broken download. How: `for row in read_rows(path, malformed): ...`
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from ftlib.errors import FtlibError

INNER_NAME = "trn.json.gz"  # inside LF-Amazon-1.3M.raw.zip
FIRST_LINES = 5  # line numbers kept for each kind of malformed line


class DataError(FtlibError, ValueError):
    """The data cannot be used; the message says what is wrong and what to do."""


class Row(msgspec.Struct):
    """One product. `target_ind` and `target_rel` of the file are read past: they are other products' numbers and weights."""

    uid: str | None = None
    title: str | None = None
    content: str | None = None


class Malformed:
    """Counts of unreadable lines by kind, with the numbers of the first few; `why`: what was wrong with the first."""

    def __init__(self):
        self.kinds: dict[str, dict] = {}
        self.why: dict[str, str] = {}

    def add(self, kind: str, line: int, why: str) -> None:
        entry = self.kinds.setdefault(kind, {"count": 0, "first_lines": []})
        self.why.setdefault(kind, why)
        entry["count"] += 1
        if len(entry["first_lines"]) < FIRST_LINES:
            entry["first_lines"].append(line)

    @property
    def total(self) -> int:
        return sum(entry["count"] for entry in self.kinds.values())


def read_rows(path: Path, malformed: Malformed) -> Iterator[Row]:
    """Yield the readable rows of a file in file order; blank lines are passed over.

    Kinds of malformed lines: `bad_utf8`, `broken_json`, `wrong_types` (a list, or a number where text belongs),
    `truncated_line` (the last line stops in the middle), `truncated_gzip` (the compressed file does).
    Raises DataError for a file that is absent or of an unknown kind, or one JSON array instead of JSON lines.
    """
    decode = msgspec.json.Decoder(Row).decode
    number = 0
    with open_raw(path) as file:
        lines = iter(file)
        while True:
            number += 1
            try:
                line = next(lines)
            except StopIteration:
                return
            except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
                malformed.add("truncated_gzip", number, str(error))
                return
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)  # some Windows editors write one
            if not line.strip():
                continue
            if number == 1 and line.lstrip().startswith(b"["):
                raise DataError(
                    f"{path} is one JSON array; ftlib reads one JSON object a line, as in trn.json (jq -c '.[]')"
                )
            try:
                yield decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                malformed.add(_kind(line, error), number, str(error))


def _kind(line: bytes, error: Exception) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "bad_utf8"
    if isinstance(error, msgspec.ValidationError):
        return "wrong_types"
    return "broken_json" if line.endswith(b"\n") else "truncated_line"


@contextlib.contextmanager
def open_raw(path: Path) -> Iterator[BinaryIO]:
    """A binary stream of lines, unpacked on the fly. Raises DataError."""
    if not path.exists():
        raise DataError(
            f"{path} does not exist: give the path of trn.json (or .gz, .jsonl, the .zip) with --data, or --data sample"
        )
    if path.is_dir():
        raise DataError(f"{path} is a folder: give the file itself, for example {path / 'trn.json.gz'}")
    with contextlib.ExitStack() as stack:
        suffix = path.suffix.lower()
        if suffix == ".zip":
            stream = gzip.open(stack.enter_context(_open_in_zip(path, stack)))
        elif suffix == ".gz":
            stream = gzip.open(path)
        elif suffix in (".json", ".jsonl"):
            stream = open(path, "rb")
        else:
            raise DataError(
                f"{path}: unknown kind of file; allowed are .json, .jsonl, the same with .gz, and the distributed .zip"
            )
        yield stack.enter_context(stream)


def _open_in_zip(path: Path, stack: contextlib.ExitStack) -> BinaryIO:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
        inner = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == INNER_NAME]
        if not inner:
            raise DataError(f"{path} holds no {INNER_NAME}; it holds {', '.join(archive.namelist()[:8])}")
        return archive.open(inner[0])
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a whole zip file ({error}): download it again") from None
