"""Types of the packages that everything else stands on; `[tool.mypy]` in pyproject.toml names them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_types():
    """A function that returns None where its caller expects text fails on the one row that reaches it."""
    pytest.importorskip("mypy", reason="a tool of the extra `test`")
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
