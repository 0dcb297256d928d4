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

from ftlib.runtime import environment, hardware
from ftlib.runtime.errors import FtlibError

PIECE, READ = 2**26, 2**20  # bytes hashed by one task, bytes per read


def repository() -> Path:
    """Return the root of the repository that contains ftlib, else the current folder."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def runs_root() -> Path:
    """Return the folder of all runs: FTLIB_RUNS, else `runs/` in `repository()`."""
    if os.environ.get("FTLIB_RUNS"):
        return home_path(os.environ["FTLIB_RUNS"], "FTLIB_RUNS")
    return repository() / "runs"


def home_path(text: str, setting: str) -> Path:
    """Expand ~ in a path.

    Args:
        text: the path.
        setting: the name of the setting that holds it, for the error message.

    Raises:
        FtlibError: there is no home folder.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise FtlibError(f"{setting} = {text}: ~ has no home folder on this machine; write the absolute path") from None


def cache_dir() -> Path:
    """Return the cache folder: FTLIB_CACHE, else `ftlib` in the user's cache, else in the runs folder."""
    if os.environ.get("FTLIB_CACHE"):
        return home_path(os.environ["FTLIB_CACHE"], "FTLIB_CACHE")
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "ftlib"
    home = environment.home()
    if home and environment.writable(home / ".cache" / "ftlib"):
        return home / ".cache" / "ftlib"
    return runs_root() / environment.HOMELESS / "ftlib"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` atomically on success and is deleted on failure.

    A concurrent reader sees the old file or the new one, never a part of it.
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
    """Write a UTF-8 file atomically; lone surrogates (from file names) become backslash escapes."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")  # the same bytes on Windows


def json_text(value) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def write_json(path: Path, value) -> None:
    """Write a value as indented JSON, atomically."""
    write_text(path, json_text(value))


class build_once:
    """Build a folder once, under a file lock: `with build_once(folder) as partial:`.

    Yields None if `folder` exists, else an empty folder that is renamed to `folder` if the block succeeds.
    """

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
            shutil.rmtree(self.partial, ignore_errors=True)  # after a failure
        finally:
            self.lock.release()


def read_json(path: Path):
    """Read a UTF-8 JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_jsonl(path: Path) -> list[dict]:
    """Read a JSON Lines file that is appended to; [] if it does not exist. Skips an incomplete last line."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def fingerprint(value) -> str:
    """Return a short hash of a JSON value, the same on every machine."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def file_fingerprint(path: Path) -> str:
    """Return a short hash of a file's bytes; the path and the modification time do not matter."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def large_file_fingerprint(path: Path) -> str:
    """Return `file_fingerprint` of a file up to PIECE bytes; above, a hash of its pieces' hashes.

    The pieces are hashed in parallel.
    """
    size = path.stat().st_size
    if size <= PIECE:
        return file_fingerprint(path)

    def hash_piece(start: int) -> str:
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            file.seek(start)
            for _ in range(PIECE // READ):
                digest.update(file.read(READ))
        return digest.hexdigest()

    with ThreadPoolExecutor(hardware.usable_cores()) as pool:
        return fingerprint(list(pool.map(hash_piece, range(0, size, PIECE))))
