"""Read rows from a raw file as a stream: JSON lines, and what `conversion` turns into JSON lines, plain or packed.

`read_rows(path, malformed)` yields `Row(uid, title, content)` and counts malformed lines by kind, with their first line
numbers: a line that is skipped silently (as in the reference) hides a broken download. The real file has 2.25 million lines and
1.9 GB, so it is never held in memory.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np

from ftlib.data import archives, content_kinds, file_formats
from ftlib.data.columns import OURS, Columns
from ftlib.runtime.errors import DataError

FIRST_LINES = 5  # line numbers recorded for each kind of malformed line
BLOCK = 2**18  # bytes; some hundred rows, small enough for the CPU cache
LONGEST = 2**24  # maximum bytes of a line; the longest line of the real file has some hundred thousand


class Row(msgspec.Struct, gc=False):  # has only strings, so it cannot be part of a reference cycle
    """One product. The fields `target_ind` and `target_rel` (labels of the original task) are not decoded."""

    uid: str | None = None
    title: str | None = None
    content: str | None = None


class _NumberedRow(msgspec.Struct, gc=False):
    """A row whose uid may be a number; decoded only if `Row` fails, to keep the usual case fast."""

    uid: str | int | float | None = None
    title: str | None = None
    content: str | None = None

    def row(self) -> Row:
        """Return the row with its uid as text; 7.0, which pandas writes if uids are missing, becomes "7"."""
        uid = self.uid
        if isinstance(uid, float) and uid.is_integer():
            uid = int(uid)
        return Row(uid if uid is None else str(uid), self.title, self.content)


class Decoders(NamedTuple):
    """The decoders of a line: for rows whose uid is a text, and for those whose uid may be a number."""

    rows: msgspec.json.Decoder
    numbered: msgspec.json.Decoder


@functools.lru_cache(maxsize=8)
def _decoders(columns: Columns) -> Decoders:
    """Return the decoders for a file with these column names; the names cost no time, because msgspec compiles them."""
    if columns == OURS:
        return Decoders(msgspec.json.Decoder(Row), msgspec.json.Decoder(_NumberedRow))
    kinds = []
    for base in (Row, _NumberedRow):
        fields = [(field.name, field.type, None) for field in msgspec.structs.fields(base)]
        kinds.append(msgspec.defstruct(base.__name__, fields, bases=(base,), rename=columns._asdict(), gc=False))
    return Decoders(*map(msgspec.json.Decoder, kinds))


class Malformed:
    """Counts of malformed lines by kind.

    Attributes:
        kinds: {kind: {"count", "first_lines"}}.
        why: {kind: what was wrong with the first such line}.
        lines: number of lines read so far.
        cut: why a packed file could not be read to its end, else None.
        incomplete: True if a packed file is truncated, False if its bytes are corrupted.
    """

    def __init__(self):
        self.kinds: dict[str, dict] = {}
        self.why: dict[str, str] = {}
        self.lines = 0
        self.cut: str | None = None
        self.incomplete = False

    def add(self, kind: str, why: str, line: bytes = b"") -> None:
        """Count the line that was read last.

        Args:
            kind: of the problem.
            why: message of the parser.
            line: its content; the first line of a kind is inspected for a better message.
        """
        entry = self.kinds.setdefault(kind, {"count": 0, "first_lines": []})
        if kind not in self.why:
            self.why[kind] = (line and content_kinds.line_problem(line)) or why
        entry["count"] += 1
        if len(entry["first_lines"]) < FIRST_LINES:
            entry["first_lines"].append(self.lines)

    def extend(self, part: Malformed) -> None:
        """Add the counts of the next part of the file."""
        for kind, counts in part.kinds.items():
            entry = self.kinds.setdefault(kind, {"count": 0, "first_lines": []})
            self.why.setdefault(kind, part.why[kind])
            entry["count"] += counts["count"]
            room = FIRST_LINES - len(entry["first_lines"])
            entry["first_lines"] += [self.lines + line for line in counts["first_lines"][:room]]
        self.lines += part.lines

    def end(self) -> None:
        """Count the truncated line, if a packed file could not be read to its end."""
        if self.cut:
            self.lines += 1
            self.add("truncated_gzip", self.cut)

    @property
    def total(self) -> int:
        """The number of malformed lines."""
        return sum(entry["count"] for entry in self.kinds.values())


def read_rows(path: Path, malformed: Malformed, columns: Columns = OURS) -> Iterator[Row]:
    """Yield the readable rows of a file in file order, and count the others in `malformed`. columns: their names in the file.

    Blank lines are skipped. Kinds of malformed lines: `bad_utf8`, `broken_json`, `wrong_types` (a list, or a number where text is
    expected), `line_too_long` (above LONGEST bytes), `truncated_line` (the last line is incomplete), `truncated_gzip` (the packed
    file is incomplete or corrupted).

    Raises:
        DataError: the file does not exist or does not contain JSON lines.
    """
    with open_raw(path) as file:
        for start, block in blocks(file, malformed):
            for _, row in rows_in(block, malformed, path if start == 0 else None, columns):
                yield row
    malformed.end()


def blocks(
    file: BinaryIO, malformed: Malformed, stop: int | None = None, size: int | None = None
) -> Iterator[tuple[int, bytes | None]]:
    """Yield (offset, block of complete lines) from the current position of a stream on.

    A line above LONGEST bytes is yielded as None and never held in memory. Only the stream's last line may lack its line end.

    Args:
        file: the unpacked stream.
        malformed: its `cut` is set if a packed file ends early; the complete lines before are yielded.
        stop: offset of a line end at which to stop; None reads to the end.
        size: approximate bytes of a block (default: BLOCK).
    """
    buffer, start, skipping, size = bytearray(), file.tell(), False, size or BLOCK
    while piece := _read(file, malformed, size if stop is None else min(size, stop - start - len(buffer))):
        buffer += piece
        if len(buffer) < size:
            continue
        if skipping:
            consumed = buffer.find(b"\n") + 1
            if consumed:
                yield start, None
            skipping = not consumed
        else:
            consumed = buffer.rfind(b"\n") + 1
            if consumed:
                with memoryview(buffer) as lines:
                    block = bytes(lines[:consumed])
                yield start, block
            skipping = not consumed and len(buffer) > LONGEST
        consumed = len(buffer) if skipping else consumed
        del buffer[:consumed]
        start += consumed
    if skipping:
        yield start, None
        consumed = buffer.find(b"\n") + 1 or len(buffer)
        del buffer[:consumed]
        start += consumed
    if malformed.cut:
        del buffer[buffer.rfind(b"\n") + 1 :]
    if buffer:
        yield start, bytes(buffer)


def _read(file: BinaryIO, malformed: Malformed, size: int) -> bytes:
    """Read the next bytes of a stream; b"" at its end or where a packed file is damaged."""
    try:
        # read1 returns the available bytes, so that those unpacked before an error are not lost
        return file.read1(size)  # type: ignore[attr-defined]
    except Exception as error:
        if not archives.is_damage(error):
            raise
        malformed.cut = str(error)
        malformed.incomplete = isinstance(error, EOFError) or "unexpected end" in malformed.cut
        return b""


def rows_in(
    block: bytes | None, malformed: Malformed, top_of: Path | None = None, columns: Columns = OURS
) -> Iterator[tuple[int, Row]]:
    """Yield (offset in the block, row) for the readable lines of a block, and count the others.

    Args:
        block: complete lines; None for a line above LONGEST bytes.
        malformed: the counts.
        top_of: the file, if this is its first block, which may start with a byte order mark.
        columns: their names in the file.
    """
    if block is None:
        malformed.lines += 1
        malformed.add("line_too_long", f"longer than {LONGEST >> 20} MiB")
        return
    decoders = _decoders(columns)
    if offsets := _one_a_line(block):
        rows = _decode_lines(block, decoders)
        if len(rows) == len(offsets):
            malformed.lines += len(rows)
            yield from zip(offsets, rows, strict=True)
            return
    offset = 0
    lines = block.split(b"\n")
    last = len(lines) - 1
    for index, line in enumerate(lines):
        if index == last and not line:
            return
        malformed.lines += 1
        try:
            yield offset, _decode(line, decoders)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = line.removeprefix(codecs.BOM_UTF8) if index == 0 and top_of is not None else line
            if text is not line and (row := decoded(text, columns)):  # some Windows editors write a BOM
                yield offset, row
            elif text.strip():
                malformed.add(_kind(line, error, ended=index < last), str(error), line)
        offset += len(line) + 1


def _decode_lines(block: bytes, decoders: Decoders) -> list[Row]:
    """Decode a block if all of its lines are rows; else return []."""
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return decoders.rows.decode_lines(block)
        except msgspec.ValidationError:
            return [numbered.row() for numbered in decoders.numbered.decode_lines(block)]
    return []


def _decode(line: bytes, decoders: Decoders) -> Row:
    try:
        return decoders.rows.decode(line)
    except msgspec.ValidationError:
        return decoders.numbered.decode(line).row()


def _one_a_line(block: bytes) -> list[int]:
    """Return the offsets of a block's lines if each begins with `{` and ends with `}`; else [].

    If such a block has as many JSON values as lines, each line is one value: within a value `}` is never followed by `{`.
    """
    codes = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    if not len(ends) or ends[-1] != len(codes) - 1:
        return []
    starts = np.concatenate([[0], ends[:-1] + 1])
    return starts.tolist() if (codes[starts] == ord("{")).all() and (codes[ends - 1] == ord("}")).all() else []


def decoded(line: bytes, columns: Columns = OURS) -> Row | None:
    """Decode the row of a line; None if it is malformed. columns: their names in the file."""
    try:
        return _decode(line, _decoders(columns))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def lines_at(path: Path, offsets: list[int]) -> Iterator[bytes]:
    """Yield the lines that start at byte offsets of the unpacked file; the offsets must be sorted."""
    with open_raw(path) as file:
        if not is_packed(path):
            for offset in offsets:
                file.seek(offset)
                yield file.readline(LONGEST).removeprefix(codecs.BOM_UTF8)
            return
        remaining = iter(offsets)
        offset = next(remaining, None)
        for start, block in blocks(file, Malformed()):
            while offset is not None and block is not None and offset < start + len(block):
                end = block.find(b"\n", offset - start)
                yield block[offset - start : None if end < 0 else end].removeprefix(codecs.BOM_UTF8)
                offset = next(remaining, None)
            if offset is None:
                return


def _kind(line: bytes, error: Exception, ended: bool) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as bad_utf8:
        # a line that ends within a character was truncated there
        return "truncated_line" if not ended and bad_utf8.reason == "unexpected end of data" else "bad_utf8"
    if isinstance(error, msgspec.ValidationError):
        return "wrong_types"
    return "broken_json" if ended else "truncated_line"


def is_packed(path: Path) -> bool:
    """Return whether a file is packed, so that it can only be read from its start."""
    return file_formats.identify(path).packed


@contextlib.contextmanager
def open_raw(path: Path) -> Iterator[BinaryIO]:
    """Open a file as an unpacked binary stream of JSON lines. Raises DataError for other content."""
    identity = file_formats.identify(path)
    file_formats.refuse(identity)
    with file_formats.opened(path, identity.steps) as stream:
        yield identity.kind.read(stream)


def check_file(path: Path, use_damaged: bool = False, columns: Columns = OURS) -> None:
    """Check a file by its first and last bytes, before it is read. Raises DataError. columns: their names in the file."""
    identity = file_formats.identify(path)
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty: download it again, or give the path of another one with --data")
    file_formats.refuse(identity)
    file_formats.check_fields(identity, columns)
    if identity.packed or use_damaged:
        return
    with open(path, "rb") as file:
        file.seek(-1, 2)
        if file.read(1) == b"\0":  # download programs allocate the full size first
            raise DataError(
                f"{path} ends in zero bytes, so its download did not finish: download it again, or use what is there with "
                "--set data.use_damaged=true"
            )
