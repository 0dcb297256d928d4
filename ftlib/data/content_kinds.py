"""Recognize the kind of a file's content by its first bytes; each kind has a reader or advice."""

from __future__ import annotations

import ast
import codecs
import contextlib
import functools
import html
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

from ftlib.data import conversion
from ftlib.data.archives import AGAIN, ONE_A_LINE, WITH_PANDAS

NEEDED = ("title", "content")  # a JSON object with one of them is a row, whatever else it looks like


@dataclass(frozen=True)
class Head:
    """The first bytes of the unpacked content; `whole` is True if there are no more."""

    data: bytes
    whole: bool

    @functools.cached_property
    def start(self) -> bytes:
        """The bytes without a byte order mark and leading white space."""
        return self.data.removeprefix(codecs.BOM_UTF8).lstrip()

    @functools.cached_property
    def text(self) -> str:
        """`start` decoded as UTF-8, with replacement characters."""
        return self.start.decode("utf-8", errors="replace")

    @functools.cached_property
    def lines(self) -> list[bytes]:
        """The complete lines that are not blank."""
        lines = self.data.removeprefix(codecs.BOM_UTF8).split(b"\n")
        return [line for line in (lines if self.whole else lines[:-1]) if line.strip()]

    @functools.cached_property
    def objects(self) -> list[dict[str, msgspec.Raw]]:
        """The lines that are JSON objects, with undecoded values."""
        return [fields for line in self.lines if (fields := _object(line)) is not None]

    @functools.cached_property
    def one_value(self) -> bool:
        """True if the whole file may be one JSON value: no line, or the only one, is an object."""
        rows = sum(map(_is_object, self.lines))
        titled = any(bytes(row.get("title", b"")).startswith(b'"') for row in self.objects)
        return not titled and (not rows or len(self.lines) == 1)


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])  # as in the reader, values are not decoded


class _Anything(msgspec.Struct):
    """Any JSON object, its fields not decoded: the reader counts it as a row or as wrong types."""


_ANYTHING = msgspec.json.Decoder(_Anything)


def _is_object(line: bytes) -> bool:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _ANYTHING.decode(line) is not None
    return False


def _object(line: bytes) -> dict[str, msgspec.Raw] | None:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _OBJECT.decode(line)
    return None


@dataclass(frozen=True)
class Kind:
    """A kind of content.

    Attributes:
        name: of the kind.
        describe: returns what the user's file is if a head is of this kind, with advice if it cannot be read; else None.
        read: converts the unpacked stream to a stream of JSON lines; None rejects the kind with its sentence.
    """

    name: str
    describe: Callable[[Head], str | None]
    read: Callable[[BinaryIO], BinaryIO] | None = None


def _json_lines(head: Head) -> str | None:
    return "JSON Lines" if any(map(_is_object, head.lines)) else None


def _array(head: Head) -> str | None:
    return "one JSON array of objects" if re.match(rb"\[\s*[{\]]", head.start) else None


def _array_of_values(head: Head) -> str | None:
    if not head.start.startswith(b"["):
        return None
    return 'one JSON array whose elements are no objects; each must be a row with names, {"title": ..., "content": ...}'


def _parquet(head: Head) -> str | None:
    return "a Parquet file" if head.data.startswith(b"PAR1") else None


def _service_error(head: Head) -> str | None:
    """Recognize a JSON error message of a download service, saved as the file."""
    error = re.match(r'\{\s*"(error|errors|message|detail|status)"\s*:', head.text)
    if not error or not head.whole or not head.one_value or any(name in row for row in head.objects for name in NEEDED):
        return None
    message = re.search(r'"(message|detail|error)"\s*:\s*"([^"]*)"', head.text)
    quoted = f' ("{message[2][:100]}")' if message else ""
    return f"an error message of the download service{quoted} and no data: {AGAIN}"


def _columns(head: Head) -> str | None:
    """Recognize pandas.DataFrame.to_json without lines=True, in all layouts except `records`."""
    columns = re.match(r'\{\s*("\d+"\s*:\s*\{|"[^"]*"\s*:\s*\{\s*"\d+"|"(uid|title|content)"\s*:\s*\{)', head.text)
    table = re.match(r'\{\s*"(schema"\s*:\s*\{|(columns|data|index)"\s*:\s*\[\s*["\[\d])', head.text)
    if not (columns or table) or not head.one_value:
        return None
    layout = "split" if re.match(r'\{\s*"(columns|index)"\s*:\s*\[', head.text) else "columns"
    layout = "table" if re.match(r'\{\s*"schema"\s*:', head.text) else layout
    layout = "index" if re.match(r'\{\s*"\d+"\s*:\s*\{', head.text) else layout
    how = WITH_PANDAS.format(read=f"pandas.read_json(PATH, dtype=False, orient='{layout}')")
    return f"one JSON object in a column layout, as pandas writes it; {how}"


def _wrapped(head: Head) -> str | None:
    """Recognize rows under one key: {"data": [{...}, ...]}."""
    wrapper = re.match(r'\{\s*"([^"]*)"\s*:\s*\[\s*\{', head.text)
    if not wrapper or not head.one_value or any(name in row for row in head.objects for name in NEEDED):
        return None
    how = f"convert it with jq -c '.[\"{wrapper[1]}\"][]' FILE > rows.jsonl"
    return f"one JSON object with the rows under {wrapper[1]!r}; {ONE_A_LINE}: {how}"


def _utf16(head: Head) -> str | None:
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
    zeros = head.data[:2000].count(0)
    if not head.data.startswith(marks) and not (zeros > len(head.data[:2000]) // 4 and b"{\0" in head.data[:2000]):
        return None
    return (
        "text in UTF-16 (PowerShell's > writes it); ftlib reads UTF-8: convert it with "
        "`iconv -f UTF-16 -t UTF-8 FILE > rows.jsonl`, or save it as UTF-8 in an editor"
    )


def _web_page(head: Head) -> str | None:
    if not re.match(r"<(!doctype html|html|head|body|meta|script)\b", head.text, re.IGNORECASE):
        return None
    title = re.search(r"<title[^>]*>(.*?)</title>", head.text, re.IGNORECASE | re.DOTALL)
    quoted = f" ({_quoted(html.unescape(' '.join(title[1].split())))})" if title else ""
    return f"a web page (HTML){quoted} and no data: the download service answered with it; open the link in a browser and {AGAIN}"


def _xml(head: Head) -> str | None:
    if not head.start.startswith((b"<?xml", b"<Error>")):
        return None
    return f"XML and no JSON (it begins with {_quoted(head.text)}); an error message of a file store looks like this: {AGAIN}"


def _pointer(head: Head) -> str | None:
    if head.start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer and not the data: run `git lfs pull` in that repository, or download the file itself"
    if head.start.startswith((b"/annex/objects/", b"../.git/annex/")):
        return "a git-annex pointer and not the data: run `git annex get FILE` in that repository"
    return None


BINARY = {
    b"ARROW1": f"an Arrow file; {WITH_PANDAS.format(read='pandas.read_feather(PATH)')}",
    b"SQLite format 3": f"an SQLite database; {ONE_A_LINE}: export the table",
    b"\x89HDF": f"an HDF5 file; {WITH_PANDAS.format(read='pandas.read_hdf(PATH)')}",
    b"\xd0\xcf\x11\xe0": f"an old Excel or Word file; {WITH_PANDAS.format(read='pandas.read_excel(PATH, dtype=str)')}",
    b"%PDF": f"a PDF; {ONE_A_LINE}",
    b"\x80\x04\x95": f"a Python pickle, which ftlib never opens because it can run code; {ONE_A_LINE}",
    b"\x80\x05\x95": f"a Python pickle, which ftlib never opens because it can run code; {ONE_A_LINE}",
    b"\x00\x05\x16\x07": "a file that macOS keeps beside the data (its name begins with ._): give the file without ._",
}


def _binary(head: Head) -> str | None:
    for magic, sentence in BINARY.items():
        if head.data.startswith(magic):
            return sentence
    first = head.data[:1000]
    if first and not first.strip(b"\0"):
        return f"zero bytes only, so the download did not finish: {AGAIN}"
    control = sum(byte < 9 or 13 < byte < 32 for byte in first)
    if head.lines and control > len(first) // 10:
        return f"a binary file of an unknown kind; {ONE_A_LINE}"
    return None


def _python_dicts(head: Head) -> str | None:
    for line in head.lines[:3]:
        with (
            contextlib.suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # of invalid escapes
            if line.lstrip().startswith(b"{") and isinstance(ast.literal_eval(line.decode("utf-8").strip()), dict):
                return (
                    'Python dicts (single quotes, None, True) and no JSON: convert it with python -c "import ast, json, sys; '
                    "[print(json.dumps(ast.literal_eval(line))) for line in open(sys.argv[1], encoding='utf-8')]\" "
                    "FILE > rows.jsonl"
                )
    return None


def _nan(head: Head) -> str | None:
    if any(has_nan(line) for line in head.lines[:3]):
        how = WITH_PANDAS.format(read="pandas.read_json(PATH, lines=True, dtype=False)")
        return f"JSON with NaN or Infinity, which JSON does not allow (null is); {how}"
    return None


def has_nan(line: bytes) -> bool:
    """Return whether a line is invalid JSON only because of NaN or Infinity, which Python's json accepts."""
    if not re.search(rb"\b(NaN|Infinity)\b", line):
        return False
    with contextlib.suppress(ValueError, RecursionError):
        return isinstance(json.loads(line), dict)
    return False


def _over_lines(head: Head) -> str | None:
    if not head.start.startswith(b"{") or not head.lines:
        return None
    first = head.lines[0].strip()
    if first != b"{" and not re.match(rb'\{\s*"[^"]*"\s*:.*,$', first):
        return None
    end = _first_value(head.text)
    if end is None or b"\n" not in head.text[:end].encode():
        return None
    return f"JSON objects over several lines (written with indent); {ONE_A_LINE}: convert it with jq -c . FILE > rows.jsonl"


def _no_line_ends(head: Head) -> str | None:
    """Recognize {...}{...}, or {...}, {...}, or rows that end in a carriage return only."""
    if not head.start.startswith(b"{"):
        return None
    end = _first_value(head.text)
    if end is None or not re.match(r"[\s,]*\{", head.text[end:]) or re.match(r"[ \t\r]*\n", head.text[end:]):
        return None
    if re.match(r",\s*\n", head.text[end:]):
        return f"JSON objects with a comma after each; {ONE_A_LINE} and no comma: sed 's/,[[:space:]]*$//' FILE > rows.jsonl"
    return f"JSON objects without line breaks between them; {ONE_A_LINE}: convert it with jq -c . FILE > rows.jsonl"


def _first_value(text: str) -> int | None:
    """Return the offset after the first JSON value of a text, or None."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.JSONDecoder().raw_decode(text)[1]
    return None


def _table(head: Head) -> str | None:
    """Recognize CSV or TSV: two records with equally many columns, or a header with our field names."""
    if head.start[:1] in (b"{", b"<", b"") or b"\0" in head.data[:1000]:
        return None
    table = conversion.table_format(head.text)
    return table and conversion.DELIMITERS[table.delimiter]


def _text(head: Head) -> str | None:
    if not head.lines or any(line.lstrip().startswith((b"{", b'"')) for line in head.lines):
        return None
    return f"text and no JSON (it begins with {_quoted(head.text)}); {ONE_A_LINE}: {AGAIN}, or give another file"


def _quoted(text: str) -> str:
    """Quote the first 60 characters of a text, for a message."""
    return f'"{printable(text[:60]).strip()}"'


def printable(text: str) -> str:
    """Replace control characters and line ends, which could manipulate the terminal, by spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


# The first kind whose `describe` returns a sentence wins. Unrecognized content is read as JSON Lines with malformed lines.
KINDS = (
    Kind("array", _array, read=conversion.array_lines),
    Kind("array of values", _array_of_values),
    Kind("service error", _service_error),
    Kind("columns", _columns),
    Kind("wrapped", _wrapped),
    Kind("json lines", _json_lines, read=lambda stream: stream),
    Kind("utf-16", _utf16),
    Kind("pointer", _pointer),
    Kind("web page", _web_page),
    Kind("xml", _xml),
    Kind("parquet", _parquet, read=conversion.parquet_lines),
    Kind("binary", _binary),
    Kind("python", _python_dicts),
    Kind("nan", _nan),
    Kind("several lines", _over_lines),
    Kind("no line ends", _no_line_ends),
    Kind("table", _table, read=conversion.table_lines),
    Kind("text", _text),
)


JSON_LINES = next(kind for kind in KINDS if kind.name == "json lines")


def line_problem(line: bytes) -> str | None:
    """Return what is wrong with a malformed line; None if the parser's message is as good."""
    try:
        text = line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        return f"no UTF-8 ({error.reason}); if the file is in Latin-1, convert it with iconv -f LATIN1 -t UTF-8"
    if text.startswith(f'"{conversion.BAD_RECORD}'):
        return text.strip('"')
    if has_nan(line):
        return "NaN or Infinity, which JSON does not allow"
    if text.endswith("},") and _object(text[:-1].encode()) is not None:
        return "a comma after the object"
    if re.match(r"\{\s*'", text):
        return "single quotes, as in a Python dict"
    return None
