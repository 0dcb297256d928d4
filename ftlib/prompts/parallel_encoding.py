"""Encode many rows on all cores: `encode_on_all_cores` is `encoding.encode_rows` in several processes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

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
    splits: Sequence[tuple[Any, Any]],
    few_shot: Turns = (),
    passages: Mapping[str, Passages] | None = None,
    prompt_format: PromptFormat = DEFAULT_FORMAT,
    arrays: bool = False,
) -> list[list[encoding.Example]]:
    """Encode rows as `encoding.encode_rows` does, in several processes where they save time.

    Args:
        tokenizer: of the model.
        splits: (rows, settings of the training), each encoded with its own settings; all of them share the processes.
        few_shot, passages, prompt_format: as in `encoding.encode_rows`.
        arrays: return ids and labels as int32 arrays. A process reads them fifteen times as fast from its workers as lists,
            and while it reads, no other thread of it runs Python.

    Returns:
        The examples of each split.
    """
    passages = passages or {}
    # a data set iterates row by row, which takes ten times as long
    lists = [rows.to_list() if hasattr(rows, "to_list") else list(rows) for rows, _ in splits]
    items = [(split, row, passages.get(row["uid"], ())) for split, rows in enumerate(lists) for row in rows]
    work = functools.partial(_encode, tokenizer, [train for _, train in splits], few_shot, prompt_format, arrays)
    share = ROWS_WITH_PASSAGES if passages else ROWS_PER_PROCESS
    examples = iter(in_processes(work, items, share, LEAST_PROCESSES))
    return [list(itertools.islice(examples, len(rows))) for rows in lists]


def _encode(
    tokenizer,
    settings: list,
    few_shot: Turns,
    prompt_format: PromptFormat,
    arrays: bool,
    items: list[tuple[int, dict, Passages]],
) -> list[encoding.Example]:
    """Encode (split, row, passages) with the settings of each split, in the order of the items."""
    examples: list = [None] * len(items)
    for split, train in enumerate(settings):
        places = [place for place, item in enumerate(items) if item[0] == split]
        rows, passages = [items[place][1] for place in places], {items[p][1]["uid"]: items[p][2] for p in places}
        encoded = encoding.encode_rows(tokenizer, rows, train, few_shot, passages, prompt_format)
        for place, example in zip(places, encoded, strict=True):
            examples[place] = example
    for example in examples if arrays else ():
        example["input_ids"] = np.asarray(example["input_ids"], dtype=np.int32)
        example["labels"] = np.asarray(example["labels"], dtype=np.int32)
    return examples
