"""User-facing errors, printed in one line and without a traceback."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

FULL = (  # what libraries say that write by themselves: numpy, PyTorch, SQLite, Rust
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
# What a folder can refuse: (numbers of the system, words in messages of libraries, what to do).
STORAGE = (
    (
        {errno.ENOSPC, errno.EDQUOT, errno.EFBIG},
        FULL,
        "the disk is full: free some space (`ftlib runs clean NAME` removes what can be rebuilt), or move the runs with "
        "FTLIB_RUNS; finished stages are complete, and the same command resumes after them",
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
    """What is wrong and the next thing to do. Every error that ftlib raises on purpose for a user derives from it."""


class DataError(FtlibError, ValueError):
    """The data cannot be used; the message says what is wrong and what to do."""


def storage_problem(error: BaseException) -> str | None:
    """What to tell the user if the error, or one that it came from, is about a disk or a folder; else None."""
    while error is not None:
        number, text = getattr(error, "errno", None), " ".join(str(error).split())
        if number in (errno.EACCES, errno.EPERM) and (advice := _unreadable(getattr(error, "filename", None))):
            return f"{text}: {advice}"
        for numbers, words, advice in STORAGE:
            if number in numbers or any(re.search(word, text) for word in words):
                return f"{text}: {advice}"
        error = error.__cause__ or error.__context__
    return None


def _unreadable(path) -> str | None:
    """What to do if a path exists and cannot be read, which is not the same as a folder that cannot be written."""
    if not isinstance(path, str | os.PathLike):
        return None
    if os.path.isfile(path) and not os.access(path, os.R_OK):
        return "this file cannot be read: allow it with `chmod u+r`, or copy it to a folder of yours"
    there = next((each for each in Path(path).absolute().parents if each.is_dir()), None)
    if there and not os.access(there, os.X_OK):
        return f"{there} cannot be entered: allow it with `chmod u+rx`, or use another folder"
    return None
