"""Provide what the modules of computed sentences share: the type, joined clauses, an interval's width, recorded files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftlib.runtime.files import read_json, repository

LEVEL = 0.005  # nats: losses that differ by less are called level


class Sentence(str):
    """A string that a notebook shows as text and a console prints."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


def recorded(name: str) -> dict | None:
    """Return a file of results/, None where it was not recorded or the repository is not there."""
    path = repository() / "results" / name
    return read_json(path) if path.exists() else None


def joined(parts: Sequence[str]) -> Sentence:
    """Join parts of a sentence with semicolons, with a capital and a period."""
    text = "; ".join(parts)
    return Sentence(f"{text[0].upper()}{text[1:]}.")


def width(summary: Mapping) -> float:
    """Return the width of a 95 % interval."""
    low, high = summary["ci95"]
    return high - low
