"""Map the column names of a user's file to ours, and suggest a mapping where the names do not fit."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from ftlib.config.settings import Config


class Columns(NamedTuple):
    """The names of our three columns in the user's file. A file without `uid` is allowed: row numbers replace it."""

    uid: str = "uid"
    title: str = "title"
    content: str = "content"

    @classmethod
    def of(cls, cfg: Config) -> Columns:
        """Return the names that `data.columns` sets."""
        return cls(**cfg.data.columns.model_dump())

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return those of our columns that a file with these column names lacks; `uid` only if its name was set."""
        needed = ("title", "content") if self.uid == "uid" else self._fields
        return [column for column in needed if getattr(self, column) not in names]


OURS = Columns()


# Names that other data sets use, without accents, most specific first. Sources: the column names of the question-answering and
# instruction sets that transformers and TRL document, and their Portuguese translations.
SYNONYMS = {
    "title": "title titulo question pergunta duvida prompt instruction instrucao query input entrada product_name name produto "
    "headline subject assunto",
    "content": "content conteudo answer resposta completion response output saida description descricao body chosen text texto",
    "uid": "uid id asin sku product_id row_id question_id codigo",
}


def suggestion(names: Sequence[str]) -> dict[str, str]:
    """Suggest a mapping {our column: the file's column}; columns without a plausible name are left out.

    An equal name (without capitals and accents) comes before a name that contains the synonym as a word.
    """
    folded = {name: _folded(name) for name in names}
    mapping: dict[str, str] = {}
    for column, synonyms in SYNONYMS.items():
        free = {name: text for name, text in folded.items() if name not in mapping.values()}
        equal = (name for word in synonyms.split() for name, text in free.items() if text == word)
        contained = (name for word in synonyms.split() for name, text in free.items() if word in text.split("_"))
        name = next(equal, None) or next(contained, None)
        if name is not None:
            mapping[column] = name
    return mapping


def _folded(name: str) -> str:
    """Return a name in lower case without accents, words joined by underscores."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c))
    return "_".join("".join(c if c.isalnum() else " " for c in plain).split())


def settings_for(mapping: dict[str, str]) -> str:
    """Return the options of the command line that set a mapping; names that equal ours need none."""
    return " ".join(_option(column, name) for column, name in mapping.items() if name != column)


def _option(column: str, name: str) -> str:
    return f"--set {shlex.quote(f'data.columns.{column}={name}')}"


def advice(missing: Sequence[str], names: Sequence[str]) -> str:
    """Return the options that name missing columns: the suggested name of each, or a placeholder."""
    suggested = {"uid": "uid"} | suggestion(names)  # a file needs no uid
    return " ".join(_option(column, suggested.get(column, "NAME")) for column in missing)
