"""User-facing errors, printed in one line and without a traceback."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

FULL = (  # regular expressions for "disk full" messages of libraries with their own writers: numpy, PyTorch, SQLite, Rust
    "No space left",
    "File too large",
    "Disk quota",
    r"\d requested and \d+ written",
    "PytorchStreamWriter failed",
    "unexpected pos",
    "database or disk is full",
    "disk I/O error",
    "No usable temporary directory",
)
# Storage errors: (errno values, regular expressions for library messages, advice).
STORAGE: tuple[tuple[set[int], tuple[str, ...], str], ...] = (
    (
        {errno.ENOSPC, errno.EDQUOT, errno.EFBIG},
        FULL,
        "the disk is full: free some space (`ftlib runs clean NAME` removes what can be rebuilt), or move the runs with "
        "FTLIB_RUNS; finished stages are complete, and the same command resumes after them",
    ),
    (
        set(),  # Windows reports it as EACCES, so this entry comes before that one
        ("being used by another process",),
        "another program, or a notebook that has loaded it, has this file open, and Windows neither moves nor deletes such a "
        "file: close it or restart the kernel, then run the same command",
    ),
    (
        {errno.EROFS, errno.EACCES, errno.EPERM},
        (
            "Read-only file system",
            "Permission denied",
            "Operation not permitted",
            "readonly database",
            "open database file",
        ),
        "this folder cannot be written: give another one with --run, for all runs with FTLIB_RUNS, for models with FTLIB_CACHE "
        "and HF_HOME",
    ),
    (
        {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.EHOSTDOWN},
        ("Input/output error", "Stale file handle", "Transport endpoint is not connected", "No such device"),
        "the disk or the mounted drive does not answer: mount it again, or use --run with a folder on this machine; finished "
        "stages are complete, and the same command resumes after them",
    ),
    (
        {errno.ENOLCK, errno.EOPNOTSUPP},
        ("does not appear to support flock", "No locks available"),
        "this file system has no locks to keep two runs apart: use --run or FTLIB_RUNS with a folder on a local disk",
    ),
    (
        {errno.EMFILE, errno.ENFILE},
        ("Too many open files",),
        "more files are open than this machine allows: `ulimit -n 4096` in the same shell, then the same command",
    ),
    (
        {errno.ENAMETOOLONG, errno.EILSEQ},
        ("File name too long",),
        "this file system does not allow such a name: give a shorter or plainer one",
    ),
)


class FtlibError(Exception):
    """Base class of user-facing errors; the message states the problem and the next step."""


class DataError(FtlibError, ValueError):
    """Raised when the data cannot be used."""


def storage_problem(error: BaseException) -> str | None:
    """Return a one-line message if the error or one of its causes is a storage error, else None."""
    while error is not None:
        code, text = getattr(error, "errno", None), " ".join(str(error).split())
        if code in (errno.EACCES, errno.EPERM) and (advice := _unreadable(getattr(error, "filename", None))):
            return f"{text}: {advice}"
        for codes, patterns, advice in STORAGE:
            if code in codes or any(re.search(pattern, text) for pattern in patterns):
                return f"{text}: {advice}"
        error = error.__cause__ or error.__context__
    return None


def _unreadable(path) -> str | None:
    """Return advice for a path that exists but cannot be read; None for an unwritable folder."""
    if not isinstance(path, str | os.PathLike):
        return None
    if os.path.isfile(path) and not os.access(path, os.R_OK):
        return "this file cannot be read: allow it with `chmod u+r`, or copy it to a folder of yours"
    # os.path.isdir, because Path.is_dir raises for a folder below one that cannot be entered
    folder = next((parent for parent in Path(path).absolute().parents if os.path.isdir(parent)), None)
    if folder and not os.access(folder, os.X_OK):
        return f"{folder} cannot be entered: allow it with `chmod u+rx`, or use another folder"
    return None
