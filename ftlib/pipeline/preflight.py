"""Check the base model's files, the settings and the disk before the first stage.

A base model whose files are incomplete, or whose layers cannot be trained, would otherwise end in a traceback after
minutes of preparing rows. `stages.ensure` calls `check_run`; no weight is loaded.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.models.checks import check_base, gguf_problem
from ftlib.models.loading import count_parameters, load_model_config
from ftlib.runtime.console import log
from ftlib.runtime.errors import FtlibError, storage_problem
from ftlib.training.trackers import check_trackers

SPARE_BYTES = 200 * 2**20  # for answers, logs and what else a run writes


def check_run(cfg: Config, folder: Path, merges: bool) -> None:
    """Refuse what cannot work, before any stage is built.

    Raises ModelError, ConfigError or FtlibError, in one line with what to do.
    """
    check_folder(folder)
    check_trackers(cfg)
    check_base(cfg)
    if not (folder / "adapter" / "manifest.json").exists() and (
        reason := gguf_problem(load_model_config(cfg.model.name))
    ):
        log.info(f"  note: {cfg.model.name} cannot be exported as GGUF ({reason}); everything else works")
    if merges and not (folder / "merged" / "manifest.json").exists():
        check_space(cfg, folder)


def check_folder(folder: Path) -> None:
    """Raise FtlibError if nothing can be written to the run's folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FtlibError(storage_problem(error) or f"{folder}: {error}") from error


def check_space(cfg: Config, folder: Path) -> None:
    """Raise FtlibError if the disk has no room for the merged model, and for checkpoints of all weights."""
    weights = count_parameters(cfg.model.name)
    # float32 weights and two AdamW moments of each, in two checkpoints
    needed = SPARE_BYTES + weights * (2 if cfg.lora.r else 2 + 2 * 12)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FtlibError(
            f"{folder}: {free / 1e9:.1f} GB are free, and a run with {cfg.model.name} writes about {needed / 1e9:.1f} GB: "
            "free some space (`ftlib runs clean NAME`), or move the runs with FTLIB_RUNS"
        )
