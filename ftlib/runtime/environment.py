"""Make up for what a machine may lack: a home folder, a user name, a terminal that can print every character.

Why: containers run with user ids that no list knows (`docker run --user 1234`), and there libraries that look up the home folder
or the user's name raise KeyError or RuntimeError; Windows consoles print cp1252 or cp850, and one curly quote of a product ended
a run.
How: the command line calls `prepare()` before anything else.
"""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

HOMELESS = ".cache"  # in the folder of the runs, the one place that is writable for sure


def prepare() -> None:
    """Set what is missing, for this process and those that it starts. Repeatable."""
    # a name in an error message is worth its escapes; an answer is not worth the run
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):  # a notebook's streams have none, and print every character
            stream.reconfigure(errors=errors)
    if not home():
        from ftlib.runtime.files import runs_root

        # transformers, matplotlib and torch put their caches there too
        os.environ["HOME"] = str((runs_root() / HOMELESS).absolute())
    elif not writable(home() / ".cache" / "huggingface"):
        from ftlib.runtime.files import runs_root

        os.environ.setdefault("HF_HOME", str((runs_root() / HOMELESS / "huggingface").absolute()))
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # which of them depends on the version of Python
        os.environ["USER"] = f"uid{os.getuid()}" if hasattr(os, "getuid") else "user"


def home() -> Path | None:
    """The home folder, or None where there is none or it is the root of the disk (as for users that no list knows)."""
    try:
        found = Path.home()
    except RuntimeError:
        return None
    return found if found != Path(found.anchor) or os.access(found, os.W_OK) else None


def writable(folder: Path) -> bool:
    """True if a folder is there (a teacher's cache may be read-only) or can be made."""
    there = next(each for each in (folder, *folder.parents) if os.path.exists(each))
    return there == folder or os.access(there, os.W_OK | os.X_OK)


def prints_unicode(stream) -> bool:
    """True if a text stream can print every character."""
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "")
    return encoding.startswith("utf")
