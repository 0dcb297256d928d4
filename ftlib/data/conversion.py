"""Convert JSON arrays, CSV, TSV and Parquet to a stream of JSON lines, so that one reader counts malformed rows in all of them.

Each function takes the unpacked stream and returns a `Lines` stream; nothing is held in memory but a record (Parquet: a batch).
CSV is read with Python's csv and not with pyarrow, because a record with too few columns or with bytes that are no UTF-8 must be
counted where it stands and must not end the file. A record that cannot be converted becomes a line that the reader counts as
malformed; line numbers are then numbers of records, the first one after a header.
"""

from __future__ import annotations

import codecs
import csv
import io
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from ftlib.data.archives import AGAIN, is_damage
from ftlib.runtime.errors import DataError

HEAD_CHARS = 100_000  # of a table that decide its delimiter
LONGEST_FIELD = 2**20  # characters of a CSV field; a quote that is never closed would swallow the rest of the file
LONGEST_NAME = 60  # characters of a column name; a longer one is a sentence, and the file is text
PIECE = 2**16  # bytes of the stream that are yielded together
BATCH = 1_000  # rows of Parquet that are decoded together
UNTERMINATED = b"{"  # as the last line: the reader counts it as a truncated line
DELIMITERS = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons", "|": "a table with |"}
BAD_RECORD = "a record of"  # a malformed record becomes a JSON string that begins so

_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Lines(io.RawIOBase):
    """A readable stream of JSON lines; `stored` is the file on disk, for the progress bar."""

    def __init__(self, lines: Iterator[bytes], stream: BinaryIO):
        self.stored = getattr(stream, "stored", stream)
        self._pieces, self._rest, self._offset = _joined(lines), b"", 0

    def tell(self) -> int:
        """Return the number of bytes that were read."""
        return self._offset

    def read1(self, size: int = PIECE) -> bytes:
        """Return the next bytes, at most `size`; b"" at the end. Raises the error of a damaged file where it is damaged."""
        piece = self._rest or next(self._pieces, b"")
        data, self._rest = piece[:size], piece[size:]
        self._offset += len(data)
        return data


def _joined(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Join lines to pieces; those before an error are yielded before it is raised."""
    piece = bytearray()
    try:
        for line in lines:
            piece += line
            if len(piece) >= PIECE:
                yield bytes(piece)
                piece.clear()
    except Exception:
        if piece:
            yield bytes(piece)
        raise
    if piece:
        yield bytes(piece)


# ------------------------------------------------------------------------------------------------------ JSON array


class _Text:
    """A stream without byte order mark whose `read` returns what is available, so that rows before damage are not lost."""

    def __init__(self, stream: BinaryIO):
        self._stream, self._at_start = stream, True

    def read(self, size: int) -> bytes:
        data = self._stream.read1(size)  # type: ignore[attr-defined]
        if self._at_start and data:  # ijson reads 0 bytes first
            data, self._at_start = data.removeprefix(codecs.BOM_UTF8), False
        return data


def array_lines(stream: BinaryIO) -> BinaryIO:
    """Convert one JSON array to a line for each element."""
    return cast(BinaryIO, Lines(_array_lines(stream), stream))


def _array_lines(stream: BinaryIO) -> Iterator[bytes]:
    import ijson

    try:
        for element in ijson.items(_Text(stream), "item"):
            yield json_line(element)
    except ijson.JSONError as error:
        reason = str(error).partition("\n")[0].strip()
        raise EOFError(f"the JSON array cannot be read any further: {reason}") from None


def json_line(value: Any) -> bytes:
    """Return a value as one line; a value that JSON lines cannot hold becomes a line that the reader counts as malformed."""
    try:
        return _ENCODER.encode(value) + b"\n"
    except (msgspec.EncodeError, OverflowError, ValueError, TypeError) as error:
        return _bad_record(str(error))


def _bad_record(why: str) -> bytes:
    return _ENCODER.encode(f"{BAD_RECORD} {why}") + b"\n"


# ------------------------------------------------------------------------------------------------------------ CSV


class Table(NamedTuple):
    """The format of a table in text.

    Attributes:
        delimiter: between columns.
        names: of the columns, from the first record.
    """

    delimiter: str
    names: list[str]


def table_format(text: str) -> Table | None:
    """Recognize CSV or TSV by its first records: two with equally many columns, or a header with our column names.

    Args:
        text: the beginning of the file.
    """
    for delimiter in DELIMITERS:
        records = csv.reader(io.StringIO(text[:HEAD_CHARS]), delimiter=delimiter)
        try:
            names = [name.strip() for name in next(records)]
            second = next(records, None)
        except (csv.Error, StopIteration):
            continue
        if len(names) < 2 or second is None or max(map(len, names)) >= LONGEST_NAME:
            continue
        known = {name.lower() for name in names} & {"title", "content", "description", "uid"}
        if known or len(names) == len(second):
            return Table(delimiter, names)
    return None


def table_lines(stream: BinaryIO) -> BinaryIO:
    """Convert a CSV or TSV file with a header to a line for each record."""
    return cast(BinaryIO, Lines(_table_lines(stream), stream))


def _table_lines(stream: BinaryIO) -> Iterator[bytes]:
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        head, damage = _head(text)
        table = table_format("".join(head))
        if table is not None:
            records = csv.reader(_lines(head, damage, text), delimiter=table.delimiter, strict=True)
            next(records)
            yield from _record_lines(table.names, records)
    finally:
        text.detach()  # otherwise the wrapper closes the file, which belongs to the caller


def _record_lines(names: list[str], records: Iterator[list[str]]) -> Iterator[bytes]:
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):  # the file ends within quotes
                yield UNTERMINATED
                return
            yield _bad_record(f"the table that cannot be read ({error})")
            continue
        if record:
            yield _record_line(names, record)


def _head(text: io.TextIOBase) -> tuple[list[str], Exception | None]:
    """Read the first lines, at most HEAD_CHARS characters and one line; also return the error that ended them, if any."""
    lines: list[str] = []
    count = 0
    try:
        while count < HEAD_CHARS and (line := text.readline()):
            lines.append(line)
            count += len(line)
    except Exception as error:
        if not is_damage(error):
            raise
        return lines, error
    return lines, None


def _lines(head: list[str], damage: Exception | None, text: io.TextIOBase) -> Iterator[str]:
    yield from head
    if damage:
        raise damage
    yield from text


def _record_line(names: list[str], record: list[str]) -> bytes:
    while len(record) > len(names) and not record[-1]:  # spreadsheets pad records with empty cells
        record.pop()
    if len(record) != len(names):
        return _bad_record(f"{len(record)} instead of {len(names)} columns")
    try:
        return _ENCODER.encode(dict(zip(names, record, strict=True))) + b"\n"
    except UnicodeEncodeError:  # the reader counts the line as bad UTF-8
        raw = "".join(record).encode("utf-8", "surrogateescape")
        return b'"' + raw.replace(b"\n", b" ").replace(b'"', b" ") + b'"\n'


# -------------------------------------------------------------------------------------------------------- Parquet


def parquet_lines(stream: BinaryIO) -> BinaryIO:
    """Convert a Parquet file to a line for each row, with the columns that hold texts, numbers, dates or truth values."""
    return cast(BinaryIO, Lines(_parquet_lines(stream), stream))


def _parquet_lines(stream: BinaryIO) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    with tempfile.TemporaryFile() as unpacked:
        if type(stream) is not io.BufferedReader:  # Parquet begins at its end, so a packed file is unpacked first
            shutil.copyfileobj(stream, unpacked)
            stream = cast(BinaryIO, unpacked)
        try:
            file = parquet.ParquetFile(stream)
            names = [field.name for field in file.schema_arrow if _is_plain(field.type)]
            for batch in file.iter_batches(BATCH, columns=names):
                yield from map(json_line, batch.to_pylist())
        except pyarrow.ArrowInvalid as error:
            reason = " ".join(str(error).split())[:100]
            raise DataError(f"a Parquet file that is damaged or stops in the middle ({reason}): {AGAIN}") from None


def _is_plain(kind) -> bool:
    """Return whether values of an Arrow type become one JSON value that is no list and no object."""
    from pyarrow import types

    return not (types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind)) or types.is_null(kind)
