"""Record which rows of the training split the weights were trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ftlib.runtime import distributed

if TYPE_CHECKING:  # the trainer takes seconds to import, and a notebook that reads the uids does not train
    from ftlib.training.trainer import ExamplesTrainer

TRAINED_UIDS = "trained_uids.txt"  # in the adapter stage: the rows that its weights were trained on, in split order


def trained_uids(adapter: Path) -> list[str]:
    """Return the uids of the rows that an adapter stage was trained on, in the order of the split."""
    return (adapter / TRAINED_UIDS).read_text(encoding="utf-8").split("\n")[:-1]


def times_trained(trainer: ExamplesTrainer, rows: int) -> list[int]:
    """Return how often each of the `rows` training rows was in a step of the saved weights, in the order of the split.

    Steps after the best checkpoint do not count: their weights were dropped.
    """
    import torch

    from ftlib.training.dry_run import plan

    last = trainer.state.best_global_step if trainer.args.load_best_model_at_end else None
    times = torch.zeros(rows)
    for step in plan(trainer)[: last or trainer.state.global_step]:
        for example_idx in trainer.example_indices(step):
            times[example_idx] += 1
    return [int(count) for count in distributed.total(times.tolist())]
