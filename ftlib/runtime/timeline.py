"""Measure where the wall-clock time of a command goes, phase by phase.

`with phase("load the base"): ...` adds to that phase; a phase inside another pauses the outer one, so seconds are counted once.
`take()` returns the phases since the last call, or since the process started, with all other time as `start` (before the first
phase) and `other`. Manifests keep them as `phases`, in seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def process_age() -> float:
    """Return the seconds since this process started.

    Linux keeps the start in clock ticks since boot, but the time of day of the boot in whole seconds: the difference of two times
    of day, from `psutil`, would be off by up to a second.
    """
    if not sys.platform.startswith("linux"):
        return time.time() - psutil.Process().create_time()
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


class Timeline:
    """Seconds by phase since `began` (of time.perf_counter)."""

    def __init__(self, began: float):
        self.began = began
        self.first: float | None = None  # when the first phase began
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = began

    def _credit(self) -> None:
        """Add the time since the last change to the innermost open phase."""
        now = time.perf_counter()
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of a block as a phase."""
        self.first = time.perf_counter() if self.first is None else self.first
        self._credit()
        self._open.append(name)
        try:
            yield
        finally:
            self._credit()
            self._open.pop()

    def read(self) -> dict[str, float]:
        """Return {phase: seconds}, in the order of their beginning; `start` and `other` make up the rest."""
        self._credit()
        start = (self._since if self.first is None else self.first) - self.began
        other = self._since - self.began - start - sum(self.seconds.values())
        return {
            name: round(seconds, 2) for name, seconds in ({"start": start} | self.seconds | {"other": other}).items()
        }


_current = Timeline(time.perf_counter() - process_age())


def phase(name: str):
    """Count the time of a block as a phase of the command."""
    return _current.phase(name)


def take() -> dict[str, float]:
    """Return the phases since the last call (at first: since the process started) and begin a new timeline."""
    global _current
    phases, _current = _current.read(), Timeline(time.perf_counter())
    return phases
