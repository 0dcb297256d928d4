"""A run that is killed at any moment goes on, and ends as if nobody had disturbed it (the work is done by kills.py)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ftlib.runs import STAGES

KILLS = Path(__file__).with_name("kills.py")


def survived(points: int, seed: int, seconds: int) -> dict:
    done = subprocess.run(
        [sys.executable, str(KILLS), "--points", str(points), "--seed", str(seed)],
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_every_stage_survives_each_signal_once():
    """A Colab runtime dies without warning; a stage that looks whole and is not would spoil all that comes after it."""
    found = survived(points=1, seed=1, seconds=600)
    assert found["failures"] == [] and found["survived"] == found["tried"] == 3 * len(STAGES)
    assert found["refused"] >= 1  # of those that began together


@pytest.mark.slow
def test_every_stage_survives_each_signal_at_twenty_moments():
    """The same at so many moments that a gap of a few hundredths of a second is found too."""
    found = survived(points=20, seed=2, seconds=3600)
    assert found["failures"] == [] and found["survived"] == found["tried"] == 60 * len(STAGES)
