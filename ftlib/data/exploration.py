"""Explore raw and prepared data: the effect of cleaning, lengths in tokens, leakage between splits.

These functions only count; no stage depends on them. Notebook 01 uses them.
"""

from __future__ import annotations

from pathlib import Path

from ftlib.config.settings import Config
from ftlib.data.cleaning import looks_adult, normalize, steps_of
from ftlib.data.funnel import clean_rows, why_dropped
from ftlib.data.raw_reader import Malformed, Row, read_rows
from ftlib.prompts.packing import pack
from ftlib.runtime.language import to_translate


def before_and_after(path: Path, count: int, cfg: Config) -> list[dict[str, str]]:
    """Return the first `count` rows that cleaning changes and the filters keep, as {uid, before, after}."""
    steps, changed = steps_of(cfg.data.clean), []
    for row in read_rows(path, Malformed()):
        raw = Row(row.uid, row.title, row.content)
        if not row.title or not row.content:
            continue
        (keys,), _ = clean_rows([row], steps)
        if why_dropped(row, keys, cfg):
            continue
        if (raw.title, raw.content) != (row.title, row.content):
            changed.append(
                {"uid": row.uid, "before": f"{raw.title} | {raw.content}", "after": f"{row.title} | {row.content}"}
            )
        if len(changed) == count:
            break
    return changed


def leaks(dataset) -> dict[str, int]:
    """Count the test rows, and those whose normalized title or description is also in the training split."""
    counts = {"rows": len(dataset["test"])}
    for column in ("title", "content"):
        trained = {normalize(text) for text in dataset["train"][column]}
        counts[column] = sum(normalize(text) in trained for text in dataset["test"][column])
    return counts


def token_lengths(rows, tokenizer) -> dict[str, list[int]]:
    """Return the lengths of all titles and descriptions in tokens, without special tokens."""
    return {
        column: [len(ids) for ids in tokenizer(list(rows[column]), add_special_tokens=False)["input_ids"]]
        for column in ("title", "content")
    }


def padded_positions(lengths: list[int], per_step: int, row_length: int) -> dict[str, int]:
    """Compare the padded lengths, in tokens, of four ways to batch the same examples.

    Args:
        lengths: tokens of each example.
        per_step: examples per batch.
        row_length: maximum tokens of a row.

    Returns:
        Tokens, padding included: padded to `row_length`, padded to the longest of each batch, the same with examples of similar
        length together, packed.
    """
    steps = [lengths[i : i + per_step] for i in range(0, len(lengths), per_step)]
    ordered = sorted(lengths)
    grouped = [ordered[i : i + per_step] for i in range(0, len(ordered), per_step)]
    return {
        to_translate("every row to the full length"): len(lengths) * row_length,
        to_translate("to the longest of the batch"): sum(max(step) * len(step) for step in steps),
        to_translate("the same, similar lengths together"): sum(max(step) * len(step) for step in grouped),
        to_translate("packed"): sum(len(pack(step, row_length)) * row_length for step in steps),
    }


def adult_titles(path: Path) -> list[str]:
    """Return the titles that the adult filter would drop; check them for misses and false positives."""
    rows = (row for row in read_rows(path, Malformed()) if row.title)
    return [row.title for row in rows if looks_adult(row.title, row.content or "")]
