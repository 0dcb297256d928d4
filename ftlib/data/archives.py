"""Open archives and compressed files as a stream, and choose the member with the rows."""

from __future__ import annotations

import gzip
import importlib
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

from ftlib.runtime.errors import DataError

DEEPEST = 4  # levels of nested archives


ZIP_END = 2**16 + 22  # maximum bytes of a zip file's end record with its comment


NAMED = 8  # members, fields or files that a message lists


ZIP_METHODS = {9: "Deflate64, which Windows Explorer uses above 2 GB", 93: "Zstandard", 95: "xz", 98: "PPMd", 99: "AES"}


ONE_A_LINE = "ftlib reads one JSON object a line"


# Advice for every table that pandas can read.
WITH_PANDAS = f"{ONE_A_LINE}: convert it with pandas, {{read}}.to_json('rows.jsonl', orient='records', lines=True)"


AGAIN = "download it again"


@dataclass(frozen=True)
class Container:
    """A format of archives or compressed files.

    Attributes:
        name: for messages.
        magic: possible first bytes, at `offset`.
        open: returns the unpacked stream of a member (None for a compressed file); None if Python cannot unpack the format.
        members: lists the members, for archives.
        offset: of the magic bytes.
        tool: command that unpacks the file, if Python cannot.
    """

    name: str
    magic: tuple[bytes, ...]
    open: Callable[[BinaryIO, str | None], BinaryIO] | None = None
    members: Callable[[BinaryIO], list[str]] | None = None
    offset: int = 0
    tool: str = ""

    def matches(self, head: bytes) -> bool:
        """Return whether the first bytes of a file have this format."""
        return any(head.startswith(magic, self.offset) for magic in self.magic)


def _zip_members(stream: BinaryIO) -> list[str]:
    stream.seek(0)
    first = stream.read(4)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - ZIP_END))
    tail = stream.read()
    record = tail.rfind(b"PK\x05\x06")  # offset of the end record; its signature is followed by the disk number
    if first == b"PK\x07\x08" or (record >= 0 and tail[record + 4 : record + 6] not in (b"\0\0", b"\xff\xff")):
        raise DataError("one part of a split zip file: join all parts first (zip -s 0 PART --out ALL.zip)")
    return [info.filename for info in zipfile.ZipFile(stream).infolist() if not info.is_dir()]


def _open_in_zip(stream: BinaryIO, member: str | None) -> BinaryIO:
    archive = zipfile.ZipFile(stream)
    info = archive.getinfo(member)
    by_hand = "unpack it by hand and give the file inside with --data"
    if info.flag_bits & 1:
        raise DataError(f"{member} in this zip file is locked with a password: {by_hand}")
    try:
        return cast(BinaryIO, archive.open(info))
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
        if not names:  # the members before the damage are used; the reader checks the end of their stream
            raise DataError(f"a tar archive that stops in the middle ({error}): {AGAIN}") from None
    return names


def _open_in_tar(stream: BinaryIO, member: str | None) -> BinaryIO:
    archive = tarfile.open(fileobj=stream, mode="r|")  # a stream, because the archive may be compressed
    info = next(info for info in archive if info.name == member)
    return cast(BinaryIO, archive.extractfile(info))


def _open_with(module: str, name: str) -> Callable[[BinaryIO, str | None], BinaryIO]:
    """Return an opener from a standard-library module that some Python builds lack."""

    def open_stream(stream: BinaryIO, _: str | None) -> BinaryIO:
        try:
            return getattr(importlib.import_module(module), name)(stream)
        except ImportError:
            raise DataError(
                f"this Python was built without {module}: unpack the file by hand and give the result"
            ) from None

    return open_stream


CONTAINERS = (
    Container(
        "a gzip file", (b"\x1f\x8b",), lambda stream, _: cast(BinaryIO, gzip.GzipFile(fileobj=stream, mode="rb"))
    ),
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


OTHER_SPLITS = re.compile(r"(tst|test|lbl|label)", re.IGNORECASE)


DATA_NAME = re.compile(r".*\.(json|jsonl|ndjson|csv|tsv|parquet|txt)(\.(gz|bz2|xz|zip))?|.*\.zip", re.IGNORECASE)


def base_name(member: str) -> str:
    """Return a member's file name; some Windows programs separate folders with backslashes."""
    return re.split(r"[/\\]", member)[-1]


def choose_member(names: list[str], what: str) -> str:
    """Choose the member with the rows: trn.json[.gz], else the only data file.

    Args:
        names: of all members.
        what: name of the archive's format, for messages.

    Raises:
        DataError: no data file, or several; the message lists the members.
    """
    visible = [
        name
        for name in names
        if not base_name(name).startswith(".") and not re.split(r"[/\\]", name)[0] == "__MACOSX"  # metadata of macOS
    ]
    training = [name for name in visible if TRAINING.fullmatch(base_name(name))]
    other = [n for n in visible if DATA_NAME.fullmatch(base_name(n)) and not OTHER_SPLITS.match(base_name(n))]
    shown = ", ".join(visible[:NAMED]) + (", ..." if len(visible) > NAMED else "")
    if training:
        return min(training, key=lambda name: (base_name(name).lower() not in ("trn.json.gz", "trn.json"), len(name)))
    if len(other) == 1:
        return other[0]
    if other:
        raise DataError(
            f"{what} holds several data files and none is trn.json: unpack it and give one with --data ({shown})"
        )
    if "xl/workbook.xml" in visible:
        raise DataError(f"an Excel workbook: {WITH_PANDAS.format(read='pandas.read_excel(PATH, dtype=str)')}")
    raise DataError(
        f"{what} holds no trn.json.gz; it holds {shown or 'nothing'}: give the file with the rows with --data"
    )


def is_damage(error: Exception) -> bool:
    """Return whether an error means a damaged or incomplete packed stream, not a disk error."""
    damage = (EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError)
    without_errno = (
        isinstance(error, OSError) and error.errno is None
    )  # raised by gzip and bzip2; disk errors have an errno
    return isinstance(error, damage) or without_errno or type(error).__name__ == "LZMAError"
