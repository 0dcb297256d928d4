"""Out-of-memory fallback: disable the compiled step, halve the micro-batch, enable activation checkpointing.

`fit` builds the trainer and takes the largest step in a dry run. If memory runs out, one setting changes and the
trainer is built again; a plain step has exactly `train.examples_per_step` examples. Settings that the user made are
never changed; every change is printed and recorded in the manifest. With fewer than `ENOUGH` steps left there is no dry
run.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import torch

from ftlib.config.settings import Config
from ftlib.runtime import distributed, hardware, timeline
from ftlib.runtime.console import log
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import read_json, write_json
from ftlib.training.compiled_step import FixedTrainer
from ftlib.training.dry_run import expectation, probe
from ftlib.training.trainer import ExamplesTrainer

ENOUGH = 100  # steps; with fewer, five extra steps are not worth it, and the progress bar soon shows as much
ADJUSTED = "adjusted.json"  # next to the checkpoints: a training resumes with the settings of its start


class OutOfMemory(FtlibError):
    """The training does not fit; the message says what to set."""


def fit(
    cfg: Config, build: Callable[[Config], tuple[ExamplesTrainer, dict]], checkpoints: Path, done: int
) -> tuple[ExamplesTrainer, dict]:
    """Build a trainer whose largest step fits in memory; print the estimate and what was changed.

    Args:
        build: settings -> (trainer, what the manifest records of it).
        checkpoints: of an interrupted training, which took `done` steps.

    Returns:
        The trainer, and what the manifest records: that of `build`, the changes with their reasons, the estimate.

    Raises:
        OutOfMemory: the last change did not help, or the user set what would have to change.
    """
    path = checkpoints / ADJUSTED
    adjusted = distributed.agree(read_json(path) if distributed.first() and path.exists() else {})
    while True:
        settings = _with_changes(cfg, adjusted)
        try:
            trainer, record = build(settings)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(f"the model alone does not fit in {_memory()}: {advice(settings)}") from error
        fits, estimate = _dry_run(trainer, done)
        if fits:
            break
        if done:
            raise OutOfMemory(
                f"the interrupted training no longer fits in {_memory()}: end what else uses the GPU (nvidia-smi lists it) "
                f"and run the same command again, or remove {checkpoints.parent} to start over"
            )
        adjusted |= _next_change(settings, trainer)
        del trainer
        free()
    if distributed.first():
        path.unlink(missing_ok=True)
        if adjusted:
            write_json(path, adjusted)
    if estimate:
        log.info(expectation(estimate))
    return trainer, record | {
        "reasons": record["reasons"] | {f"train.{key}": change["reason"] for key, change in adjusted.items()},
        "adjusted": {f"train.{key}": change["value"] for key, change in adjusted.items()},
        "expected_seconds": round(estimate["expected_seconds"], 2) if estimate else None,
        "expected_peak_gib": estimate["peak_gib"] if estimate else None,
    }


def _with_changes(cfg: Config, adjusted: dict) -> Config:
    """Return the settings with the changes to `train`. adjusted: {key: {value, reason}}."""
    changes = {key: change["value"] for key, change in adjusted.items()}
    return cfg.model_copy(update={"train": cfg.train.model_copy(update=changes)})


def _dry_run(trainer: ExamplesTrainer, done: int) -> tuple[bool, dict | None]:
    """Return (whether the largest step fits, the estimate of `dry_run.probe`); (True, None) without a dry run.

    The error is dropped, because its traceback references tensors.
    """
    if trainer.args.max_steps - done < ENOUGH:
        return True, None
    try:
        with timeline.phase("dry run"):
            return True, probe(trainer, done)
    except torch.OutOfMemoryError:
        return False, None


def record_smaller(cfg: Config, trainer: ExamplesTrainer, record: dict, checkpoints: Path) -> None:
    """Record the next smaller setting after memory ran out in the middle of a training; the next `fit` applies it.

    record: as `fit` returned it. Raises OutOfMemory as `fit` does.
    """
    changes = {key.removeprefix("train."): value for key, value in record["adjusted"].items()}
    settings = cfg.model_copy(update={"train": cfg.train.model_copy(update=changes)})
    path = checkpoints / ADJUSTED
    adjusted = read_json(path) if path.exists() else {}
    checkpoints.mkdir(parents=True, exist_ok=True)
    write_json(path, adjusted | _next_change(settings, trainer))


def auto_batch() -> bool:
    """Return True with FTLIB_AUTO_BATCH=1 (`--auto-batch`): restart with smaller settings when memory runs out."""
    return os.environ.get("FTLIB_AUTO_BATCH") == "1"


def _next_change(settings: Config, trainer: ExamplesTrainer) -> dict:
    key, change = next_change(settings, trainer)
    log.info(f"  note: train.{key} = {change['reason']}")
    return {key: change}


def next_change(cfg: Config, trainer: ExamplesTrainer) -> tuple[str, dict]:
    """Return (key of `train`, {value, reason}): the change that saves memory at the least cost in time.

    A CUDA graph has a memory pool of its own; a smaller micro-batch computes the same step in more passes; activation
    checkpointing adds a second forward pass. Raises OutOfMemory with what to set if the user set that key, or if
    nothing is left to change.
    """
    micro, passes = trainer.args.per_device_train_batch_size, trainer.args.gradient_accumulation_steps
    if isinstance(trainer, FixedTrainer):
        key, value, workload = "compile", False, "the compiled step"
    elif micro > 1:
        half = max(n for n in range(1, micro // 2 + 1) if micro * passes % n == 0)
        key, value, workload = "micro_batch", half, f"{micro} examples at once"
    elif not cfg.train.checkpointing:
        key, value, workload = "checkpointing", True, "one example at once with its activations"
    else:
        raise OutOfMemory(
            f"one example at once, its activations recomputed, does not fit in {_memory()}: {advice(cfg)}"
        )
    if cfg.set_by_user(f"train.{key}"):
        raise OutOfMemory(
            f"train.{key} = {_value(cfg.get(f'train.{key}'))} ({cfg.provenance(f'train.{key}')}): {workload} did not fit in "
            f"{_memory()}; set train.{key}={_value(value)}, or {advice(cfg)}"
        )
    return key, {"value": value, "reason": f"{_value(value)}: {workload} did not fit in {_memory()}"}


def advice(cfg: Config) -> str:
    """Return what the user can set where memory runs out, the settings that change least first."""
    ways = [f"a smaller train.max_length (now {cfg.train.max_length})", f"a smaller lora.r (now {cfg.lora.r})"]
    if cfg.train.context_rows:
        ways.insert(0, f"a smaller train.context_tokens (now {cfg.train.context_tokens})")
    if cfg.model.quantization != "nf4":
        ways.insert(0, "model.quantization=nf4")
    return f"set {', '.join(ways)} or a smaller model.name"


def _memory() -> str:
    return f"{hardware.memory_gib():.1f} GiB of {'GPU memory' if torch.cuda.is_available() else 'memory'}"


def _value(value) -> str:
    """Format a value as `--set` takes it."""
    return "null" if value is None else str(value).lower()


def free() -> None:
    """Release the memory of a trainer that is no longer referenced."""
    torch._dynamo.reset()  # compiled code references the layers
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
