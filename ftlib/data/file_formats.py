"""Identify what a data file is by its first bytes, open it as a stream of lines, or say what to do with it.

What: `identify(path)` unwraps archives (zip, tar, gzip, bzip2, xz, nested ones too) and names the kind of the content: JSON
Lines, CSV, a web page, a Git LFS pointer and so on. Why by content: browsers, Windows and download services rename files, so a
suffix proves nothing, and a file that is not what its name says would be counted as a million malformed lines.
How: a kind that can be read has a `read` function in `KINDS`; all others have the sentence that a user gets. To add a reader, set
`read` to a function from the unpacked stream to a stream of JSON lines.
"""

from __future__ import annotations

import contextlib
import functools
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ftlib.data.archives import (
    AGAIN,
    CONTAINERS,
    DATA_NAME,
    DEEPEST,
    NAMED,
    TRAINING,
    Container,
    choose_member,
    is_damage,
)
from ftlib.data.content_kinds import JSON_LINES, KINDS, NEEDED, Head, Kind, _printable
from ftlib.runtime.errors import DataError

HEAD = 2**20  # bytes of the content by which its kind is decided


# Archives and compressed files


PACKED_NAMES = (".gz", ".zip", ".bz2", ".xz", ".tgz", ".tar")


# Kinds of content


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
        while len(data) < size and (piece := stream.read1(size - len(data))):  # type: ignore[attr-defined]
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
        stored: BinaryIO = stack.enter_context(open(path, "rb"))
        stream = stored
        for container, member in steps:
            stream = stack.enter_context(container.open(stream, member))
            stream.stored = stored  # type: ignore[attr-defined]
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
