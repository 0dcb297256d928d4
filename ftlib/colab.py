"""Prepare a Colab runtime; the set-up cell of every notebook runs this file as a script.

It installs the packages that the runtime lacks and leaves alone those that its kernel has loaded: a plain `pip install`
may replace numpy or torch under a running kernel, and the notebook then fails ten cells later with an error about
binary versions. With constraints a conflict stops here, at the first cell, with what to do. Standard library only,
because it runs before anything is installed: `python ftlib/colab.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

DRIVE = Path("/content/drive")
HELD = ("torch", "numpy", "pandas", "pyarrow", "pillow", "transformers")  # preloaded: never to be replaced
# Preloaded, not needed, and yet in the way: beside an older torchao than this, PEFT raises at every adapter on a 16-bit layer.
TORCHAO = "torchao>=0.16"


def held_versions() -> list[str]:
    """Return 'name==version' of each preloaded package that is installed."""
    installed = _installed()
    return [f"{name}=={installed[name]}" for name in HELD if name in installed]


def _installed() -> dict[str, str]:
    """Return the version of each installed package, by its name in lower case."""
    found = [(each.metadata["Name"], each.version) for each in metadata.distributions()]
    return {name.lower(): version for name, version in found if name}


def requirements(root: Path) -> list[str]:
    """Return what ftlib and its page need, and a torchao that PEFT accepts if this runtime has one."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["app"]]
    return [*needed, TORCHAO] if "torchao" in _installed() else needed


def install(root: Path) -> None:
    """Install what is missing under constraints. Exits with a message if that would replace a preloaded package."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(held_versions()) + "\n")
        constraints.flush()
        command = [sys.executable, "-m", "pip", "install", "-c", constraints.name, *requirements(root)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(_failure(done.stdout, done.stderr))


def _failure(stdout: str, stderr: str) -> str:
    """Explain what pip failed on, and what to do about it."""
    # pip names the two sides of a conflict on stdout alone, and not at all with -q; a line for each release it tried, ours last
    conflict = stdout.partition("The conflict is caused by:\n")[2].partition("\n\n")[0].splitlines()[-4:]
    if conflict:
        said, what = conflict, "The course's packages do not fit what this runtime has preloaded:"
        advice = "if it stays, choose another runtime version under Runtime > Change runtime type."
    else:
        said = [line for line in stderr.splitlines() if line.startswith("ERROR")][-3:] or stderr.splitlines()[-3:]
        what, advice = "pip could not install the course's packages:", "if it stays, ask where you got the course."
    lines = [line.strip().replace("The user requested (constraint)", "this runtime has") for line in said]
    lines = [line.replace("The user requested", "the course needs") for line in lines]
    shown = "\n  ".join(line if len(line) < 200 else line[:200] + " ..." for line in lines)
    return f"{what}\n  {shown}\nChoose Runtime > Disconnect and delete runtime and run this cell again; {advice}"


def is_colab() -> bool:
    """Return True on Colab."""
    return "COLAB_RELEASE_TAG" in os.environ


def keep_runs(on_drive: bool) -> str:
    """Choose where runs are kept on Colab (FTLIB_RUNS) and describe it; a Drive that cannot be mounted is no error."""
    if not on_drive:
        return "runs: on this runtime's disk, gone with it; KEEP_ON_DRIVE = True in the first cell keeps them on your Drive"
    folder = DRIVE / "MyDrive" / "ftlib-runs"
    try:
        from google.colab import drive

        drive.mount(str(DRIVE))
        folder.mkdir(parents=True, exist_ok=True)
    except (
        Exception
    ) as error:  # mount has its own kinds (a refused consent, a time-out); whatever it was, the course continues
        return f"runs: on this runtime's disk, gone with it, because Drive could not be mounted ({type(error).__name__}: {error})"
    os.environ["FTLIB_RUNS"] = str(folder)
    return f"runs: on your Drive, {folder}"


if __name__ == "__main__":
    install(Path(__file__).resolve().parent.parent)
    print("installed; preloaded packages were left as they are: " + ", ".join(held_versions()))
