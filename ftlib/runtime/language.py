"""Translate what the course prints: computed sentences, verdicts of checkers, labels of figures.

`tr("{count:,} rows kept", count=n)` returns the sentence in the reader's language. Catalogs are
`ftlib/locale/LANGUAGE/*.yaml`, lists of `en` and `pt` with the same placeholders; the English text is the key, as in gettext,
and a text without an entry stays English. A test finds every literal of `tr`, `tr_n` and `to_translate` in the code and
demands its entry. The language is that of FTLIB_LANGUAGE, which a notebook's first cell sets, or of `using`. Exceptions, the
command line, names of metrics and settings, prompts and targets are English in every language.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib import resources

from ftlib.runtime import yaml_files

LANGUAGES = ("en", "pt-BR")
_chosen: ContextVar[str | None] = ContextVar("language", default=None)


def current() -> str:
    """Return the language of what is printed, one of LANGUAGES; an unknown FTLIB_LANGUAGE counts as English."""
    language = _chosen.get() or os.environ.get("FTLIB_LANGUAGE", "en")
    return language if language in LANGUAGES else "en"


@contextmanager
def using(language: str) -> Iterator[None]:
    """Print in a language within a `with` block, whatever FTLIB_LANGUAGE says.

    Raises:
        ValueError: the language is none of LANGUAGES.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r}: allowed are {', '.join(LANGUAGES)}")
    token = _chosen.set(language)
    try:
        yield
    finally:
        _chosen.reset(token)


def tr(text: str, /, **values) -> str:
    """Translate a text, a literal or one that was `to_translate`, and fill in the placeholders as str.format does."""
    if (language := current()) != "en":
        text = catalog(language).get(text, text)
    return text.format(**values) if values else text


def tr_n(singular: str, plural: str, count: int, /, **values) -> str:
    """Translate the text that fits a count, which is the placeholder {count}: '{count} row', '{count:,} rows'."""
    return tr(singular if count == 1 else plural, count=count, **values)


def to_translate(text: str, /) -> str:
    """Mark a constant that is passed to `tr` later, so that the catalogs must have it. Returns it unchanged."""
    return text


@lru_cache
def catalog(language: str) -> dict[str, str]:
    """Return {English text: translation} of all catalogs of a language.

    Raises:
        ValueError: two files translate the same text differently.
    """
    entries: dict[str, str] = {}
    folder = resources.files("ftlib") / "locale" / language
    for path in sorted(folder.iterdir(), key=lambda each: each.name):
        for entry in yaml_files.parse(path.read_text(encoding="utf-8")) or []:
            english, translation = entry["en"], entry["pt"]
            if entries.setdefault(english, translation) != translation:
                raise ValueError(f"{path.name}: a second translation of {english!r}; keep one")
    return entries
