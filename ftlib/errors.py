"""The errors that a user can mend: the command line prints them in one line, without a traceback."""

from __future__ import annotations

import errno

# What a folder can refuse: (numbers of the system, words in the messages of libraries that write by themselves, what to do).
STORAGE = (
    (
        {errno.ENOSPC, errno.EDQUOT, errno.EFBIG},
        ("No space left", "File too large", "Disk quota"),
        "the disk is full: free some space (`ftlib runs clean NAME` removes what can be made again), or move the runs with "
        "FTLIB_RUNS; what was finished is whole, and the same command goes on from there",
    ),
    (
        {errno.EROFS, errno.EACCES, errno.EPERM},
        ("Read-only file system", "Permission denied", "Operation not permitted"),
        "this folder cannot be written: give another one with --run, or for all runs with FTLIB_RUNS",
    ),
    (
        {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.EHOSTDOWN},
        ("Input/output error", "Stale file handle", "Transport endpoint is not connected", "No such device"),
        "the disk or the mounted drive does not answer: mount it again, or use --run with a folder on this machine; what was "
        "finished is whole, and the same command goes on from there",
    ),
)


class FtlibError(Exception):
    """What is wrong and the next thing to do. Every error that ftlib raises on purpose for a user derives from it."""


class DataError(FtlibError, ValueError):
    """The data cannot be used; the message says what is wrong and what to do."""


def storage_problem(error: BaseException) -> str | None:
    """What to tell the user if the error, or one that it came from, is about a disk or a folder; else None."""
    while error is not None:
        number, text = getattr(error, "errno", None), str(error)
        for numbers, words, advice in STORAGE:
            if number in numbers or any(word in text for word in words):
                return f"{text}: {advice}"
        error = error.__cause__ or error.__context__
    return None
