"""Coordinate the processes of one job, one per GPU, started by `torchrun` or `accelerate launch`.

Every process trains on its share of the data; only rank 0 writes files, and the others wait for it. With a single process all
functions here are no-ops. Run it with `torchrun --nproc_per_node 2 -m ftlib train --profile gpu`.
"""

from __future__ import annotations

import os
from datetime import timedelta

PATIENCE = timedelta(hours=6)  # timeout of collectives: the other ranks wait while rank 0 merges or reports


def world() -> int:
    """Return the number of processes that the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", 1))


def rank() -> int:
    """Return the index of this process, 0 without a launcher."""
    return int(os.environ.get("RANK", 0))


def fsdp_requested() -> bool:
    """Return True under `accelerate launch --use_fsdp`, which the Trainer would obey."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def first() -> bool:
    """Return True on rank 0, the only process that writes files and prints."""
    return rank() == 0


def join() -> None:
    """Initialize the process group through accelerate; repeated calls do nothing.

    The backend is NCCL between GPUs and gloo between CPUs.
    """
    import torch
    from accelerate import PartialState

    PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


def leave() -> None:
    """Destroy the process group before the interpreter shuts down.

    Otherwise gloo's threads may release their last message during shutdown, which aborts the process (SIGABRT), and the launcher
    reports a finished run as failed. Measured in one process of ten; described in PyTorch's pull request 179291.
    """
    if world() > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()


def agree(value):
    """Broadcast rank 0's value, any picklable object, to all processes and return it."""
    if world() == 1:
        return value
    import torch.distributed as dist

    join()
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def wait() -> None:
    """Block until all processes have called this function (a barrier)."""
    agree(None)
    if world() > 1:
        import torch.distributed as dist

        dist.barrier()


def total(values: list[float]) -> list[float]:
    """Sum each value over all processes (all-reduce)."""
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
    """Return this process's share of a list: every `world()`-th item, from its rank on."""
    return items[rank() :: world()]
