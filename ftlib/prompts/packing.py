"""Batch encoded examples: packed into rows of fixed length, or padded to the longest.

Examples have a mean of about 200 tokens and a maximum of 512, so padding wastes more than half of the computation. A packed row
holds several examples, its segments, which do not attend to each other: `position_ids` restart at 0 in each segment, and
transformers derives the block-diagonal mask from them, but only without an attention_mask and with `use_cache=False`. A test
compares the packed loss with the unpacked one. Sources: Krell et al. 2021 (arXiv 2107.02027); best-fit decreasing as in TRL.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ftlib.prompts.encoding import IGNORED, Example

LOOK_AHEAD = 32  # examples that may be deferred to the next step; a larger value leaves less padding
TILE = 128  # tokens; a GPU's matrix products compute whole tiles, so a row of another length computes padding
LEAST_SHARED = 16  # tokens; computing fewer once saves less time than gathering the keys takes


def pack(lengths: list[int], row_length: int) -> list[list[int]]:
    """Pack examples into rows of at most `row_length` tokens (best-fit decreasing).

    Args:
        lengths: tokens of each example.
        row_length: tokens of a row.

    Returns:
        The indices of the examples in each row.

    Raises:
        ValueError: an example is longer than a row.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
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
        rows[row].append(index)
        room[row] -= length
    return rows


def plan_steps(lengths: list[int], order: list[int], rows: int, row_length: int) -> list[list[list[int]]]:
    """Pack examples, in the given order, into steps of exactly `rows` rows.

    All steps have the same shape, as compiled code and CUDA graphs require; the number of examples in a step varies instead. An
    example that fits in no row of a step is deferred and comes first in the next one.

    Returns:
        The indices of the examples, as [step][row][segment].

    Raises:
        ValueError: an example is longer than a row.
    """
    steps, queue, consumed = [], list[int](), 0
    while queue or consumed < len(order):
        step: list[list[int]] = [[] for _ in range(rows)]
        room, deferred = [row_length] * rows, list[int]()
        while queue or (consumed < len(order) and len(deferred) < LOOK_AHEAD):
            if queue:
                index = queue.pop(0)
            else:
                index, consumed = order[consumed], consumed + 1
            length = lengths[index]
            if length > row_length:
                raise ValueError(
                    f"an example of {length} tokens does not fit in rows of {row_length}; raise train.max_length"
                )
            fitting = [row for row in range(rows) if room[row] >= length]
            if fitting:
                row = min(fitting, key=lambda r: room[r])
                step[row].append(index)
                room[row] -= length
            else:
                deferred.append(index)
        steps.append(step)
        queue = deferred
    return steps


def rows_for(lengths: list[int], examples_per_step: int, row_length: int) -> int:
    """Return the rows per step for which a planned epoch averages closest to `examples_per_step`."""
    guess = max(1, round(examples_per_step * sum(lengths) / len(lengths) / row_length))
    order = list(range(len(lengths)))
    means = {rows: len(lengths) / len(plan_steps(lengths, order, rows, row_length)) for rows in (guess, guess + 1)}
    return min(means, key=lambda rows: abs(means[rows] - examples_per_step))


def row_length_for(lengths: list[int], examples: float, shared: int) -> int:
    """Return the length of one row for which a planned epoch averages closest to `examples` a row.

    lengths: of the examples without shared tokens. shared: tokens before the row, with which it fills whole tiles.
    """
    tiles = int((shared + examples * sum(lengths) / len(lengths)) / TILE)
    least = math.ceil((shared + max(lengths)) / TILE)
    order, means = list(range(len(lengths))), dict[int, float]()
    for count in {max(tiles, least), max(tiles + 1, least)}:
        row_length = count * TILE - shared
        means[row_length] = len(lengths) / len(plan_steps(lengths, order, 1, row_length))
    return min(means, key=lambda row_length: abs(means[row_length] - examples))


@dataclass
class Flat:
    """Encoded examples as concatenated arrays; a sequence of `Example` without Python work per token.

    Attributes:
        uids: (examples,).
        ids: (tokens,).
        labels: (tokens,).
        lengths: (examples,), in tokens.
        prompt_tokens: (examples,).
        cut: (examples,), True if the target was truncated.
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

    def __getitem__(self, index: int) -> Example:
        tokens = slice(self.starts[index], self.starts[index + 1])
        return Example(
            uid=str(self.uids[index]),
            input_ids=self.ids[tokens],  # type: ignore[typeddict-item]  # an array in place of a list
            labels=self.labels[tokens],  # type: ignore[typeddict-item]
            prompt_tokens=int(self.prompt_tokens[index]),
            cut=bool(self.cut[index]),
        )

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))


def to_flat(examples: list[Example] | Flat) -> Flat:
    """Concatenate examples into one `Flat`."""
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


def keys_of_segments(starts: np.ndarray, used: int, shared: int) -> dict[str, np.ndarray]:
    """Return which keys each segment of one row sees, where the first segment is what all others begin with.

    Args:
        starts: (segments + 1,), positions where segments start, padded with the end of the last one.
        used: segments that are no padding of `starts`.
        shared: tokens of the first segment.

    Returns:
        keys: (seen,), positions: the shared ones and then a segment's own, segment after segment, padded with 0.
        key_starts: (segments + 1,), int32, where segments start in `keys`, padded with the end of the last one.
        places: (tokens - shared,), where in `keys` the tokens that are not shared are.
    """
    numbers, tokens = np.minimum(np.arange(len(starts)), used), np.arange(shared, starts[-1])
    key_starts = starts + shared * np.maximum(numbers - 1, 0)  # each segment before has the shared keys too
    key_starts[0] = 0
    places = tokens + shared * (np.searchsorted(starts, tokens, side="right") - 1)
    keys = np.zeros(shared * (len(starts) - 1) + len(tokens), dtype=np.int64)
    keys[key_starts[:used, None] + np.arange(shared)] = np.arange(shared)
    keys[places] = tokens
    return {"keys": keys, "key_starts": key_starts.astype(np.int32), "places": places}


class PackedSteps(torch.utils.data.Dataset):
    """Dataset of packed steps that all have the same shape, built from flat arrays.

    Item k holds share k % processes of the rows of step k // processes, so that processes that take items in turn share each
    step. Tensors of an item, where capacity and segments are maxima over all items:

        input_ids, position_ids, labels, owners: (rows, shared + row_length), as in `PackingCollator`.
        where: (capacity,), flat positions whose next token is labeled, padded with 0.
        targets: (capacity,), that next token, padded with IGNORED.
        starts: (segments + 1,), int32, flat positions where segments start, padded with the end of the last one.

    With `shared`, the tokens with which all examples begin are the first segment of an item's only row, owned by no example, and
    the others begin after them; so their positions do. An item then has what `keys_of_segments` returns, too.
    """

    def __init__(
        self,
        examples: list[Example] | Flat,
        steps: list[list[list[int]]],
        row_length: int,
        pad_id: int,
        processes: int = 1,
        shared: int = 0,
        longest: int | None = None,
    ):
        """Prepare the items.

        Args:
            examples: all of them.
            steps: as from `plan_steps`, for lengths without shared tokens.
            row_length: tokens of a row, without shared ones.
            pad_id: the token of padding.
            processes: that share a step.
            shared: tokens with which all examples begin, to be computed once for an item; one row for each process then.
            longest: most tokens of a segment, its shared ones included; longer padding is several segments.
        """
        self.steps, self.row_length, self.pad_id, self.processes = steps, row_length, pad_id, processes
        self.rows, self.shared = len(steps[0]) // processes, shared
        self.padding = (longest or shared + row_length) - shared  # most tokens of a segment of padding
        flat = to_flat(examples)
        self.starts, self.ids, self.labels = flat.starts, flat.ids, flat.labels.copy()
        self.labels[self.starts[:-1]] = IGNORED  # no logits predict the first token
        labeled = np.add.reduceat(self.labels != IGNORED, self.starts[:-1])  # (examples,), labeled tokens of each
        self.capacity = max(
            sum(int(labeled[index]) for row in self.share(item) for index in row) for item in range(len(self))
        )
        self.max_segments = max(self._segments(self.share(item)) for item in range(len(self))) + bool(shared)

    def __len__(self) -> int:
        return len(self.steps) * self.processes

    def share(self, item: int) -> list[list[int]]:
        """Return the indices of an item's examples, as [row][segment]."""
        first = item % self.processes * self.rows
        return self.steps[item // self.processes][first : first + self.rows]

    def _segments(self, rows: list[list[int]]) -> int:
        """Return the segments of some rows, those of padding included."""
        return sum(len(row) + math.ceil(self._padding_of(row) / self.padding) for row in rows)

    def _padding_of(self, row: list[int]) -> int:
        return self.row_length - sum(int(self.starts[i + 1] - self.starts[i]) - self.shared for i in row)

    def examples_in(self, step: int) -> int:
        """Return the number of examples in a step."""
        return sum(map(len, self.steps[step]))

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        shape, shared = (self.rows, self.shared + self.row_length), self.shared
        input_ids, labels = np.full(shape, self.pad_id), np.full(shape, IGNORED)
        position_ids, owners = np.zeros(shape, dtype=np.int64), np.full(shape, -1)
        input_ids[:, :shared], position_ids[:, :shared] = self.ids[:shared], np.arange(shared)
        for row, indices in enumerate(self.share(item)):
            column = shared
            for index in indices:
                first, end = self.starts[index] + shared, self.starts[index + 1]
                segment = slice(column, column + end - first)
                input_ids[row, segment], labels[row, segment] = self.ids[first:end], self.labels[first:end]
                position_ids[row, segment], owners[row, segment] = shared + np.arange(end - first), index
                column = segment.stop
            # the padding is a segment of its own
            position_ids[row, column:] = shared + np.arange(shape[1] - column) % self.padding
        labeled = np.flatnonzero(labels.reshape(-1) != IGNORED)  # (labeled tokens,), flat positions
        where, targets = np.zeros(self.capacity, dtype=np.int64), np.full(self.capacity, IGNORED)
        where[: len(labeled)], targets[: len(labeled)] = labeled - 1, labels.reshape(-1)[labeled]
        segment_starts = np.flatnonzero(np.isin(position_ids.reshape(-1), (0, shared)))
        starts = np.full(self.max_segments + 1, position_ids.size, dtype=np.int32)
        starts[: len(segment_starts)] = segment_starts
        arrays: dict[str, np.ndarray] = {"input_ids": input_ids, "position_ids": position_ids, "labels": labels}
        arrays |= {"owners": owners, "where": where, "targets": targets, "starts": starts}
        if shared:
            arrays |= keys_of_segments(starts, len(segment_starts), shared)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@dataclass
class PackingCollator:
    """Collate examples into one packed batch.

    All tensors have shape (rows, row_length); `owners` holds the index of each token's example, -1 for padding.
    """

    pad_id: int
    row_length: int

    def slots(self, lengths: list[int]) -> int:
        """Return the tokens of a batch of examples with these lengths, padding included."""
        return len(pack(lengths, self.row_length)) * self.row_length

    def __call__(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        """Return the batch as {name: tensor}."""
        rows = pack([len(example["input_ids"]) for example in examples], self.row_length)
        shape = (len(rows), self.row_length)
        input_ids, labels = torch.full(shape, self.pad_id), torch.full(shape, IGNORED)
        position_ids, owners = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1)
        for row, indices in enumerate(rows):
            start = 0
            for index in indices:
                example, end = examples[index], start + len(examples[index]["input_ids"])
                input_ids[row, start:end] = torch.tensor(example["input_ids"])
                labels[row, start:end] = torch.tensor(example["labels"])
                labels[row, start] = IGNORED  # its logits would come from another example
                position_ids[row, start:end] = torch.arange(end - start)
                owners[row, start:end] = index
                start = end
            position_ids[row, start:] = torch.arange(self.row_length - start)  # the padding is a segment of its own
        return {"input_ids": input_ids, "position_ids": position_ids, "labels": labels, "owners": owners}


@dataclass
class PaddingCollator:
    """Collate examples into one batch, padded on the right to the longest.

    All tensors have shape (examples, longest). Padding is recognized by length, never by token id.
    """

    pad_id: int

    def slots(self, lengths: list[int]) -> int:
        """Return the tokens of a batch of examples with these lengths, padding included."""
        return len(lengths) * max(lengths)

    def __call__(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        """Return the batch as {name: tensor}."""
        longest = max(len(example["input_ids"]) for example in examples)
        shape = (len(examples), longest)
        input_ids, labels = torch.full(shape, self.pad_id), torch.full(shape, IGNORED)
        owners = torch.full(shape, -1)
        for row, example in enumerate(examples):
            end = len(example["input_ids"])
            input_ids[row, :end] = torch.tensor(example["input_ids"])
            labels[row, 1:end] = torch.tensor(example["labels"][1:])  # no logits predict the first token
            owners[row, :end] = row
        return {"input_ids": input_ids, "attention_mask": (owners >= 0).long(), "labels": labels, "owners": owners}


def make_collator(batching: str, pad_id: int, max_length: int):
    """Return the collator for `train.batching`; `grouped` pads examples of similar length."""
    return PackingCollator(pad_id, max_length) if batching == "packed" else PaddingCollator(pad_id)


def efficiency(batch: dict[str, torch.Tensor]) -> tuple[int, int]:
    """Return (tokens without padding, tokens with padding) of a batch."""
    return int((batch["owners"] >= 0).sum()), batch["owners"].numel()
