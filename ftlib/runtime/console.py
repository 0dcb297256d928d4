"""One place for what the library prints while it works: `log.info`, on standard output, by rank 0 only.

Results that a command was run for are printed with `print`; everything else goes through `log`, so that `--quiet` hides it and
`--verbose` adds details.
"""

from __future__ import annotations

import logging
import sys

from ftlib.runtime import distributed

log = logging.getLogger("ftlib")


class _StandardOutput(logging.Handler):
    """Write to whatever `sys.stdout` is at that moment, so that it can be redirected."""

    def emit(self, record: logging.LogRecord) -> None:
        if distributed.first():
            print(self.format(record), file=sys.stdout, flush=True)


def set_volume(quiet: bool = False, verbose: bool = False) -> None:
    """Choose what is printed: warnings only, everything, or (the default) progress."""
    log.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)


if not log.handlers:
    log.addHandler(_StandardOutput())
    log.propagate = False
    set_volume()
