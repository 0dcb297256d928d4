"""Identify a data file by its first bytes, and open it as a stream of JSON lines or reject it.

`identify(path)` unwraps archives (zip, tar, gzip, bzip2, xz, also nested) and recognizes the kind of the content: JSON Lines,
an array, CSV, a web page, a Git LFS pointer and so on. File names are ignored, because browsers, Windows and download services
change them, and a web page named trn.json would be counted as malformed lines. A kind that can be read has a `read` function in
`KINDS`; all others have the sentence for the user. To add a reader, set `read` to a function from the unpacked stream to a
stream of JSON lines (see `conversion`).
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
from ftlib.data.columns import Columns, advice
from ftlib.data.content_kinds import JSON_LINES, KINDS, Head, Kind, printable
from ftlib.runtime.errors import DataError

HEAD = 2**20  # bytes of the content that decide its kind


PACKED_NAMES = (".gz", ".zip", ".bz2", ".xz", ".tgz", ".tar")


@dataclass(frozen=True)
class Identity:
    """The format of a file.

    Attributes:
        path: of the file.
        steps: (container, member) from the outermost to the innermost archive.
        kind: of the content.
        sentence: what the file is, for the user; with advice if it cannot be read.
        fields: names of the columns of the first rows.
    """

    path: Path
    steps: tuple[tuple[Container, str | None], ...]
    kind: Kind
    sentence: str
    fields: tuple[str, ...]

    @property
    def packed(self) -> bool:
        """True if the file can only be read from its start, without seeking."""
        return bool(self.steps) or self.kind is not JSON_LINES

    @property
    def members(self) -> list[str]:
        """The opened members, from the outermost to the innermost archive."""
        return [member for _, member in self.steps if member]


def identify(path: Path) -> Identity:
    """Identify a file by its content; cached by path, size and modification time.

    Raises:
        DataError: the file cannot be opened.
    """
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
    """Return the advice for a folder: the data file in it, if there is one."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and DATA_NAME.fullmatch(entry.name))
    name = next((name for name in names if TRAINING.fullmatch(name)), names[0] if names else None)
    if name:
        return f"give the file itself, {folder / name}"
    return "there is no data file in it; give the file itself with --data"


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
        return _identity(path, steps, head)
    except DataError as error:
        raise DataError(f"{path}: {printable(str(error))}") from None
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a complete zip file ({error}): {AGAIN}") from None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # zipfile and tarfile raise errors without a common class for a damaged header
        reason = printable(f"{type(error).__name__}: {error}")
        raise DataError(f"{path} cannot be unpacked ({reason}), so it is probably damaged: {AGAIN}") from None


def _unwrapped(path: Path, steps: tuple[tuple[Container, str | None], ...]) -> tuple[Container, str | None] | None:
    """Return the archive inside the opened ones and its member with the rows; None if there is none."""
    with opened(path, steps) as stream:
        head = _read_head(stream, 1024)
        container = next((c for c in CONTAINERS if c.matches(head.data) and _confirmed(c, head)), None)
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


def _confirmed(container: Container, head: Head) -> bool:
    """Return False for text that happens to start with bzip2's magic bytes."""
    return container.magic != (b"BZh",) or head.data[4:10] in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")


def _identity(path: Path, steps: list, head: Head) -> Identity:
    kind, sentence = next(
        ((kind, text) for kind in KINDS if (text := kind.describe(head)) is not None), (JSON_LINES, "JSON Lines")
    )
    if kind is not JSON_LINES and kind.read is not None:
        with opened(path, tuple(steps)) as stream:
            head = _read_head(kind.read(stream))
    fields = tuple(dict.fromkeys(name for row in head.objects for name in row))
    return Identity(path, tuple(steps), kind, sentence, fields)


def _read_head(stream: BinaryIO, size: int = HEAD) -> Head:
    """Read the first bytes of a stream; of a damaged one, those before the damage."""
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
    """Open the unpacked stream; its attribute `stored` is the file on disk, for the progress bar."""
    with contextlib.ExitStack() as stack:
        stored: BinaryIO = stack.enter_context(open(path, "rb"))
        stream = stored
        for container, member in steps:
            stream = stack.enter_context(container.open(stream, member))
            stream.stored = stored  # type: ignore[attr-defined]
        yield stream


def refuse(identity: Identity) -> None:
    """Raise DataError for a kind that cannot be read."""
    if identity.kind.read is None:
        member = f" ({identity.members[-1]})" if identity.members else ""
        misnamed = not identity.steps and identity.path.suffix.lower() in PACKED_NAMES
        note = " (not packed, whatever its name says)" if misnamed else ""
        raise DataError(f"{identity.path}{printable(f'{member} is {identity.sentence}{note}')}")


def check_fields(identity: Identity, columns: Columns) -> None:
    """Raise DataError, with the existing columns and the settings that map them, if the first rows lack a column."""
    missing = columns.missing(identity.fields) if identity.fields else []
    if missing:
        existing = printable(", ".join(identity.fields[:NAMED]) + (", ..." if len(identity.fields) > NAMED else ""))
        absent = " and ".join(f"data.columns.{column} = {getattr(columns, column)!r}" for column in missing)
        raise DataError(
            f"{identity.path}: its columns are {existing}; {absent} {'is' if len(missing) == 1 else 'are'} not among them: "
            f"use {printable(advice(missing, identity.fields))}"
        )
