"""List, compare and clean runs."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from ftlib.pipeline.stage import STAGES, Run
from ftlib.runtime.files import read_json, runs_root


def list_runs(root: Path | None = None) -> list[Run]:
    """Return the runs under a folder (default: runs_root()), sorted by name."""
    root = root or runs_root()
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.exists() else []
    return [run for run in map(Run, folders) if run.manifests()]


def size_mb(path: Path) -> float:
    """Return the size of a folder, in MB."""
    return round(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 2**20, 1)


def headline(run: Run) -> dict[str, float]:
    """Return the few figures that distinguish runs, from the unseen titles of `metrics.json`; {} without one."""
    path = run.path / "evaluation" / "metrics.json"
    if not path.exists():
        return {}
    systems = read_json(path)["unseen"]["systems"]
    columns = [(s, m) for m in ("nll", "rougeL", "format") for s in ("base", "tuned")]
    return {f"{m} {s}": systems[s][m]["mean"] for s, m in columns if m in systems.get(s, {})}


def compare(runs: list[Run]) -> dict[str, dict[str, object]]:
    """Return {run name: {setting that differs between the runs, and headline metric: value}}."""
    from ftlib.config.neutral import NEUTRAL
    from ftlib.config.settings import flatten

    settings = {run.path.name: flatten(_recorded(run)) for run in runs}
    keys = sorted({key for values in settings.values() for key in values})
    neutral = {key: value for key, value in NEUTRAL.items() if key in keys}  # recorded before the setting existed
    settings = {name: neutral | values for name, values in settings.items()}
    differing = [key for key in keys if len({repr(values.get(key)) for values in settings.values()}) > 1]
    return {run.path.name: {key: settings[run.path.name].get(key) for key in differing} | headline(run) for run in runs}


def _recorded(run: Run) -> dict:
    """Return the settings of a run's stages, later stages over earlier ones."""
    recorded: dict = {}
    for manifest in run.manifests().values():
        recorded |= manifest["config"]
    return recorded


def clean(run: Run, everything: bool = False) -> float:
    """Remove what can be rebuilt from the rest, the merged weights and the index; with `everything`, the whole run.

    Answers and metrics are kept unless `everything`, and so are an interrupted training's checkpoints. Returns the MB
    that were freed. Raises StageBusy, before anything is removed, if a stage of these is being written.
    """
    before = size_mb(run.path)
    stages = [run.stage(name) for name in (STAGES if everything else ("index", "merged"))]
    with contextlib.ExitStack() as locks:
        for stage in stages:
            locks.enter_context(stage.lock())
        for stage in stages:
            stage.remove()
    if everything:
        _remove_trackers(run.path / "trackers")
        for name in STAGES:
            (run.path / f".{name}.lock").unlink(missing_ok=True)
        if not any(run.path.iterdir()):
            run.path.rmdir()
            return before
    return round(before - size_mb(run.path), 1)


def _remove_trackers(folder: Path) -> None:
    """Delete what `train.report_to` wrote, and the folder if nothing else is in it."""
    for path in (*folder.glob("training-[0-9]*"), folder / "trackio"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
