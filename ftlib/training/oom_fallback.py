"""What gives way where a training does not fit in the memory: a ladder, each rung with its reason, tried before the training.

What: `fit` builds the trainer and lets `probe` try the largest step. Where that runs out of memory, one setting changes and the
trainer is built anew: the fast step is dropped (a plain one has exactly `train.examples_per_step` examples), then fewer examples
go through the model at once, then activations are recomputed. Why not quietly: what the user set is kept, and each change is
printed and stands in the manifest. How: `ftlib train` calls it; with fewer than `ENOUGH` steps left, the training just begins.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import torch

from ftlib.config.settings import Config
from ftlib.runtime import distributed, hardware
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import read_json, write_json
from ftlib.training.compiled_step import FixedTrainer
from ftlib.training.dry_run import expectation, probe
from ftlib.training.trainer import ExamplesTrainer

ENOUGH = 100  # steps: of fewer, five are a share worth saving, and the progress bar soon tells as much
ADJUSTED = "adjusted.json"  # beside the checkpoints: a training goes on with the settings that it was begun with


class OutOfMemory(FtlibError):
    """The training does not fit; the message says what to set."""


def fit(
    cfg: Config, build: Callable[[Config], tuple[ExamplesTrainer, dict]], checkpoints: Path, done: int
) -> tuple[ExamplesTrainer, dict]:
    """A trainer whose largest step fits in the memory, and what is known of it; prints what is expected, and what gave way.

    build: settings -> (trainer, what is known). checkpoints: the folder of an interrupted training, which made `done` steps.
    What the user set is not changed: then, and at the end of the ladder, raises OutOfMemory with what to set.
    """
    path = checkpoints / ADJUSTED
    given = distributed.agree(read_json(path) if distributed.first() and path.exists() else {})
    while True:
        changes = {key: change["value"] for key, change in given.items()}
        settings = cfg.model_copy(update={"train": cfg.train.model_copy(update=changes)})
        try:
            trainer, about = build(settings)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(f"the model alone does not fit in {_room()}: {advice(settings)}") from error
        # with a sharded base a process that fails would leave the others waiting
        worth = trainer.args.max_steps - done >= ENOUGH and not distributed.sharded()
        found = _tried(trainer, done) if worth else None
        if found != {}:
            break
        if done:
            raise OutOfMemory(
                f"the interrupted training no longer fits in {_room()}: end what else uses the GPU (nvidia-smi lists it) and "
                f"run the same command again, or remove {checkpoints.parent} to begin anew"
            )
        given |= _next_rung(settings, trainer)
        del trainer
        free()
    if distributed.first():
        path.unlink(missing_ok=True)
        if given:
            write_json(path, given)
    if found:
        print(expectation(found), flush=True)
    return trainer, about | {
        "reasons": about["reasons"] | {f"train.{key}": change["reason"] for key, change in given.items()},
        "adjusted": {f"train.{key}": value for key, value in changes.items()},
        "expected_seconds": round(found["expected_seconds"], 2) if found else None,
        "expected_peak_gib": found["peak_gib"] if found else None,
    }


def smaller(cfg: Config, trainer: ExamplesTrainer, about: dict, checkpoints: Path) -> None:
    """The memory ran out in the middle of a training: write down the next smaller setting, for `fit` to go on with.

    about: as `fit` returned it. Raises OutOfMemory at the end of the ladder, or where the user set what would have to give way.
    """
    adjusted = {key.removeprefix("train."): value for key, value in about["adjusted"].items()}
    path = checkpoints / ADJUSTED
    given = read_json(path) if path.exists() else {}
    settings = cfg.model_copy(update={"train": cfg.train.model_copy(update=adjusted)})
    checkpoints.mkdir(parents=True, exist_ok=True)
    write_json(path, given | _next_rung(settings, trainer))


def auto_batch() -> bool:
    """FTLIB_AUTO_BATCH=1 (`--auto-batch`): a training that runs out of memory goes on by itself with a smaller setting."""
    return os.environ.get("FTLIB_AUTO_BATCH") == "1"


def _next_rung(settings: Config, trainer: ExamplesTrainer) -> dict:
    key, change = gives_way(settings, trainer)
    print(f"  note: train.{key} = {change['reason']}", flush=True)
    return {key: change}


def gives_way(cfg: Config, trainer: ExamplesTrainer) -> tuple[str, dict]:
    """(key of `train`, {value, reason}): what saves memory next, from what costs least time to what costs most.

    A recorded fast step keeps memory of its own; fewer examples at once leave the step as it is, in more and smaller passes;
    recomputing activations is a second forward pass. Raises OutOfMemory with what to set if the user decided it, or at the end.
    """
    micro, parts = trainer.args.per_device_train_batch_size, trainer.args.gradient_accumulation_steps
    if isinstance(trainer, FixedTrainer):
        key, value, what = "compile", False, "the fast step"
    elif micro > 1:
        half = max(n for n in range(1, micro // 2 + 1) if micro * parts % n == 0)
        key, value, what = "micro_batch", half, f"{micro} examples at once"
    elif not cfg.train.checkpointing:
        key, value, what = "checkpointing", True, "one example at once with its activations"
    else:
        raise OutOfMemory(f"one example at once, its activations recomputed, does not fit in {_room()}: {advice(cfg)}")
    if cfg.set_by_user(f"train.{key}"):
        raise OutOfMemory(
            f"train.{key} = {_value(cfg.get(f'train.{key}'))} ({cfg.source(f'train.{key}')}): {what} did not fit in {_room()}; "
            f"set train.{key}={_value(value)}, or {advice(cfg)}"
        )
    return key, {"value": value, "reason": f"{_value(value)}: {what} did not fit in {_room()}"}


def advice(cfg: Config) -> str:
    """What the user can set where memory runs out, the settings that change least first."""
    ways = [f"a smaller train.max_length (now {cfg.train.max_length})", f"a smaller lora.r (now {cfg.lora.r})"]
    if cfg.model.quantization != "nf4":
        ways.insert(0, "model.quantization=nf4")
    return f"set {', '.join(ways)} or a smaller model.name"


def _room() -> str:
    return f"{hardware.memory_gib():.1f} GiB of {'GPU memory' if torch.cuda.is_available() else 'memory'}"


def _value(value) -> str:
    """A value as `--set` takes it."""
    return "null" if value is None else str(value).lower()


def _tried(trainer: ExamplesTrainer, done: int) -> dict:
    """What the probe found; {} if memory ran out. The error is not handed on: its traceback holds tensors."""
    try:
        return probe(trainer, done)
    except torch.OutOfMemoryError:
        return {}


def free() -> None:
    """Give back what a trainer took that is no longer named anywhere."""
    torch._dynamo.reset()  # compiled code holds the layers
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
