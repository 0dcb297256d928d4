"""Record what decides a result: package versions, the commit, the time."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "datasets",
    "evaluate",
    "rouge-score",
    "accelerate",
    "numpy",
)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    return {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES}


@functools.cache  # each stage asks, and each answer is a file that is read
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def git_commit() -> str | None:
    """Return the commit of the checkout that contains ftlib; outside a checkout FTLIB_COMMIT, else None.

    A '+' is appended if there are uncommitted changes.
    """
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("FTLIB_COMMIT")  # installed from a wheel, or copied to a machine without git
    return commit.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def now() -> str:
    """Return the current time in UTC, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
