"""Provide what a machine may lack: a home folder, a user name, a Unicode terminal.

Containers often run with a user id that has no passwd entry (`docker run --user 1234`); libraries that look up the home folder or
the user name then raise KeyError or RuntimeError. Windows consoles use cp1252 or cp850, where printing one curly quote raises
UnicodeEncodeError. The command line calls `prepare()` before anything else.
"""

from __future__ import annotations

import contextlib
import gc
import getpass
import os
import sys
from collections.abc import Iterator
from pathlib import Path

TURN = 0.0005  # seconds, see `short_turns`
HOMELESS = ".cache"  # replaces the home folder; inside the runs folder, which is always writable


def prepare() -> None:
    """Set HOME, HF_HOME, USER and the streams' error handlers where needed; idempotent."""
    # Standard output may lose a character; error messages keep it as an escape, because it can be part of a path.
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):  # a notebook's streams have none, and print every character
            stream.reconfigure(errors=errors)
    if not home():
        from ftlib.runtime.files import runs_root

        # transformers, matplotlib and torch put their caches there too
        for name in ("HOME", "USERPROFILE"):  # the second is Windows'
            os.environ[name] = str((runs_root() / HOMELESS).absolute())
    elif not writable(home() / ".cache" / "huggingface"):
        from ftlib.runtime.files import runs_root

        os.environ.setdefault("HF_HOME", str((runs_root() / HOMELESS / "huggingface").absolute()))
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # the type depends on the Python version
        os.environ["USER"] = f"uid{os.getuid()}" if hasattr(os, "getuid") else "user"


def collect_less_often() -> None:
    """Make Python collect garbage after 10,000 new objects instead of 700.

    torch, transformers and peft make millions of objects when they are imported, none of them garbage: collections take an
    eighth of that time.
    """
    gc.set_threshold(10_000)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import large libraries without collecting garbage.

    In a process that did not have torch yet, collections leave out what was imported from then on too: a capture of a CUDA
    graph, for example, begins with one.
    """
    first, enabled = "torch" not in sys.modules, gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if first:
            gc.freeze()
        if enabled:
            gc.enable()


@contextlib.contextmanager
def short_turns() -> Iterator[None]:
    """Let a thread that waits for Python's lock have it after half a millisecond instead of 5.

    A thread gives the lock up in each call of PyTorch that computes or copies, and gets it back only when the turn of another
    thread is over: beside one busy thread, adding LoRA to a model, a thousand such calls, takes seconds in place of a half.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def home() -> Path | None:
    """Return the home folder; None if there is none, or only an unwritable root directory."""
    try:
        folder = Path.home()
    except RuntimeError:
        return None
    return folder if folder != Path(folder.anchor) or os.access(folder, os.W_OK) else None


def writable(folder: Path) -> bool:
    """Return whether a folder exists (a shared cache may be read-only) or can be created."""
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    return existing == folder or os.access(existing, os.W_OK | os.X_OK)


def prints_unicode(stream) -> bool:
    """Return whether a text stream uses a UTF encoding and so can print every character."""
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "")
    return encoding.startswith("utf")
