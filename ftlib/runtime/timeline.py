"""Measure where the wall-clock time of a command goes, phase by phase.

`with phase("load the base"): ...` adds to that phase; a phase inside another pauses the outer one, so seconds are counted once.
`take()` returns the phases since the last call, or since the process started, with all other time as `start` (before the first
phase) and `other`. Manifests keep them as `phases`, in seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


class Timeline:
    """Seconds by phase since `began` (of time.time)."""

    def __init__(self, began: float):
        self.began, self.first = began, 0.0
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = began

    def _credit(self) -> None:
        """Add the time since the last change to the innermost open phase."""
        now = time.time()
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of a block as a phase."""
        self.first = self.first or time.time()
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
        start = (self.first or time.time()) - self.began
        other = time.time() - self.began - start - sum(self.seconds.values())
        return {
            name: round(seconds, 2) for name, seconds in ({"start": start} | self.seconds | {"other": other}).items()
        }


_current = Timeline(psutil.Process().create_time())


def phase(name: str):
    """Count the time of a block as a phase of the command."""
    return _current.phase(name)


def take() -> dict[str, float]:
    """Return the phases since the last call (at first: since the process started) and begin a new timeline."""
    global _current
    phases, _current = _current.read(), Timeline(time.time())
    return phases
