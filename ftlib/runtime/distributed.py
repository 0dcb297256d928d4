"""Several processes on one job, one a GPU: which one am I, and what does the first one do for all?

Why: `torchrun` and `accelerate launch` start the same command once a GPU. Every process trains on its share; files are written by
the first alone, and the others wait for it. With one process all of this does nothing.
How: torchrun --nproc_per_node 2 -m ftlib train --profile gpu
"""

from __future__ import annotations

import functools
import os
from datetime import timedelta

PATIENCE = timedelta(hours=6)  # the others wait while the first one merges or reports


def world() -> int:
    """How many processes the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", 1))


def rank() -> int:
    return int(os.environ.get("RANK", 0))


@functools.cache
def sharded() -> bool:
    """True if the base is to be spread over the processes, as `accelerate launch --use_fsdp` says (see `sharding`).

    The launcher's word is taken away: accelerate would shard again what was sharded while it was loaded.
    """
    return os.environ.pop("ACCELERATE_USE_FSDP", "").lower() == "true" and world() > 1


def first() -> bool:
    """True for the one process that writes files and speaks."""
    return rank() == 0


def join() -> None:
    """Make the group of processes, NCCL between GPUs and gloo between CPUs; accelerate does it once."""
    import torch
    from accelerate import PartialState

    sharded()
    PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


def leave() -> None:
    """Close the group before Python ends.

    gloo's threads may hold the last message still and drop it when Python is half gone; that ends the process with SIGABRT and
    the launcher calls a finished run failed (measured: one process in ten; PyTorch's pull request 179291 describes it).
    """
    if world() > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()


def agree(value):
    """What the first process says, told to all (any picklable value of our own)."""
    if world() == 1:
        return value
    import torch.distributed as dist

    join()
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def wait() -> None:
    """Go on when all processes have come here."""
    agree(None)
    if world() > 1:
        import torch.distributed as dist

        dist.barrier()


def total(values: list[float]) -> list[float]:
    """The sums of several numbers over all processes."""
    if world() == 1:
        return values
    import torch
    import torch.distributed as dist

    from ftlib.runtime import hardware

    join()
    summed = torch.tensor(values, dtype=torch.float64, device=hardware.device())
    dist.all_reduce(summed)
    return summed.tolist()


def mine(items: list) -> list:
    """This process's share of a list: every `world()`-th item."""
    return items[rank() :: world()]
