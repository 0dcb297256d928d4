"""From encoded examples to batches: packed into fixed rows, or padded to the longest.

What: `PackingCollator` lays the examples of one optimiser step end to end into rows of `max_length` tokens. Why: rows of
descriptions have a mean of some 200 tokens and a maximum of 512, so padding each to the longest wastes more than half of the
work. The parts of a row do not see each other: `position_ids` start again at 0 in each, and transformers builds the
block-diagonal mask from that, but only if no attention_mask and no cache is given (`use_cache=False`). A test compares the
packed loss with the unpacked one. Source: Krell et al. 2021 (arXiv 2107.02027); best-fit decreasing as in TRL.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ftlib.prompts import IGNORED, Example


def pack(lengths: list[int], row_length: int) -> list[list[int]]:
    """Best-fit decreasing: positions of the examples in each row, so that no row exceeds `row_length` tokens.

    Raises ValueError for an example that fits in no row.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[position]
        if length > row_length:
            raise ValueError(
                f"an example of {length} tokens does not fit in rows of {row_length}; raise train.max_length"
            )
        fitting = [row for row, free in enumerate(room) if free >= length]
        if fitting:
            row = min(fitting, key=lambda r: room[r])
        else:
            row = len(rows)
            rows.append([])
            room.append(row_length)
        rows[row].append(position)
        room[row] -= length
    return rows


@dataclass
class PackingCollator:
    """Examples -> one packed batch. Tensors of shape (rows, row_length); `owners` says whose token each is (-1: padding)."""

    pad_id: int
    row_length: int

    def __call__(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        rows = pack([len(example["input_ids"]) for example in examples], self.row_length)
        shape = (len(rows), self.row_length)
        input_ids, labels = torch.full(shape, self.pad_id), torch.full(shape, IGNORED)
        position_ids, owners = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1)
        for row, members in enumerate(rows):
            start = 0
            for member in members:
                example, end = examples[member], start + len(examples[member]["input_ids"])
                input_ids[row, start:end] = torch.tensor(example["input_ids"])
                labels[row, start:end] = torch.tensor(example["labels"])
                labels[row, start] = IGNORED  # the token before it belongs to another example
                position_ids[row, start:end] = torch.arange(end - start)
                owners[row, start:end] = member
                start = end
            position_ids[row, start:] = torch.arange(self.row_length - start)  # the tail is a part of its own
        return {"input_ids": input_ids, "position_ids": position_ids, "labels": labels, "owners": owners}


@dataclass
class PaddingCollator:
    """Examples -> one batch padded on the right to the longest; padding is told by length, never by token id."""

    pad_id: int

    def __call__(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        longest = max(len(example["input_ids"]) for example in examples)
        shape = (len(examples), longest)
        input_ids, labels = torch.full(shape, self.pad_id), torch.full(shape, IGNORED)
        owners = torch.full(shape, -1)
        for row, example in enumerate(examples):
            end = len(example["input_ids"])
            input_ids[row, :end] = torch.tensor(example["input_ids"])
            labels[row, 1:end] = torch.tensor(example["labels"][1:])  # nothing comes before the first token
            owners[row, :end] = row
        return {"input_ids": input_ids, "attention_mask": (owners >= 0).long(), "labels": labels, "owners": owners}


def make_collator(batching: str, pad_id: int, max_length: int):
    """The collator of `train.batching`: packed, or padded (which `grouped` uses too, on examples of like length)."""
    return PackingCollator(pad_id, max_length) if batching == "packed" else PaddingCollator(pad_id)


def efficiency(batch: dict[str, torch.Tensor]) -> tuple[int, int]:
    """(tokens, slots) of a batch; slots minus tokens is padding."""
    return int((batch["owners"] >= 0).sum()), batch["owners"].numel()
