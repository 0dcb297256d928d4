"""Read product rows from a raw file of JSON lines, plain or packed, one line at a time.

What: `read_rows(path)` yields `Row(uid, title, content)` and counts every line that cannot be read, by kind, with the first
line numbers. Why: the file has 2.25 million lines and 1.9 GB, so it is never held in memory; and a line that is skipped in
silence (as in the reference) hides a broken download. How: `for row in read_rows(path, malformed): ...`
"""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from ftlib.data import archives, content_kinds, file_formats
from ftlib.runtime.errors import DataError

FIRST_LINES = 5  # line numbers kept for each kind of malformed line
BLOCK = 2**18  # bytes: some hundred rows, with which the processor's cache is not yet full
LONGEST = 2**24  # bytes of a line; the longest of the real file has some hundred thousand


class Row(msgspec.Struct, gc=False):  # texts only: nothing that the garbage collector could find
    """One product. `target_ind` and `target_rel` of the file are read past: they are other products' numbers and weights."""

    uid: str | None = None
    title: str | None = None
    content: str | None = None


class _NumberedRow(msgspec.Struct, gc=False):
    """A row whose uid may be a number; decoded only where `Row` does not fit, so that the usual file costs nothing more."""

    uid: str | int | float | None = None
    title: str | None = None
    content: str | None = None

    def row(self) -> Row:
        """The row with its uid as text: 7 and 7.0 (pandas' way with gaps) are "7"."""
        uid = self.uid
        if isinstance(uid, float) and uid.is_integer():
            uid = int(uid)
        return Row(uid if uid is None else str(uid), self.title, self.content)


_DECODER = msgspec.json.Decoder(Row)
_NUMBERED = msgspec.json.Decoder(_NumberedRow)


class Malformed:
    """Counts of unreadable lines by kind, with the numbers of the first few; `why`: what was wrong with the first.

    lines: how many lines were looked at. cut: why a packed file stopped before its end, if it did. incomplete: it just ends there
    (else its bytes are not those that were packed).
    """

    def __init__(self):
        self.kinds: dict[str, dict] = {}
        self.why: dict[str, str] = {}
        self.lines = 0
        self.cut: str | None = None
        self.incomplete = False

    def add(self, kind: str, why: str, line: bytes = b"") -> None:
        """Count the line that was looked at last. line: the first of a kind is looked at for a better reason."""
        entry = self.kinds.setdefault(kind, {"count": 0, "first_lines": []})
        if kind not in self.why:
            self.why[kind] = (line and content_kinds.line_problem(line)) or why
        entry["count"] += 1
        if len(entry["first_lines"]) < FIRST_LINES:
            entry["first_lines"].append(self.lines)

    def follow(self, part: Malformed) -> None:
        """Take over what was found in the part of the file that comes next."""
        for kind, found in part.kinds.items():
            entry = self.kinds.setdefault(kind, {"count": 0, "first_lines": []})
            self.why.setdefault(kind, part.why[kind])
            entry["count"] += found["count"]
            room = FIRST_LINES - len(entry["first_lines"])
            entry["first_lines"] += [self.lines + line for line in found["first_lines"][:room]]
        self.lines += part.lines

    def end(self) -> None:
        """Count the break, if the file was cut."""
        if self.cut:
            self.lines += 1
            self.add("truncated_gzip", self.cut)

    @property
    def total(self) -> int:
        return sum(entry["count"] for entry in self.kinds.values())


def read_rows(path: Path, malformed: Malformed) -> Iterator[Row]:
    """Yield the readable rows of a file in file order; blank lines are passed over.

    Kinds of malformed lines: `bad_utf8`, `broken_json`, `wrong_types` (a list, or a number where text belongs), `line_too_long`
    (above LONGEST bytes), `truncated_line` (the last line stops in the middle), `truncated_gzip` (the compressed file does).
    Raises DataError for a file that is absent or holds no JSON lines (see `file_kinds`).
    """
    with open_raw(path) as file:
        for start, block in blocks(file, malformed):
            for _, row in rows_in(block, malformed, path if start == 0 else None):
                yield row
    malformed.end()


def blocks(
    file: BinaryIO, malformed: Malformed, stop: int | None = None, size: int | None = None
) -> Iterator[tuple[int, bytes | None]]:
    """Yield (place in the stream, whole lines) from the stream's place up to `stop`, where a line must end.

    size: bytes of a block, about (default: BLOCK). A line above LONGEST comes as None: it is read past and never held whole. Only
    the stream's last line may lack its end. Of a packed file that stops in the middle, the whole lines are yielded, and
    `malformed.cut` says why it stopped.
    """
    held, start, skipping, size = bytearray(), file.tell(), False, size or BLOCK
    while piece := _read(file, malformed, size if stop is None else min(size, stop - start - len(held))):
        held += piece
        if len(held) < size:
            continue
        if skipping:
            taken = held.find(b"\n") + 1
            if taken:
                yield start, None
            skipping = not taken
        else:
            taken = held.rfind(b"\n") + 1
            if taken:
                with memoryview(held) as lines:
                    block = bytes(lines[:taken])
                yield start, block
            skipping = not taken and len(held) > LONGEST
        taken = len(held) if skipping else taken
        del held[:taken]
        start += taken
    if skipping:
        yield start, None
        taken = held.find(b"\n") + 1 or len(held)
        del held[:taken]
        start += taken
    if malformed.cut:
        del held[held.rfind(b"\n") + 1 :]
    if held:
        yield start, bytes(held)


def _read(file: BinaryIO, malformed: Malformed, size: int) -> bytes:
    """The next bytes of a stream; none at its end, or where a packed file breaks off."""
    try:
        # read1 gives what there is: what was unpacked before an error is not lost
        return file.read1(size)  # type: ignore[attr-defined]
    except Exception as error:
        if not archives.is_damage(error):
            raise
        malformed.cut = str(error)
        malformed.incomplete = isinstance(error, EOFError) or "unexpected end" in malformed.cut
        return b""


def rows_in(block: bytes | None, malformed: Malformed, top_of: Path | None = None) -> Iterator[tuple[int, Row]]:
    """Yield (place in the block, row) for the readable lines of a block. top_of: the file, if this is its first block, which
    may begin with a byte order mark."""
    if block is None:
        malformed.lines += 1
        malformed.add("line_too_long", f"longer than {LONGEST >> 20} MiB")
        return
    if places := _one_a_line(block):
        rows = _decode_lines(block)
        if len(rows) == len(places):
            malformed.lines += len(rows)
            yield from zip(places, rows, strict=True)
            return
    decode, place = _decode, 0
    lines = block.split(b"\n")
    last = len(lines) - 1
    for number, line in enumerate(lines):
        if number == last and not line:
            return
        malformed.lines += 1
        try:
            yield place, decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = line.removeprefix(codecs.BOM_UTF8) if number == 0 and top_of is not None else line
            if text is not line and (row := decoded(text)):  # some Windows editors write a BOM
                yield place, row
            elif text.strip():
                malformed.add(_kind(line, error, ended=number < last), str(error), line)
        place += len(line) + 1


def _decode_lines(block: bytes) -> list[Row]:
    """The rows of a block whose lines all are rows; else []."""
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return _DECODER.decode_lines(block)
        except msgspec.ValidationError:
            return [each.row() for each in _NUMBERED.decode_lines(block)]
    return []


def _decode(line: bytes) -> Row:
    try:
        return _DECODER.decode(line)
    except msgspec.ValidationError:
        return _NUMBERED.decode(line).row()


def _one_a_line(block: bytes) -> list[int]:
    """Where the lines of a block begin, if each begins with `{` and ends with `}`; else nothing.

    If such a block holds as many JSON values as lines, each line is one value: within a value `}` is never followed by `{`.
    """
    codes = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    if not len(ends) or ends[-1] != len(codes) - 1:
        return []
    starts = np.concatenate([[0], ends[:-1] + 1])
    return starts.tolist() if (codes[starts] == ord("{")).all() and (codes[ends - 1] == ord("}")).all() else []


def decoded(line: bytes) -> Row | None:
    """The row of a line, or None if it cannot be read."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def lines_at(path: Path, places: list[int]) -> Iterator[bytes]:
    """The lines that begin at these places of the unpacked file, in rising order of the places."""
    with open_raw(path) as file:
        if not is_packed(path):
            for place in places:
                file.seek(place)
                yield file.readline(LONGEST).removeprefix(codecs.BOM_UTF8)
            return
        wanted = iter(places)
        place = next(wanted, None)
        for start, block in blocks(file, Malformed()):
            while place is not None and block is not None and place < start + len(block):
                end = block.find(b"\n", place - start)
                yield block[place - start : None if end < 0 else end].removeprefix(codecs.BOM_UTF8)
                place = next(wanted, None)
            if place is None:
                return


def _kind(line: bytes, error: Exception, ended: bool) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as found:
        # a line that ends within a character was cut there
        return "truncated_line" if not ended and found.reason == "unexpected end of data" else "bad_utf8"
    if isinstance(error, msgspec.ValidationError):
        return "wrong_types"
    return "broken_json" if ended else "truncated_line"


def is_packed(path: Path) -> bool:
    """True for a file that can only be read from its beginning, because it is packed."""
    return file_formats.identify(path).packed


@contextlib.contextmanager
def open_raw(path: Path) -> Iterator[BinaryIO]:
    """A binary stream of JSON lines, unpacked on the fly. Raises DataError for a file that holds something else."""
    identity = file_formats.identify(path)
    file_formats.refuse(identity)
    with file_formats.opened(path, identity.steps) as stream:
        yield identity.kind.read(stream)


def check_file(path: Path, use_damaged: bool = False) -> None:
    """Refuse at once what the first and last bytes of a file give away. Raises DataError."""
    identity = file_formats.identify(path)
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty: download it again, or give the path of another one with --data")
    file_formats.refuse(identity)
    file_formats.check_fields(identity)
    if identity.packed or use_damaged:
        return
    with open(path, "rb") as file:
        file.seek(-1, 2)
        if file.read(1) == b"\0":  # download programs reserve the whole file first
            raise DataError(
                f"{path} ends in zero bytes, so its download did not finish: download it again, or use what is there with "
                "--set data.use_damaged=true"
            )
