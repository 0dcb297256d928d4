"""What one looks at before training: rows before and after cleaning, lengths in tokens, leaks between splits.

Why apart from `catalog`: these functions look and count, they decide nothing. Notebook 01 walks through them.
How: `before_and_after(path, 10, cfg)`, `leaks(dataset)`, `token_lengths(dataset["train"], tokenizer)`.
"""

from __future__ import annotations

from pathlib import Path

from ftlib.config.settings import Config
from ftlib.data.cleaning import looks_adult, normalize, steps_of
from ftlib.data.funnel import clean_rows, why_dropped
from ftlib.data.raw_reader import Malformed, Row, read_rows
from ftlib.prompts.packing import pack


def before_and_after(path: Path, count: int, cfg: Config) -> list[dict[str, str]]:
    """The first `count` rows that cleaning changes and the filters keep: uid, and each text before and after."""
    steps, found = steps_of(cfg.data.clean), []
    for row in read_rows(path, Malformed()):
        raw = Row(row.uid, row.title, row.content)
        if not row.title or not row.content:
            continue
        (keys,), _ = clean_rows([row], steps)
        if why_dropped(row, keys, cfg):
            continue
        if (raw.title, raw.content) != (row.title, row.content):
            found.append(
                {"uid": row.uid, "before": f"{raw.title} | {raw.content}", "after": f"{row.title} | {row.content}"}
            )
        if len(found) == count:
            break
    return found


def leaks(dataset) -> dict[str, int]:
    """Test rows whose title, or whose description, stands in the training split too (case and punctuation aside)."""
    found = {"rows": len(dataset["test"])}
    for column in ("title", "content"):
        trained = {normalize(text) for text in dataset["train"][column]}
        found[column] = sum(normalize(text) in trained for text in dataset["test"][column])
    return found


def token_lengths(rows, tokenizer) -> dict[str, list[int]]:
    """Tokens of every title and every description, special tokens aside."""
    return {
        column: [len(ids) for ids in tokenizer(list(rows[column]), add_special_tokens=False)["input_ids"]]
        for column in ("title", "content")
    }


def slots(lengths: list[int], per_step: int, row_length: int) -> dict[str, int]:
    """Token slots that a model computes for the same rows under four ways to make batches of `per_step` examples.

    Padded to the full length, padded to the longest of each batch, the same with rows of like length together, packed.
    """
    steps = [lengths[i : i + per_step] for i in range(0, len(lengths), per_step)]
    alike = sorted(lengths)
    grouped = [alike[i : i + per_step] for i in range(0, len(alike), per_step)]
    return {
        "every row to the full length": len(lengths) * row_length,
        "to the longest of the batch": sum(max(step) * len(step) for step in steps),
        "the same, like lengths together": sum(max(step) * len(step) for step in grouped),
        "packed": sum(len(pack(step, row_length)) * row_length for step in steps),
    }


def adult_titles(path: Path) -> list[str]:
    """Titles that the adult filter would drop; read them before you trust it, in both directions."""
    rows = (row for row in read_rows(path, Malformed()) if row.title)
    return [row.title for row in rows if looks_adult(row.title, row.content or "")]
