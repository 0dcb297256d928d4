"""Find, validate and resume from checkpoints."""

from __future__ import annotations

from pathlib import Path

from transformers import TrainerState

from ftlib.runtime import distributed
from ftlib.runtime.console import log
from ftlib.runtime.files import read_json, write_json
from ftlib.training.trainer import ExamplesTrainer

CHECKPOINTS = "checkpoints"  # inside the stage folder, removed when training is done


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint (trainer_state.json is written last), or None."""
    complete = [state.parent for state in (folder / CHECKPOINTS).glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)


def best_checkpoint(checkpoint: Path, state: TrainerState) -> Path | None:
    """Return the best checkpoint that `state`, read from `checkpoint`, names, or None if it is gone.

    The Trainer records a path. Only its last component is used, next to `checkpoint`: if the run folder was moved, or
    the path is relative to another working directory, the Trainer would keep the last weights instead of the best ones.
    """
    if not state.best_model_checkpoint:
        return None
    path = checkpoint.parent / Path(state.best_model_checkpoint).name
    return path if path.is_dir() else None


def is_finished(state: TrainerState, steps: int) -> bool:
    """Return True if a training took its last step: all of `steps`, or early stopping ended it."""
    control = state.stateful_callbacks.get("TrainerControl", {})
    return state.global_step >= steps or bool(control.get("args", {}).get("should_training_stop"))


def finish(trainer: ExamplesTrainer, checkpoint: Path, state: TrainerState) -> None:
    """Load the weights that a finished training ends with: those of the best checkpoint, else of the last.

    Resuming from such a checkpoint would take one step too many, because the Trainer checks for the end only after a
    step.
    """
    trainer.state = state
    trainer._load_from_checkpoint(str(best_checkpoint(checkpoint, state) or checkpoint))


def resume(trainer: ExamplesTrainer, checkpoint: Path | None, steps: int) -> None:
    """Train to the end, from a checkpoint if there is one."""
    if checkpoint is None:
        trainer.train()
        return
    state_path = checkpoint / "trainer_state.json"
    state = TrainerState.load_from_json(str(state_path))
    best = best_checkpoint(checkpoint, state)
    if best and distributed.first() and state.best_model_checkpoint != str(best):
        state.best_model_checkpoint = str(best)
        write_json(state_path, read_json(state_path) | {"best_model_checkpoint": str(best)})
    distributed.wait()
    if is_finished(state, steps):
        log.info(f"training: all {state.global_step} steps are done (found at the last checkpoint)")
        finish(trainer, checkpoint, state)
        return
    log.info(f"training: resumes after step {state.global_step} (interrupted earlier)")
    trainer.train(resume_from_checkpoint=str(checkpoint))
