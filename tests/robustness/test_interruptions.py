"""A run that is killed at any moment resumes, and ends as if nobody had disturbed it (the work is done by helpers/kills.py).

All of it belongs to the long run. The default suite holds the mechanisms: training/test_checkpoints.py (training) and
pipeline/test_stage.py::test_prepare_survives_a_kill_at_every_rename.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kills import POINTS, SCHEDULERS

from ftlib.pipeline.stage import STAGES

KILLS = Path(__file__).parents[1] / "helpers" / "kills.py"
pytestmark = pytest.mark.slow


def survived(seconds: int, *options: str) -> dict:
    command = [sys.executable, str(KILLS), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_every_stage_survives_each_signal_once():
    """A Colab runtime dies without warning; a stage that looks complete and is not would spoil all that comes after it."""
    found = survived(1200, "--random", "1", "--named", "0", "--schedulers", "cosine", "--seed", "1")
    assert found["failures"] == [] and found["survived"] == found["tried"] == 3 * len(STAGES)
    assert found["refused"] >= 1  # of those that started together


def test_three_hundred_kills_at_random_and_at_named_points():
    """The same with three schedulers, at so many moments that a gap of a few hundredths of a second is found too."""
    found = survived(7200, "--random", "3", "--named", "11", "--seed", "2")
    assert found["failures"] == [] and found["survived"] == found["tried"] == 300
    assert set(found["by_scheduler"]) == set(SCHEDULERS) and set(POINTS) <= set(found["by_point"])
