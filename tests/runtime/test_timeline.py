"""Phases of a command: what they add up to, and when they begin."""

import subprocess
import sys
import time

import pytest

from ftlib.runtime import timeline

AGE = """
import time
began = time.perf_counter()
from ftlib.runtime import timeline
at_work = time.perf_counter() - began
print(at_work, timeline.process_age())
"""


class Clock:
    """A clock that a test moves on."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(timeline.time, "perf_counter", lambda: self.now)

    def passes(self, seconds: float) -> None:
        self.now += seconds


def test_phases_with_start_and_other_are_all_of_the_time(monkeypatch):
    """Seconds of an inner phase that its outer one counts too would make more than the command took."""
    clock = Clock(monkeypatch)
    command = timeline.Timeline(began=97.0)
    clock.passes(1)
    with command.phase("load"):
        clock.passes(2)
        with command.phase("hash"):
            clock.passes(4)
        clock.passes(8)
    clock.passes(16)
    with command.phase("load"):
        clock.passes(32)
    assert command.read() == {"start": 4.0, "load": 42.0, "hash": 4.0, "other": 16.0}


def test_a_command_without_phases_is_all_start(monkeypatch):
    """Its time would be called `other`, as if something had begun."""
    clock = Clock(monkeypatch)
    command = timeline.Timeline(began=100.0)
    clock.passes(5)
    assert command.read() == {"start": 5.0, "other": 0.0}


def test_a_phase_that_fails_is_counted_and_closed(monkeypatch):
    """The next phase would lie inside of the failed one, and pause it for ever."""
    clock = Clock(monkeypatch)
    command = timeline.Timeline(began=100.0)
    with pytest.raises(ValueError), command.phase("load"):
        clock.passes(1)
        raise ValueError
    clock.passes(2)
    with command.phase("save"):
        clock.passes(4)
    assert command.read() == {"start": 0.0, "load": 1.0, "save": 4.0, "other": 2.0}


def test_the_age_of_a_process_lies_within_what_its_caller_waited():
    """The start of a process was taken from clocks in whole seconds: the phases of a job of 17.2 s added up to 17.7."""
    began = time.perf_counter()
    said = subprocess.run([sys.executable, "-c", AGE], capture_output=True, text=True, check=True).stdout
    waited = time.perf_counter() - began
    at_work, age = map(float, said.split())
    tick = 0.02  # the start is known to a clock tick
    assert at_work <= age + tick and age <= waited + tick
