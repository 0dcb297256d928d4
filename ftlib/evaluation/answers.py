"""Generate, score and store answers: one line of answers.jsonl a row and system."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ftlib.config.settings import Config
from ftlib.evaluation.systems import answering, untuned
from ftlib.generation.batched import Answer, answer_encoded
from ftlib.models.likelihood import answer_losses, prefix_tokens
from ftlib.models.loading import load_tokenizer
from ftlib.prompts.encoding import IGNORED, Example
from ftlib.prompts.parallel_encoding import encode_on_all_cores
from ftlib.prompts.templates import PREFIX, Passages, Turns
from ftlib.retrieval.bm25_index import Nearest
from ftlib.runtime import distributed, timeline
from ftlib.runtime.console import log
from ftlib.runtime.files import fingerprint, read_json, read_jsonl, write_json, write_text

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


def answer_keys(cfg: Config, data_key: str, merged_key: str, dtype: str) -> dict[str, str]:
    """Return {system: fingerprint of what its answers depend on}."""
    model = [data_key, cfg.model.name, dtype, cfg.train.max_length, cfg.generation.deciding()]
    keys = {system: model if system in untuned(cfg) else [*model, merged_key] for system in answering(cfg)}
    context = [cfg.open_rows, cfg.train.context_tokens, cfg.train.context_order]
    keys |= {system: [*key, *context] for system, key in keys.items() if system.endswith("_open")}
    keys |= {"copy_title": [data_key], "nearest": [data_key]}
    return {system: fingerprint(value) for system, value in keys.items()}


def answer_missing(store: AnswerStore, inputs: SystemInputs, cfg: Config, load: Callable) -> None:
    """Score and answer the rows of one system that the store lacks, batch by batch.

    load: returns the model; called only if something is missing. With several processes each takes its share.
    """
    questions = store.missing(inputs)
    if not questions:
        log.info(f"{inputs.system}: all {sum(map(len, inputs.rows.values()))} answers are stored already")
        return
    questions = distributed.mine(questions)
    tokenizer, model = load_tokenizer(cfg.model.name), load()
    rows = [question.row for question in questions]
    with timeline.phase("encode rows"):
        examples = encode_on_all_cores(
            tokenizer, rows, cfg.train.as_measured(), inputs.few_shot, inputs.passages, cfg.prompt_format
        )
    with timeline.phase("likelihood"):
        scored = score_references(model, tokenizer, inputs.system, questions, examples, cfg)
    store.add(record for record, question in zip(scored, questions, strict=True) if not question.generated)
    to_generate = [index for index, question in enumerate(questions) if question.generated]

    def on_batch(positions: list[int], answers: list[Answer]) -> None:
        pairs = [(scored[to_generate[position]], answer) for position, answer in zip(positions, answers, strict=True)]
        store.add(replace(r, text=a.text, n_tokens=a.n_tokens, stopped=a.stopped) for r, a in pairs)

    prompts = [examples[index]["input_ids"][: examples[index]["prompt_tokens"]] for index in to_generate]
    with timeline.phase("answers"):
        answer_encoded(model, tokenizer, prompts, cfg.generation, f"{inputs.system}: answers", on_batch)
    del model
    gc.collect()


def score_references(
    model, tokenizer, system: str, questions: list[Question], examples: list[Example], cfg: Config
) -> list[Record]:
    """Compute the likelihood of each row's reference; the records have no text. examples: the encoded questions."""
    longest = max(cfg.train.max_length, *(len(example["input_ids"]) for example in examples))
    losses = answer_losses(model, examples, tokenizer.pad_token_id, longest, progress=f"{system}: likelihood")
    return [
        Record(
            example["uid"],
            question.split,
            system,
            None,
            **likelihood_parts(tokenizer, example, nats, cfg.prompt.prefix),
        )
        for question, example, nats in zip(questions, examples, losses, strict=True)
    ]


def baseline_records(rows: Mapping[str, list[dict]], dataset) -> list[Record]:
    """Return the answers of the systems that learn nothing: the title itself, and the nearest training title's description."""
    nearest, records = Nearest(list(dataset["train"]["title"]), list(dataset["train"]["content"])), []
    for split, split_rows in rows.items():
        titles = [row["title"] for row in split_rows]
        for system, texts in (("copy_title", titles), ("nearest", nearest.answers(titles))):
            records += [Record(row["uid"], split, system, text) for row, text in zip(split_rows, texts, strict=True)]
    return records


def add_baselines(store: AnswerStore, rows: Mapping[str, list[dict]], dataset) -> None:
    """Add `baseline_records` to the store, as far as it lacks them."""
    records = baseline_records(rows, dataset)
    store.add(record for record in records if (record.split, record.system, record.uid) not in store.records)


def likelihood_parts(tokenizer, example, losses, text_prefix: str = PREFIX) -> dict[str, Any]:
    """Return the `nll_*` fields of a record: nats and number of all scored tokens, of the prefix's, and of the end token."""
    prefix = prefix_tokens(tokenizer, [token for token in example["labels"] if token != IGNORED], text_prefix)
    end = 0 if example["cut"] else 1  # a truncated answer has no end token
    prefix = min(prefix, len(losses) - end)
    losses_by_part = {"nll": losses, "nll_prefix": losses[:prefix], "nll_end": losses[len(losses) - end :]}
    sums: dict[str, Any] = {f"{name}_sum": float(each.double().sum()) for name, each in losses_by_part.items()}
    return sums | {f"{name}_tokens": len(each) for name, each in losses_by_part.items()}
