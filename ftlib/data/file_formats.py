"""Identify what a data file is by its first bytes, open it as a stream of lines, or say what to do with it.

What: `identify(path)` unwraps archives (zip, tar, gzip, bzip2, xz, nested ones too) and names the kind of the content: JSON
Lines, CSV, a web page, a Git LFS pointer and so on. Why by content: browsers, Windows and download services rename files, so a
suffix proves nothing, and a file that is not what its name says would be counted as a million malformed lines.
How: a kind that can be read has a `read` function in `KINDS`; all others have the sentence that a user gets. To add a reader, set
`read` to a function from the unpacked stream to a stream of JSON lines.
"""

from __future__ import annotations

import ast
import codecs
import contextlib
import csv
import functools
import gzip
import html
import importlib
import io
import json
import re
import stat
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from ftlib.runtime.errors import DataError

HEAD = 2**20  # bytes of the content by which its kind is decided
DEEPEST = 4  # archives within archives
ZIP_END = 2**16 + 22  # bytes in which the last record of a zip file lies, with its comment
NAMED = 8  # members, fields or files that a message names
NEEDED = ("title", "content")
ZIP_METHODS = {9: "Deflate64, which Windows Explorer uses above 2 GB", 93: "Zstandard", 95: "xz", 98: "PPMd", 99: "AES"}
ONE_A_LINE = "ftlib reads one JSON object a line"
# Works for every table that pandas can read, and writes what ftlib reads.
WITH_PANDAS = f"{ONE_A_LINE}: convert it with pandas, {{read}}.to_json('rows.jsonl', orient='records', lines=True)"
AGAIN = "download it again"


# Archives and compressed files


@dataclass(frozen=True)
class Container:
    """A packed file: how it is recognized and opened.

    members: names inside, for archives. open: the unpacked stream of a member (None for a compressed file), if Python has it.
    tool: the command that unpacks it by hand.
    """

    name: str
    magic: tuple[bytes, ...]
    open: Callable[[BinaryIO, str | None], BinaryIO] | None = None
    members: Callable[[BinaryIO], list[str]] | None = None
    offset: int = 0
    tool: str = ""

    def matches(self, head: bytes) -> bool:
        return any(head.startswith(magic, self.offset) for magic in self.magic)


def _zip_members(stream: BinaryIO) -> list[str]:
    stream.seek(0)
    first = stream.read(4)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - ZIP_END))
    end = stream.read()
    place = end.rfind(b"PK\x05\x06")  # the end record; after its mark comes the number of this disk
    if first == b"PK\x07\x08" or (place >= 0 and end[place + 4 : place + 6] not in (b"\0\0", b"\xff\xff")):
        raise DataError("one part of a split zip file: join all parts first (zip -s 0 PART --out ALL.zip)")
    return [info.filename for info in zipfile.ZipFile(stream).infolist() if not info.is_dir()]


def _open_in_zip(stream: BinaryIO, member: str | None) -> BinaryIO:
    archive = zipfile.ZipFile(stream)
    info = archive.getinfo(member)
    by_hand = "unpack it by hand and give the file inside with --data"
    if info.flag_bits & 1:
        raise DataError(f"{member} in this zip file is locked with a password: {by_hand}")
    try:
        return archive.open(info)
    except (NotImplementedError, RuntimeError) as error:
        method = ZIP_METHODS.get(info.compress_type, f"method {info.compress_type}")
        raise DataError(
            f"{member} in this zip file is packed in a way that Python cannot unpack ({method}; {error}): {by_hand}"
        ) from None


def _tar_members(stream: BinaryIO) -> list[str]:
    names: list[str] = []
    try:
        for info in tarfile.open(fileobj=stream, mode="r|"):
            names += [info.name] if info.isfile() else []
    except (tarfile.TarError, EOFError, zlib.error) as error:
        if not names:  # of half an archive what is there will do; the end of its stream is checked later
            raise DataError(f"a tar archive that stops in the middle ({error}): {AGAIN}") from None
    return names


def _open_in_tar(stream: BinaryIO, member: str | None) -> BinaryIO:
    archive = tarfile.open(fileobj=stream, mode="r|")  # a stream, because the archive may be compressed
    info = next(info for info in archive if info.name == member)
    return archive.extractfile(info)


def _open_with(module: str, name: str) -> Callable[[BinaryIO, str | None], BinaryIO]:
    """The opener of a module of the standard library that a Python built without its C library lacks."""

    def open_stream(stream: BinaryIO, _: str | None) -> BinaryIO:
        try:
            return getattr(importlib.import_module(module), name)(stream)
        except ImportError:
            raise DataError(
                f"this Python was built without {module}: unpack the file by hand and give the result"
            ) from None

    return open_stream


CONTAINERS = (
    Container("a gzip file", (b"\x1f\x8b",), lambda stream, _: gzip.GzipFile(fileobj=stream, mode="rb")),
    Container("a zip file", (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"), _open_in_zip, _zip_members),
    Container("a tar archive", (b"ustar",), _open_in_tar, _tar_members, offset=257),
    Container("a bzip2 file", (b"BZh",), _open_with("bz2", "BZ2File")),
    Container("an xz file", (b"\xfd7zXZ\x00",), _open_with("lzma", "LZMAFile")),
    Container("a 7z archive", (b"7z\xbc\xaf\x27\x1c",), tool="7z x {name}, or 7-Zip on Windows"),
    Container("a RAR archive", (b"Rar!\x1a\x07",), tool="unrar x {name}, or 7-Zip on Windows"),
    Container("a Zstandard file", (b"\x28\xb5\x2f\xfd",), tool="zstd -d {name}"),
    Container("an LZ4 file", (b"\x04\x22\x4d\x18",), tool="lz4 -d {name}"),
    Container("a compress (.Z) file", (b"\x1f\x9d",), tool="gzip -d {name}"),
)

TRAINING = re.compile(r"trn.*\.(jsonl?|ndjson)(\.(gz|bz2|xz|zip))?", re.IGNORECASE)
PACKED_NAMES = (".gz", ".zip", ".bz2", ".xz", ".tgz", ".tar")
OTHER_SPLITS = re.compile(r"(tst|test|lbl|label)", re.IGNORECASE)
DATA_NAME = re.compile(r".*\.(json|jsonl|ndjson|csv|tsv|parquet|txt)(\.(gz|bz2|xz|zip))?|.*\.zip", re.IGNORECASE)


def base_name(member: str) -> str:
    """A member's file name; some Windows programs separate folders with backslashes."""
    return re.split(r"[/\\]", member)[-1]


def choose_member(names: list[str], what: str) -> str:
    """The member that holds the rows: trn.json[.gz], else the only data file. Raises DataError with what there is."""
    own = [
        name
        for name in names
        if not base_name(name).startswith(".") and not re.split(r"[/\\]", name)[0] == "__MACOSX"  # macOS' own files
    ]
    training = [name for name in own if TRAINING.fullmatch(base_name(name))]
    other = [name for name in own if DATA_NAME.fullmatch(base_name(name)) and not OTHER_SPLITS.match(base_name(name))]
    shown = ", ".join(own[:NAMED]) + (", ..." if len(own) > NAMED else "")
    if training:
        return min(training, key=lambda name: (base_name(name).lower() not in ("trn.json.gz", "trn.json"), len(name)))
    if len(other) == 1:
        return other[0]
    if other:
        raise DataError(
            f"{what} holds several data files and none is trn.json: unpack it and give one with --data ({shown})"
        )
    if "xl/workbook.xml" in own:
        raise DataError(f"an Excel workbook: {WITH_PANDAS.format(read='pandas.read_excel(PATH, dtype=str)')}")
    raise DataError(
        f"{what} holds no trn.json.gz; it holds {shown or 'nothing'}: give the file with the rows with --data"
    )


def is_damage(error: Exception) -> bool:
    """True if a packed stream is damaged or incomplete; a failing disk has an errno."""
    known = (EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError)
    nameless = isinstance(error, OSError) and error.errno is None  # of gzip and bzip2
    return isinstance(error, known) or nameless or type(error).__name__ == "LZMAError"


# Kinds of content


@dataclass(frozen=True)
class Head:
    """The first bytes of the unpacked content. whole: they are all of it."""

    data: bytes
    whole: bool

    @functools.cached_property
    def start(self) -> bytes:
        """Without a byte order mark and leading white space."""
        return self.data.removeprefix(codecs.BOM_UTF8).lstrip()

    @functools.cached_property
    def text(self) -> str:
        return self.start.decode("utf-8", errors="replace")

    @functools.cached_property
    def lines(self) -> list[bytes]:
        """Complete lines that are not blank."""
        lines = self.data.removeprefix(codecs.BOM_UTF8).split(b"\n")
        return [line for line in (lines if self.whole else lines[:-1]) if line.strip()]

    @functools.cached_property
    def objects(self) -> list[dict[str, msgspec.Raw]]:
        """Lines that are JSON objects, with their values as they stand."""
        return [found for line in self.lines if (found := _object(line)) is not None]

    @functools.cached_property
    def one_value(self) -> bool:
        """True if this can be one JSON value over the whole file: no line, or the only one, is an object."""
        rows = sum(map(_is_object, self.lines))
        titled = any(bytes(row.get("title", b"")).startswith(b'"') for row in self.objects)
        return not titled and (not rows or len(self.lines) == 1)


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])  # as the reader: fields that are not needed are not decoded


class _Anything(msgspec.Struct):
    """An object of which no field is looked at: what the reader can at least count as a row or as one of wrong types."""


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
    """A kind of content. describe: a sentence if the head is of this kind, else None.

    read: the unpacked stream as a stream of JSON lines; None: this kind is refused with its sentence.
    """

    name: str
    describe: Callable[[Head], str | None]
    read: Callable[[BinaryIO], BinaryIO] | None = None


def _json_lines(head: Head) -> str | None:
    return ONE_A_LINE if any(map(_is_object, head.lines)) else None


def _array(head: Head) -> str | None:
    if not head.start.startswith(b"["):
        return None
    return f"one JSON array; {WITH_PANDAS.format(read='pandas.read_json(PATH, dtype=False)')}"


def _service_error(head: Head) -> str | None:
    """An answer of a download service in JSON, in place of the file."""
    answer = re.match(r'\{\s*"(error|errors|message|detail|status)"\s*:', head.text)
    if (
        not answer
        or not head.whole
        or not head.one_value
        or any(name in row for row in head.objects for name in NEEDED)
    ):
        return None
    said = re.search(r'"(message|detail|error)"\s*:\s*"([^"]*)"', head.text)
    named = f' ("{said[2][:100]}")' if said else ""
    return f"an error message of the download service{named} and no data: {AGAIN}"


def _columns(head: Head) -> str | None:
    """pandas.DataFrame.to_json without lines=True, in each of its layouts but `records`."""
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
    """{"data": [{...}, ...]}: the rows under one key."""
    found = re.match(r'\{\s*"([^"]*)"\s*:\s*\[\s*\{', head.text)
    if not found or not head.one_value or any(name in row for row in head.objects for name in NEEDED):
        return None
    how = f"convert it with jq -c '.[\"{found[1]}\"][]' FILE > rows.jsonl"
    return f"one JSON object with the rows under {found[1]!r}; {ONE_A_LINE}: {how}"


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
    named = f" ({_quoted(html.unescape(' '.join(title[1].split())))})" if title else ""
    return f"a web page (HTML){named} and no data: the download service answered with it; open the link in a browser and {AGAIN}"


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
    b"PAR1": f"a Parquet file; {WITH_PANDAS.format(read='pandas.read_parquet(PATH)')}",
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
        return f"a binary file of a kind that ftlib does not know; {ONE_A_LINE}"
    return None


def _python_dicts(head: Head) -> str | None:
    for line in head.lines[:3]:
        with (
            contextlib.suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # of escapes that Python does not know
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
    """True if only NaN or Infinity makes this line no JSON; Python's own json writes and reads them."""
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
    """{...}{...}, or {...}, {...}, or rows that end in a carriage return alone."""
    if not head.start.startswith(b"{"):
        return None
    end = _first_value(head.text)
    if end is None or not re.match(r"[\s,]*\{", head.text[end:]) or re.match(r"[ \t\r]*\n", head.text[end:]):
        return None
    if re.match(r",\s*\n", head.text[end:]):
        return f"JSON objects with a comma after each; {ONE_A_LINE} and no comma: sed 's/,[[:space:]]*$//' FILE > rows.jsonl"
    return f"JSON objects without line breaks between them; {ONE_A_LINE}: convert it with jq -c . FILE > rows.jsonl"


def _first_value(text: str) -> int | None:
    """Where the first JSON value of a text ends."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.JSONDecoder().raw_decode(text)[1]
    return None


def _table(head: Head) -> str | None:
    """CSV or TSV: the first two records have the same number of columns, or the first one names ours."""
    if head.start[:1] in (b"{", b"<", b"") or b"\0" in head.data[:1000]:
        return None
    for delimiter, name in ((",", "CSV"), ("\t", "TSV"), (";", "CSV with semicolons"), ("|", "a table with |")):
        with contextlib.suppress(csv.Error, StopIteration):
            records = csv.reader(io.StringIO(head.text[:100_000]), delimiter=delimiter)
            columns, second = next(records), next(records)
            named = {column.strip().lower() for column in columns} & {"title", "content", "description", "uid"}
            if len(columns) > 1 and (named or len(columns) == len(second)) and max(map(len, columns)) < 60:
                how = f"pandas.read_csv(PATH, dtype=str{'' if delimiter == ',' else f', sep={delimiter!r}'})"
                shown = ", ".join(column.strip() for column in columns[:NAMED])
                return f"{name} with the columns {shown}; {WITH_PANDAS.format(read=how)}"
    return None


def _text(head: Head) -> str | None:
    if not head.lines or any(line.lstrip().startswith((b"{", b'"')) for line in head.lines):
        return None
    return f"text and no JSON (it begins with {_quoted(head.text)}); {ONE_A_LINE}: {AGAIN}, or give another file"


def _quoted(text: str) -> str:
    """The first words of a text, for a message."""
    return f'"{_printable(text[:60]).strip()}"'


def _printable(text: str) -> str:
    """Names from a stranger's file on one line, without what would control the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


# The first whose `describe` returns a sentence is the file's kind. What none knows is read as JSON Lines and counted by line.
KINDS = (
    Kind("array", _array),
    Kind("service error", _service_error),
    Kind("columns", _columns),
    Kind("wrapped", _wrapped),
    Kind("json lines", _json_lines, read=lambda stream: stream),
    Kind("utf-16", _utf16),
    Kind("pointer", _pointer),
    Kind("web page", _web_page),
    Kind("xml", _xml),
    Kind("binary", _binary),
    Kind("python", _python_dicts),
    Kind("nan", _nan),
    Kind("several lines", _over_lines),
    Kind("no line ends", _no_line_ends),
    Kind("table", _table),
    Kind("text", _text),
)
JSON_LINES = next(kind for kind in KINDS if kind.name == "json lines")


@dataclass(frozen=True)
class Identity:
    """What a file is. steps: (container, member) from the outside in. sentence: for a kind that is not read, what to do."""

    path: Path
    steps: tuple[tuple[Container, str | None], ...]
    kind: Kind
    sentence: str
    fields: tuple[str, ...]  # names in the first rows, if these are JSON objects

    @property
    def packed(self) -> bool:
        """True if the rows can only be read from the beginning."""
        return bool(self.steps) or self.kind is not JSON_LINES

    @property
    def members(self) -> list[str]:
        return [member for _, member in self.steps if member]


def identify(path: Path) -> Identity:
    """What a file is, by its content; once for a file that stays as it is. Raises DataError if it cannot be opened at all."""
    try:
        state = path.stat()
        if stat.S_ISDIR(state.st_mode):
            raise DataError(f"{path} is a folder: {_in_folder(path)}")
        if not stat.S_ISREG(state.st_mode):
            raise DataError(
                f"{path} is no plain file (a pipe or device): it is read twice, so write it to a file first"
            )
        return _identify(path, state.st_size, state.st_mtime_ns)
    except DataError:
        raise
    except FileNotFoundError:
        if re.match(r"\w{2,}:/", str(path)):
            raise DataError(f"{path} is an address: download the file first and give its path with --data") from None
        raise DataError(
            f"{path} does not exist: give the path of trn.json (or .gz, .jsonl, the .zip) with --data, or --data sample"
        ) from None
    except PermissionError:
        raise DataError(
            f"{path} cannot be read (permission denied): allow it with `chmod u+r`, or copy the file to a folder of yours"
        ) from None
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in (None, *NO_NAME):
            raise DataError(f"{path}: no file can have this name ({error}); give another one with --data") from None
        raise


def _in_folder(folder: Path) -> str:
    """What to give in place of a folder: a file that is really in it."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and DATA_NAME.fullmatch(entry.name))
    first = next((name for name in names if TRAINING.fullmatch(name)), names[0] if names else None)
    return (
        f"give the file itself, {folder / first}"
        if first
        else "there is no data file in it; give the file itself with --data"
    )


NO_NAME = (22, 36, 40, 63)  # EINVAL, ENAMETOOLONG (Linux, macOS), ELOOP


@functools.lru_cache(maxsize=8)
def _identify(path: Path, size: int, changed: int) -> Identity:
    steps: list[tuple[Container, str | None]] = []
    try:
        while (step := _unwrapped(path, tuple(steps))) is not None:
            if len(steps) == DEEPEST:
                raise DataError("archives within archives within archives: unpack it by hand and give the file inside")
            steps.append(step)
        with opened(path, tuple(steps)) as stream:
            head = _read_head(stream)
    except DataError as error:
        raise DataError(f"{path}: {_printable(str(error))}") from None
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a whole zip file ({error}): {AGAIN}") from None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # what zipfile and tarfile raise for a damaged header has no common class
        what = _printable(f"{type(error).__name__}: {error}")
        raise DataError(f"{path} cannot be unpacked ({what}), so it is probably damaged: {AGAIN}") from None
    return _identity(path, steps, head)


def _unwrapped(path: Path, steps: tuple[tuple[Container, str | None], ...]) -> tuple[Container, str | None] | None:
    """The next archive inside the ones that are open already, and its member with the rows; None if there is none."""
    with opened(path, steps) as stream:
        head = _read_head(stream, 1024)
        container = next((each for each in CONTAINERS if each.matches(head.data) and _really(each, head)), None)
        if container is None:
            return None
        if container.open is None:
            tool = container.tool.format(name=path.name)
            raise DataError(
                f"{container.name}, which Python cannot unpack: unpack it by hand ({tool}) and give the file inside"
            )
        if not container.members:
            return container, None
        stream.seek(0)
        return container, choose_member(container.members(stream), container.name)


def _really(container: Container, head: Head) -> bool:
    """False for text that happens to begin like a bzip2 file."""
    return container.magic != (b"BZh",) or head.data[4:10] in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")


def _identity(path: Path, steps: list, head: Head) -> Identity:
    kind, sentence = next(
        ((each, found) for each in KINDS if (found := each.describe(head)) is not None), (JSON_LINES, "")
    )
    fields = tuple(dict.fromkeys(name for row in head.objects for name in row))
    return Identity(path, tuple(steps), kind, sentence, fields)


def _read_head(stream: BinaryIO, size: int = HEAD) -> Head:
    """The first bytes of a stream; of a damaged one what can be read."""
    data = bytearray()
    try:
        while len(data) < size and (piece := stream.read1(size - len(data))):
            data += piece
        return Head(bytes(data), whole=len(data) < size)
    except Exception as error:
        if not is_damage(error):
            raise
        return Head(bytes(data), whole=False)


@contextlib.contextmanager
def opened(path: Path, steps: tuple[tuple[Container, str | None], ...]) -> Iterator[BinaryIO]:
    """The unpacked stream. If it is packed, its attribute `stored` is the file on the disk, which shows the progress."""
    with contextlib.ExitStack() as stack:
        stored = stream = stack.enter_context(open(path, "rb"))
        for container, member in steps:
            stream = stack.enter_context(container.open(stream, member))
            stream.stored = stored
        yield stream


def refuse(identity: Identity) -> None:
    """Raise DataError for a kind that is not read."""
    if identity.kind.read is None:
        inside = f" ({identity.members[-1]})" if identity.members else ""
        claims = (
            ""
            if identity.steps or identity.path.suffix.lower() not in PACKED_NAMES
            else " (not packed, whatever its name says)"
        )
        raise DataError(f"{identity.path}{_printable(f'{inside} is {identity.sentence}{claims}')}")


def check_fields(identity: Identity) -> None:
    """Raise DataError, with the names that there are, if the first rows have no title or no content."""
    missing = [name for name in NEEDED if identity.fields and name not in identity.fields]
    if missing:
        there = _printable(", ".join(identity.fields[:NAMED]))
        verb = "is" if len(missing) == 1 else "are"
        raise DataError(
            f"{identity.path}: its rows have the fields {there}; {' and '.join(missing)} {verb} missing: "
            "rename them, with pandas: pandas.read_json(PATH, lines=True, dtype=False)"
            ".rename(columns={'OLD': 'title', 'OTHER': 'content'}).to_json('rows.jsonl', orient='records', lines=True)"
        )


def line_problem(line: bytes) -> str | None:
    """What is wrong with one malformed line, where that can be said better than by the parser."""
    try:
        text = line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        return f"no UTF-8 ({error.reason}); if the file is in Latin-1, convert it with iconv -f LATIN1 -t UTF-8"
    if has_nan(line):
        return "NaN or Infinity, which JSON does not allow"
    if text.endswith("},") and _object(text[:-1].encode()) is not None:
        return "a comma after the object"
    if re.match(r"\{\s*'", text):
        return "single quotes, as in a Python dict"
    return None
