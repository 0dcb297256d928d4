"""Generate, score and store answers: one line of answers.jsonl a row and system."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.evaluation.systems import answering, untuned
from ftlib.generation.batched import Answer, answer_prompts
from ftlib.models.likelihood import answer_losses, prefix_tokens
from ftlib.models.loading import load_tokenizer
from ftlib.prompts.encoding import IGNORED, encode_rows
from ftlib.prompts.templates import Entries, Turns, open_prompt
from ftlib.retrieval.bm25_index import Nearest
from ftlib.runtime import distributed
from ftlib.runtime.files import fingerprint, read_json, read_jsonl, write_json, write_text

ANSWERS, KEYS, ROWS = "answers.jsonl", "answers.keys.json", "rows.json"


@dataclass(frozen=True)
class Record:
    """One line of answers.jsonl. Baselines generate nothing and score nothing: their counts are None.

    A row that was only scored, not answered in words (see `model_answers`), has a likelihood and no text. Of `nll_sum` and
    `nll_tokens`, the parts that the prefix and the end token take stand beside them (None in files from before).
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


def read_answers(folder: Path, keys: dict[str, str]) -> dict[tuple[str, str, str], Record]:
    """Answers that still count: those of systems whose key (model, data, settings) is unchanged. {(split, system, uid): record}.

    A last line that an interruption cut is left out; the file is rewritten without what no longer counts.
    """
    gather_answers(folder)
    path, key_path = folder / ANSWERS, folder / KEYS
    old_keys = read_json(key_path) if key_path.exists() else {}
    records = [Record(**line) for line in read_jsonl(path)]
    records = [r for r in records if old_keys.get(r.system) == keys.get(r.system)]
    write_text(path, "".join(_line(r) for r in records))
    write_json(key_path, keys)
    return {(r.split, r.system, r.uid): r for r in records}


def gather_answers(folder: Path) -> None:
    """Put what other processes answered into answers.jsonl, also what they left behind when they were interrupted."""
    for part in sorted(folder.glob("answers.[0-9]*.jsonl")):
        with open(folder / ANSWERS, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in read_jsonl(part))
        part.unlink()


def _line(record: Record) -> str:
    return json.dumps(asdict(record), ensure_ascii=False) + "\n"


def answer_keys(cfg: Config, data_key: str, merged_key: str, dtype: str) -> dict[str, str]:
    """What each system's answers depend on; a change in it makes them void."""
    model = [data_key, cfg.model.name, dtype, cfg.train.max_length, cfg.generation.model_dump(exclude={"batch_tokens"})]
    keys = {system: model if system in untuned(cfg) else [*model, merged_key] for system in answering(cfg)}
    keys |= {system: [*key, cfg.evaluation.open_rows] for system, key in keys.items() if system.endswith("_open")}
    keys |= {"copy_title": [data_key], "nearest": [data_key]}
    return {system: fingerprint(value) for system, value in keys.items()}


def model_answers(
    load: Callable,
    system: str,
    cfg: Config,
    rows: dict[str, list[dict]],
    done: dict,
    folder: Path,
    worded: int | None = None,
    shown: Turns = (),
    entries: Mapping[str, Entries] | None = None,
):
    """Let one model score and answer the rows that are not done yet, appending to answers.jsonl batch by batch.

    load: gives the model; called only if something is missing. worded: how many rows of each split are answered in words
    (None: all of them); the others get their likelihood only. shown: turns before each question. entries: rows in its prompt.
    """
    in_words = {(s, row["uid"]) for s, found in rows.items() for row in found[:worded]}

    def missing(split: str, uid: str) -> bool:
        record = done.get((split, system, uid))
        return record is None or (record.text is None and (split, uid) in in_words)

    todo = [(s, row) for s, found in rows.items() for row in found if missing(s, row["uid"])]
    if not todo:
        print(f"{system}: all {sum(map(len, rows.values()))} answers are there already", flush=True)
        return
    todo = distributed.mine(todo)  # with several processes each answers its share, into a file of its own
    own_path = folder / (ANSWERS if distributed.first() else f"answers.{distributed.rank()}.jsonl")
    tokenizer, model = load_tokenizer(cfg.model.name), load()
    examples = encode_rows(tokenizer, [row for _, row in todo], cfg.train.as_measured(), shown, entries)
    longest = max(cfg.train.max_length, *(len(example["input_ids"]) for example in examples))
    losses = answer_losses(model, examples, tokenizer.pad_token_id, longest, progress=f"{system}: likelihood")
    scored = [
        Record(row["uid"], split, system, None, **likelihood_parts(tokenizer, example, each))
        for (split, row), example, each in zip(todo, examples, losses, strict=True)
    ]

    def keep(records: list[Record]) -> None:
        with open(own_path, "a", encoding="utf-8") as file:
            for record in records:
                done[record.split, system, record.uid] = record
                file.write(_line(record))

    asked = [place for place, record in enumerate(scored) if (record.split, record.uid) in in_words]
    keep([record for record in scored if (record.split, record.uid) not in in_words])

    def on_batch(positions: list[int], answers: list[Answer]) -> None:
        given = [(scored[asked[position]], answer) for position, answer in zip(positions, answers, strict=True)]
        keep([replace(r, text=a.text, n_tokens=a.n_tokens, stopped=a.stopped) for r, a in given])

    asked_rows = [todo[place][1] for place in asked]
    prompts = [open_prompt(row["input_text"], (entries or {}).get(row["uid"], ())) for row in asked_rows]
    answer_prompts(model, tokenizer, prompts, cfg.generation, f"{system}: answers", on_batch, shown)
    del model
    gc.collect()


def baseline_records(rows: dict[str, list[dict]], dataset) -> list[Record]:
    """The two systems that learn nothing: the title itself, and the description of the nearest training title."""
    nearest, records = Nearest(list(dataset["train"]["title"]), list(dataset["train"]["content"])), []
    for split, found in rows.items():
        titles = [row["title"] for row in found]
        for system, texts in (("copy_title", titles), ("nearest", nearest.answers(titles))):
            records += [Record(row["uid"], split, system, text) for row, text in zip(found, texts, strict=True)]
    return records


def baseline_answers(rows: dict[str, list[dict]], dataset, done: dict, folder: Path) -> None:
    """`baseline_records` into answers.jsonl, as far as they are not there."""
    with open(folder / ANSWERS, "a", encoding="utf-8") as file:
        for record in baseline_records(rows, dataset):
            if (record.split, record.system, record.uid) not in done:
                done[record.split, record.system, record.uid] = record
                file.write(_line(record))


def likelihood_parts(tokenizer, example, losses) -> dict[str, float | int]:
    """The `nll_*` fields of a record: nats and number of all scored tokens, of those of the prefix, and of the end token."""
    prefix = prefix_tokens(tokenizer, [token for token in example["labels"] if token != IGNORED])
    end = 0 if example["cut"] else 1  # an answer that was cut has no end
    prefix = min(prefix, len(losses) - end)
    parts = {"nll": losses, "nll_prefix": losses[:prefix], "nll_end": losses[len(losses) - end :]}
    sums = {f"{name}_sum": float(each.double().sum()) for name, each in parts.items()}
    return sums | {f"{name}_tokens": len(each) for name, each in parts.items()}
