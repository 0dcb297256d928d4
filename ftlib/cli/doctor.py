"""`ftlib doctor`: what this machine has, which profile fits it and why, what is missing and how to install it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from pathlib import Path

from ftlib.config.settings import Config, profile_description
from ftlib.models.base_models import cache_dir
from ftlib.models.loading import precision
from ftlib.pipeline.run_admin import list_runs, size_mb
from ftlib.runtime import hardware, provenance
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import runs_root

# Module names: the packages whose versions every manifest records, and three that fail late when they are missing.
NEEDED = (*(name.replace("-", "_") for name in provenance.PACKAGES), "sacrebleu", "bm25s", "gguf")
FREE_GB = 5  # a merged TinyLlama has 2.2 GB, its base as much


def examine(one_gpu: str | None = None) -> tuple[list[str], list[str]]:
    """Return (facts, problems), a line each; every problem names its solution. one_gpu: what `use_one_gpu` did, if anything."""
    missing = [name for name in NEEDED if not importlib.util.find_spec(name)]
    problems = [f"{name} is not installed: pip install -e . -c constraints.txt" for name in missing]
    facts = [f"python {sys.version.split()[0]} on {platform.system()} {platform.machine()}"]
    facts += [f"{name} {version}" for name, version in provenance.versions().items() if name != "python"]
    if not missing:  # the other checks import them
        facts += _device(one_gpu)
        profile_facts, profile_problems = _profile()
        facts, problems = facts + profile_facts, problems + profile_problems
    facts += [f"runs: {runs_root()} ({len(list_runs())} runs)", _folder("cache", cache_dir())]
    return facts, problems + _disk(runs_root())


def _device(one_gpu: str | None) -> list[str]:
    """Describe the device and its memory."""
    return [
        f"device: {hardware.device_name()}",
        hardware.free_memory(),
        *([one_gpu] if one_gpu else []),
        *_other_devices(),
    ]


def _profile() -> tuple[list[str], list[str]]:
    """Return (facts, problems) of the profile that fits and of the choices it leaves to the machine."""
    facts = []
    try:
        cfg = Config.load()
        facts.append(f"profile {cfg.profile} ({profile_description(cfg.profile)}), because {cfg.profile_reason}")
        facts += [f"{key} = {reason}" for key, reason in precision(cfg).reasons.items()]
    except FtlibError as error:
        return facts, [str(error)]
    return facts, []


def _other_devices() -> list[str]:
    """Describe machines that the course was not tested on."""
    import torch

    words = []
    if torch.backends.mps.is_available():
        words.append(
            "Apple GPU (MPS): not used, because the course was not tested on one (bitsandbytes trains in 4 bits there from "
            "macOS 14 on); the cpu profile runs on this machine"
        )
    if platform.system() == "Windows":
        words.append(
            "Windows: the cpu profile runs, and bitsandbytes trains in 4 bits on NVIDIA GPUs too; the course was tested on "
            "Linux, so if something fails, use WSL2"
        )
    return words


def _folder(name: str, path: Path) -> str:
    return f"{name}: {path} ({size_mb(path) if path.exists() else 0} MB)"


def _disk(path: Path) -> list[str]:
    existing = next(parent for parent in (path.resolve(), *path.resolve().parents) if parent.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free >= FREE_GB:
        return []
    return [
        f"only {free:.1f} GB are free at {existing}: free some (`ftlib runs clean NAME`), or move the runs with FTLIB_RUNS"
    ]
