"""Prepare a notebook's runtime: install what it lacks. Every notebook's first cell calls `ftlib.set_up`.

On Colab and Kaggle it installs the packages that the runtime lacks and leaves alone those that its kernel has loaded: a
plain `pip install` may replace numpy or torch under a running kernel, and the notebook then fails ten cells later with an
error about binary versions. With constraints a conflict stops here, at the first cell, with what to do. Elsewhere it
installs into a virtual environment, and into no other. Standard library only, because it runs before anything is
installed.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("en", "pt-BR")
DRIVE = Path("/content/drive")
SHOWN = ("Collecting", "Installing", "Successfully", "ERROR")  # the lines of pip that a reader sees
HELD = ("torch", "numpy", "pandas", "pyarrow", "pillow", "transformers")  # preloaded: never to be replaced
# Preloaded, not needed, and yet in the way: beside an older torchao than this, PEFT raises at every adapter on a 16-bit layer.
TORCHAO = "torchao>=0.16"


def held_versions() -> list[str]:
    """Return 'name==version' of each preloaded package that is installed."""
    return [f"{name}=={version}" for name in HELD if (version := _version(name))]


def _version(name: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def requirements(root: Path) -> list[str]:
    """Return what ftlib and its page need, and a torchao that PEFT accepts if this runtime has one."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["app"]]
    return [*needed, TORCHAO] if _version("torchao") else needed


def missing(root: Path) -> list[str]:
    """Return the names of required packages that are not installed, whatever their version."""
    names = [re.match(r"[\w.-]+", requirement)[0] for requirement in requirements(root)]  # type: ignore[index]
    return [name for name in names if not _version(name)]


def prepare(language: str = "en") -> None:
    """Set the language of what teaches (one of LANGUAGES), and install what is missing."""
    if language not in LANGUAGES:
        sys.exit(f'LANGUAGE = "{language}": write one of {", ".join(LANGUAGES)}')
    os.environ["FTLIB_LANGUAGE"] = language
    if lacking := missing(ROOT):
        if not (is_colab() or is_kaggle() or in_environment()):
            sys.exit(
                f"this kernel's Python has no {', '.join(lacking)}, and it is the system's own, which a notebook should not "
                f"change: follow Quick start in {ROOT / 'README.md'}, then choose the kernel of its .venv"
            )
        install(ROOT, lacking)


def install(root: Path, lacking: list[str]) -> None:
    """Install what is missing under constraints, and show what pip does.

    Exits with a message if that would replace a preloaded package. lacking: names, for the message.
    """
    print(f"installing {', '.join(lacking)} and what they need: one to three minutes", flush=True)
    held = held_versions()
    if not (is_colab() or is_kaggle()):  # the versions that CI ran, except for what is there already
        preloaded = {line.partition("==")[0] for line in held}
        pins = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
        held += [line for line in pins if "==" in line and line.partition("==")[0].lower() not in preloaded]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(held) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "-c", str(constraints), *requirements(root)]
        said: list[str] = []
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
        ) as pip:
            for line in pip.stdout or ():
                said.append(line)
                if line.startswith(SHOWN):
                    print("  " + line.strip()[:110], flush=True)
    if pip.returncode:
        sys.exit(_failure("".join(said)))
    importlib.invalidate_caches()
    print("installed; preloaded packages were left as they are: " + ", ".join(held_versions()), flush=True)


def _failure(said: str) -> str:
    """Explain what pip failed on, and what to do about it. said: all that it printed."""
    # pip does not name the two sides of a conflict with -q; it prints a line for each release that it tried, ours last
    conflict = said.partition("The conflict is caused by:\n")[2].partition("\n\n")[0].splitlines()[-4:]
    if conflict:
        reasons, what = conflict, "The course's packages do not fit what this runtime has preloaded:"
        advice = "if it stays, choose another runtime version under Runtime > Change runtime type."
    else:
        reasons = [line for line in said.splitlines() if line.startswith("ERROR")][-3:] or said.splitlines()[-3:]
        what, advice = "pip could not install the course's packages:", "if it stays, ask where you got the course."
    lines = [_whose(line.strip()) for line in reasons]
    lines = [line.replace("The user requested", "the course needs") for line in lines]
    shown = "\n  ".join(line if len(line) < 200 else line[:200] + " ..." for line in lines)
    restart = "Choose Runtime > Disconnect and delete runtime" if is_colab() else "Restart the session"
    return f"{what}\n  {shown}\n{restart} and run this cell again; {advice}"


def _whose(line: str) -> str:
    """Say of a constraint whether the runtime or the course set it."""
    before, constraint, package = line.partition("The user requested (constraint) ")
    if not constraint:
        return line
    preloaded = {held.partition("==")[0] for held in held_versions()}
    owner = "this runtime" if package.partition("==")[0].lower() in preloaded else "constraints.txt"
    return f"{before}{owner} has {package}"


def is_colab() -> bool:
    """Return True on Colab."""
    return "COLAB_RELEASE_TAG" in os.environ


def is_kaggle() -> bool:
    """Return True on Kaggle."""
    return "KAGGLE_KERNEL_RUN_TYPE" in os.environ


def in_environment() -> bool:
    """Return True in a virtual or conda environment, which is there to be installed into."""
    return sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ


def how_to_get_a_gpu(tr: Callable = str.format) -> str | None:
    """Return where a runtime without a GPU gets one; None where nobody offers any.

    tr: `ftlib.runtime.language.tr`, which this module must not import.
    """
    if is_colab():
        return tr("Runtime > Change runtime type > T4 GPU, then run this cell again")
    return tr("Settings > Accelerator > GPU T4 x2, then run this cell again") if is_kaggle() else None


def keep_runs(on_drive: bool, tr: Callable = str.format) -> str:
    """Choose where runs are kept on Colab (FTLIB_RUNS) and describe it; a Drive that cannot be mounted is no error.

    tr: as in `how_to_get_a_gpu`.
    """
    if not on_drive:
        return tr(
            "runs: on this runtime's disk, gone with it; KEEP_ON_DRIVE = True in the first cell keeps them on your Drive"
        )
    folder = DRIVE / "MyDrive" / "ftlib-runs"
    try:
        from google.colab import drive

        drive.mount(str(DRIVE))
        folder.mkdir(parents=True, exist_ok=True)
    except (
        Exception
    ) as error:  # mount has its own kinds (a refused consent, a time-out); whatever it was, the course continues
        return tr(
            "runs: on this runtime's disk, gone with it, because Drive could not be mounted ({kind}: {error})",
            kind=type(error).__name__,
            error=error,
        )
    os.environ["FTLIB_RUNS"] = str(folder)
    return tr("runs: on your Drive, {folder}", folder=folder)
