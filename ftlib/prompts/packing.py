"""From encoded examples to batches: packed into fixed rows, or padded to the longest.

What: `PackingCollator` lays the examples of one optimiser step end to end into rows of `max_length` tokens. Why: rows of
descriptions have a mean of some 200 tokens and a maximum of 512, so padding each to the longest wastes more than half of the
work. The parts of a row do not see each other: `position_ids` start again at 0 in each, and transformers builds the
block-diagonal mask from that, but only if no attention_mask and no cache is given (`use_cache=False`). A test compares the
packed loss with the unpacked one. Source: Krell et al. 2021 (arXiv 2107.02027); best-fit decreasing as in TRL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ftlib.prompts.encoding import IGNORED, Example

LOOK_AHEAD = 32  # examples that may wait for a later step while a step is filled: more of them waste fewer slots


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


def plan_steps(lengths: list[int], order: list[int], rows: int, row_length: int) -> list[list[list[int]]]:
    """Steps of exactly `rows` rows, filled in the given order: [step][row] -> positions of examples.

    An example that fits in no row of its step waits and goes first into the next one. Shapes are the same in every step, which
    compiled code and CUDA graphs need; the number of examples in a step varies instead. Raises ValueError for too long a one.
    """
    steps, queue, place = [], list[int](), 0
    while queue or place < len(order):
        members: list[list[int]] = [[] for _ in range(rows)]
        room, waiting = [row_length] * rows, list[int]()
        while queue or (place < len(order) and len(waiting) < LOOK_AHEAD):
            if queue:
                position = queue.pop(0)
            else:
                position, place = order[place], place + 1
            length = lengths[position]
            if length > row_length:
                raise ValueError(
                    f"an example of {length} tokens does not fit in rows of {row_length}; raise train.max_length"
                )
            fitting = [row for row in range(rows) if room[row] >= length]
            if fitting:
                row = min(fitting, key=lambda r: room[r])
                members[row].append(position)
                room[row] -= length
            else:
                waiting.append(position)
        steps.append(members)
        queue = waiting
    return steps


def rows_for(lengths: list[int], examples_per_step: int, row_length: int) -> int:
    """Rows a step whose mean number of examples comes nearest to `examples_per_step`, found by planning an epoch."""
    guess = max(1, round(examples_per_step * sum(lengths) / len(lengths) / row_length))
    order = list(range(len(lengths)))
    means = {rows: len(lengths) / len(plan_steps(lengths, order, rows, row_length)) for rows in (guess, guess + 1)}
    return min(means, key=lambda rows: abs(means[rows] - examples_per_step))


@dataclass
class Flat:
    """Encoded examples laid end to end, so that nothing is done a token; as a sequence, they are the examples.

    Arrays: ids and labels (tokens,); uids, lengths, prompt_tokens and cut (examples,).
    """

    uids: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray
    prompt_tokens: np.ndarray
    cut: np.ndarray

    def __post_init__(self):
        self.starts = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, place: int) -> Example:
        here = slice(self.starts[place], self.starts[place + 1])
        return Example(
            uid=str(self.uids[place]),
            input_ids=self.ids[here],  # type: ignore[typeddict-item]  # an array serves as well as a list
            labels=self.labels[here],  # type: ignore[typeddict-item]
            prompt_tokens=int(self.prompt_tokens[place]),
            cut=bool(self.cut[place]),
        )

    def __iter__(self) -> Iterator[Example]:
        return (self[place] for place in range(len(self)))


def to_flat(examples: list[Example] | Flat) -> Flat:
    """Examples as one `Flat`."""
    if isinstance(examples, Flat):
        return examples
    return Flat(
        uids=np.asarray([example["uid"] for example in examples], dtype=object),
        ids=np.concatenate([np.asarray(example["input_ids"], dtype=np.int32) for example in examples]),
        labels=np.concatenate([np.asarray(example["labels"], dtype=np.int32) for example in examples]),
        lengths=np.asarray([len(example["input_ids"]) for example in examples]),
        prompt_tokens=np.asarray([example["prompt_tokens"] for example in examples]),
        cut=np.asarray([example["cut"] for example in examples]),
    )


class PackedSteps(torch.utils.data.Dataset):
    """Whole steps in one shape, built from flat arrays: no Python work a token, nothing decided while the GPU waits.

    Item k is part k % parts of step k // parts, so that `parts` processes that take turns share the rows of one step. Tensors
    of an item: input_ids and position_ids (rows, row_length); labels likewise, for counting; where and targets (capacity,):
    the flat positions whose next token is labelled, and that token, filled up with IGNORED; starts (most parts + 1,), int32:
    the flat positions where parts begin, filled up with the end of the last one; owners as in `PackingCollator`.
    """

    def __init__(
        self,
        examples: list[Example] | Flat,
        steps: list[list[list[int]]],
        row_length: int,
        pad_id: int,
        parts: int = 1,
    ):
        self.steps, self.row_length, self.pad_id, self.parts = steps, row_length, pad_id, parts
        self.rows = len(steps[0]) // parts
        flat = to_flat(examples)
        self.starts, self.ids, self.labels = flat.starts, flat.ids, flat.labels.copy()
        self.labels[self.starts[:-1]] = IGNORED  # nothing comes before the first token
        labelled = np.add.reduceat(self.labels != IGNORED, self.starts[:-1])
        self.capacity = max(
            sum(int(labelled[member]) for row in self.share(item) for member in row) for item in range(len(self))
        )
        self.most_parts = max(sum(map(len, self.share(item))) for item in range(len(self))) + self.rows  # and the tails

    def __len__(self) -> int:
        return len(self.steps) * self.parts

    def share(self, item: int) -> list[list[int]]:
        """Return the rows of an item: [row] -> positions of its examples."""
        first = item % self.parts * self.rows
        return self.steps[item // self.parts][first : first + self.rows]

    def examples_in(self, step: int) -> int:
        return sum(map(len, self.steps[step]))

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        shape = (self.rows, self.row_length)
        input_ids, labels = np.full(shape, self.pad_id), np.full(shape, IGNORED)
        position_ids, owners = np.zeros(shape, dtype=np.int64), np.full(shape, -1)
        for row, members in enumerate(self.share(item)):
            start = 0
            for member in members:
                begin, end = self.starts[member], self.starts[member + 1]
                here = slice(start, start + end - begin)
                input_ids[row, here], labels[row, here] = self.ids[begin:end], self.labels[begin:end]
                position_ids[row, here], owners[row, here] = np.arange(end - begin), member
                start = here.stop
            position_ids[row, start:] = np.arange(self.row_length - start)  # the tail is a part of its own
        flat = np.flatnonzero(labels.reshape(-1) != IGNORED)
        where, targets = np.zeros(self.capacity, dtype=np.int64), np.full(self.capacity, IGNORED)
        where[: len(flat)], targets[: len(flat)] = flat - 1, labels.reshape(-1)[flat]
        begins = np.flatnonzero(position_ids.reshape(-1) == 0)
        starts = np.full(self.most_parts + 1, position_ids.size, dtype=np.int32)
        starts[: len(begins)] = begins
        arrays: dict[str, np.ndarray] = {"input_ids": input_ids, "position_ids": position_ids, "labels": labels}
        arrays |= {"owners": owners, "where": where, "targets": targets, "starts": starts}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@dataclass
class PackingCollator:
    """Examples -> one packed batch. Tensors of shape (rows, row_length); `owners` says whose token each is (-1: padding)."""

    pad_id: int
    row_length: int

    def slots(self, lengths: list[int]) -> int:
        """Slots of the batch that examples of these lengths make."""
        return len(pack(lengths, self.row_length)) * self.row_length

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

    def slots(self, lengths: list[int]) -> int:
        """Slots of the batch that examples of these lengths make."""
        return len(lengths) * max(lengths)

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
