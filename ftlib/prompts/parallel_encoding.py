"""Encode many rows on all cores: `encode_on_all_cores` is `encoding.encode_rows` in several processes."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

# The server of the worker processes imports this module, so that each of them need not import a tokenizer's class (no torch).
from transformers import PreTrainedTokenizerFast  # noqa: F401

from ftlib.prompts import encoding
from ftlib.prompts.templates import DEFAULT_FORMAT, Passages, PromptFormat, Turns
from ftlib.runtime.processes import in_processes

ROWS_PER_PROCESS = 250  # a process takes as long to start as some hundred rows take to encode
ROWS_WITH_PASSAGES = 50  # a row with passages takes five times as long
LEAST_PROCESSES = 2


def encode_on_all_cores(
    tokenizer,
    rows,
    train_config,
    few_shot: Turns = (),
    passages: Mapping[str, Passages] | None = None,
    prompt_format: PromptFormat = DEFAULT_FORMAT,
    arrays: bool = False,
) -> list[encoding.Example]:
    """Encode rows as `encoding.encode_rows` does, in several processes where they save time; its arguments.

    arrays: return ids and labels as int32 arrays. A process reads them fifteen times as fast from its workers as lists, and
    while it reads, no other thread of it runs Python.
    """
    passages = passages or {}
    if hasattr(rows, "to_list"):  # a data set iterates row by row, which takes ten times as long
        rows = rows.to_list()
    items = [(row, passages.get(row["uid"], ())) for row in rows]
    work = functools.partial(_encode, tokenizer, train_config, few_shot, prompt_format, arrays)
    share = ROWS_WITH_PASSAGES if passages else ROWS_PER_PROCESS
    return in_processes(work, items, share, LEAST_PROCESSES)


def _encode(
    tokenizer,
    train_config,
    few_shot: Turns,
    prompt_format: PromptFormat,
    arrays: bool,
    items: list[tuple[dict, Passages]],
) -> list[encoding.Example]:
    rows, passages = [row for row, _ in items], {row["uid"]: each for row, each in items}
    examples = encoding.encode_rows(tokenizer, rows, train_config, few_shot, passages, prompt_format)
    for example in examples if arrays else ():
        example["input_ids"] = np.asarray(example["input_ids"], dtype=np.int32)  # type: ignore[typeddict-item]
        example["labels"] = np.asarray(example["labels"], dtype=np.int32)  # type: ignore[typeddict-item]
    return examples
