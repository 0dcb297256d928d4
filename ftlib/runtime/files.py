"""Write files completely or not at all, fingerprint them, and find the folders that ftlib writes to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

from ftlib.runtime import hardware
from ftlib.runtime.errors import FtlibError

PIECE, READ = 2**26, 2**20  # bytes: of a piece of a large file, of one read


def repository() -> Path:
    """The root of the repository that ftlib lies in, else the current folder."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def runs_root() -> Path:
    """FTLIB_RUNS, else `runs/` in `repository()`."""
    if os.environ.get("FTLIB_RUNS"):
        return home_path(os.environ["FTLIB_RUNS"], "FTLIB_RUNS")
    return repository() / "runs"


def home_path(text: str, setting: str) -> Path:
    """The path with ~ replaced. Raises FtlibError where there is no home folder to replace it with."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise FtlibError(f"{setting} = {text}: the home folder of ~ is not known here; write the whole path") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name to write to, which becomes `path` at the end; after a failure nothing half-written is left.

    A reader sees the old file or the new one, never half of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, complete or not at all. Parts of file names that are no characters are written as JSON's escapes."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


class build_once:
    """`with build_once(folder) as partial:` yields None if `folder` exists, else an empty folder that becomes it at the end."""

    def __init__(self, folder: Path):
        self.folder, self.partial = folder, folder.with_name(folder.name + ".partial")
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(str(folder) + ".lock")

    def __enter__(self) -> Path | None:
        self.lock.acquire()
        if self.folder.exists():
            return None
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir()
        return self.partial

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None and not self.folder.exists():
                os.replace(self.partial, self.folder)
            shutil.rmtree(self.partial, ignore_errors=True)  # what a failure left
        finally:
            self.lock.release()


def read_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def read_jsonl(path: Path) -> list[dict]:
    """The lines of a file that is appended to; [] if there is none. A last line cut by an interruption is left out."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def fingerprint(value) -> str:
    """A short hash of any JSON value; equal settings give equal fingerprints on every machine."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def file_fingerprint(path: Path) -> str:
    """A short hash of a file's bytes (a moved or touched file keeps it, an edited one does not)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def large_file_fingerprint(path: Path) -> str:
    """`file_fingerprint` of a small file; of a large one a hash over those of its pieces, which all cores work on."""
    size = path.stat().st_size
    if size <= PIECE:
        return file_fingerprint(path)

    def of_piece(start: int) -> str:
        found = hashlib.sha256()
        with open(path, "rb") as file:
            file.seek(start)
            for _ in range(PIECE // READ):
                found.update(file.read(READ))
        return found.hexdigest()

    with ThreadPoolExecutor(hardware.usable_cores()) as pool:
        return fingerprint(list(pool.map(of_piece, range(0, size, PIECE))))
