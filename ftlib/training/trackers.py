"""Report the figures of a training to TensorBoard or Trackio, through accelerate's trackers.

The figures are the numbers of the lines of `train_log.jsonl`, under the same names. Files lie in `<run>/trackers/`,
beside the stages and not in one, so that they survive a rebuild and have no checksum; each training has a folder
`training-001`, `training-002`, ... and a resumed one continues its own. `tensorboard --logdir <run>/trackers` shows
them; for Trackio, TRACKIO_DIR=<run>/trackers/trackio trackio show.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from accelerate.tracking import TensorBoardTracker, TrackioTracker
from transformers import TrainerCallback

from ftlib.config.settings import Config, ConfigError
from ftlib.runtime import distributed
from ftlib.runtime.console import log

FOLDER = "trackers"  # beside the stages of a run


def check_trackers(cfg: Config) -> None:
    """Check that the packages of `train.report_to` are installed. Raises ConfigError with the command that installs them."""
    missing = [name for name in cfg.train.report_to if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"train.report_to = {cfg.train.report_to}: {' and '.join(missing)} not installed here; run "
            f"`pip install {' '.join(missing)}`, or set train.report_to=[]"
        )


class Trackers(TrainerCallback):
    """The trackers of `train.report_to` during one training; only rank 0 reports."""

    def __init__(self, names: list[str], folder: Path):
        """names: see `train.report_to`. folder: of the adapter stage; the trackers write beside it."""
        self.names, self.folder, self.active = names, folder.parent / FOLDER, []

    def on_train_begin(self, args, state, control, **kwargs):
        """Start the trackers; a resumed training continues its curves from the checkpoint on."""
        if not (self.names and distributed.first()):
            return
        folder = training_folder(self.folder, resumed=state.global_step > 0)
        for name in self.names:
            if name == "tensorboard":  # purge_step hides what was reported after the checkpoint
                tracker = TensorBoardTracker(folder.name, folder.parent, purge_step=state.global_step + 1)
            else:
                os.environ.setdefault(
                    "TRACKIO_DIR", str(self.folder / "trackio")
                )  # read once, when trackio is imported
                run = self.folder.resolve().parent.name
                tracker = TrackioTracker(run, name=folder.name, resume="allow", embed=False)
            if hasattr(tracker, "start"):  # older releases of accelerate start in the constructor
                tracker.start()
            self.active.append(tracker)

    def report(self, entry: dict) -> None:
        """Report the numbers of a line of the log. A tracker that fails is dropped: the training matters more."""
        values = {key: value for key, value in entry.items() if key != "step" and isinstance(value, int | float)}
        for tracker in list(self.active) if values else ():
            try:
                tracker.log(values, step=entry["step"])
            except Exception as error:
                log.warning(f"train.report_to: {tracker.name} stopped at step {entry['step']} ({error})")
                self.active.remove(tracker)

    def on_train_end(self, args, state, control, **kwargs):
        """Close the trackers."""
        for tracker in self.active:
            tracker.finish()
        self.active = []


def training_folder(folder: Path, resumed: bool) -> Path:
    """Return the folder of this training, created: the last one of a resumed training, else a new one."""
    existing = sorted(folder.glob("training-[0-9]*"))
    if resumed and existing:
        return existing[-1]
    last = int(existing[-1].name.split("-")[1]) if existing else 0
    path = folder / f"training-{last + 1:03}"
    path.mkdir(parents=True)
    return path
