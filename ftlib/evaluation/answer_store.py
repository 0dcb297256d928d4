"""The answers of an evaluation: one line of answers.jsonl a row and system.

Imports no torch: a notebook that reads a finished evaluation starts without waiting for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from ftlib.prompts.templates import Passages, Turns
from ftlib.runtime import distributed
from ftlib.runtime.files import read_json, read_jsonl, write_json, write_text

ANSWERS, KEYS, ROWS = "answers.jsonl", "answers.keys.json", "rows.json"


@dataclass(frozen=True)
class Record:
    """One line of answers.jsonl. Baselines generate nothing and score nothing: their counts are None.

    A row that was scored but not generated (see `SystemInputs.generated`) has a likelihood and no text. The prefix and
    the end token have sums of their own (None in files of earlier versions).
    """

    uid: str
    split: str
    system: str
    text: str | None
    n_tokens: int | None = None
    stopped: bool | None = None
    nll_sum: float | None = None
    nll_tokens: int | None = None
    nll_prefix_sum: float | None = None
    nll_prefix_tokens: int | None = None
    nll_end_sum: float | None = None
    nll_end_tokens: int | None = None


@dataclass(frozen=True)
class SystemInputs:
    """The rows and prompts of one system.

    Attributes:
        system: its name, a column of the tables.
        rows: {split: rows of the data set}.
        few_shot: turns before each question.
        passages: {uid: context passages in the row's prompt}.
        generated: rows of each split that are answered (None: all); the others get their likelihood only.
    """

    system: str
    rows: Mapping[str, list[dict]]
    few_shot: Turns = ()
    passages: Mapping[str, Passages] = field(default_factory=dict)
    generated: int | None = None


class AnswerStore:
    """The answers of one folder: answers.jsonl on the disk, {(split, system, uid): record} in memory.

    Each process appends to its own file; `open` merges them.
    """

    def __init__(self, folder: Path, records: dict[tuple[str, str, str], Record]):
        self.folder, self.records = folder, records
        # rank 0 writes the file that all processes read
        self.path = folder / (ANSWERS if distributed.first() else f"answers.{distributed.rank()}.jsonl")

    @classmethod
    def open(cls, folder: Path, keys: Mapping[str, str]) -> AnswerStore:
        """Read the answers that are still valid and rewrite the file without the others. Called by rank 0 alone.

        keys: {system: fingerprint of model, data and settings}; answers under another key are dropped, as is a last line that
        an interruption truncated.
        """
        merge_parts(folder)
        path, key_path = folder / ANSWERS, folder / KEYS
        old_keys = read_json(key_path) if key_path.exists() else {}
        records = [Record(**line) for line in read_jsonl(path)]
        records = [r for r in records if old_keys.get(r.system) == keys.get(r.system)]
        write_text(path, "".join(_line(r) for r in records))
        write_json(key_path, dict(keys))
        return cls(folder, {(r.split, r.system, r.uid): r for r in records})

    def add(self, records: Iterable[Record]) -> None:
        """Append records to the file and to memory."""
        with open(self.path, "a", encoding="utf-8", newline="\n") as file:
            for record in records:
                self.records[record.split, record.system, record.uid] = record
                file.write(_line(record))

    def missing(self, inputs: SystemInputs) -> list[Question]:
        """Return the rows without a record, or without a text that they should have, in order."""
        questions = []
        for split, rows in inputs.rows.items():
            for number, row in enumerate(rows):
                generated = inputs.generated is None or number < inputs.generated
                record = self.records.get((split, inputs.system, row["uid"]))
                if record is None or (record.text is None and generated):
                    questions.append(Question(split, row, generated))
        return questions

    def of(self, split: str, system: str, rows: Iterable[dict]) -> list[Record]:
        """Return the records of some rows, in their order."""
        return [self.records[split, system, row["uid"]] for row in rows]


class Question(NamedTuple):
    """A row that a system has not answered yet. generated: it is to be answered, not only scored."""

    split: str
    row: dict
    generated: bool


def merge_parts(folder: Path) -> None:
    """Append the answers of other processes, interrupted ones too, to answers.jsonl."""
    for part in sorted(folder.glob("answers.[0-9]*.jsonl")):
        with open(folder / ANSWERS, "a", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in read_jsonl(part))
        part.unlink()


def _line(record: Record) -> str:
    return json.dumps(asdict(record), ensure_ascii=False) + "\n"
