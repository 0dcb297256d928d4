"""Print progress through one logger, on standard output, from rank 0 only.

The result of a command is printed with `print`; everything else goes through `log`, so that `--quiet` hides it and `--verbose`
adds details.
"""

from __future__ import annotations

import logging
import sys

from ftlib.runtime import distributed

log = logging.getLogger("ftlib")


class _StandardOutput(logging.Handler):
    """Write to the current `sys.stdout`, looked up for each record, so that it can be redirected."""

    def emit(self, record: logging.LogRecord) -> None:
        if distributed.first():
            print(self.format(record), file=sys.stdout, flush=True)


def set_volume(quiet: bool = False, verbose: bool = False) -> None:
    """Set the log level: warnings only, everything, or (the default) progress."""
    log.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)


if not log.handlers:
    log.addHandler(_StandardOutput())
    log.propagate = False
    set_volume()
