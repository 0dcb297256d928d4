"""The install step on Colab, with pip and the runtime's packages played by stand-ins."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ftlib import colab


@pytest.fixture
def pip(monkeypatch):
    """Calls to pip with the constraints they were given; `answer` decides how pip ends."""
    played = SimpleNamespace(commands=[], constraints=[], answer=SimpleNamespace(returncode=0, stdout="", stderr=""))

    def run(command, **_):
        played.commands.append(command)
        played.constraints.append(open(command[command.index("-c") + 1]).read().split())
        return played.answer

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(colab, "_installed", lambda: {"torch": "2.11.0+cu128", "numpy": "2.0.2", "rich": "13.0"})
    return played


def test_preloaded_packages_are_held_at_their_versions(pip, request):
    """numpy swapped under a running kernel ends in an error about binary versions ten cells later."""
    colab.install(request.config.rootpath)
    assert pip.constraints == [["torch==2.11.0+cu128", "numpy==2.0.2"]]
    assert any(part.startswith("bitsandbytes>=") for part in pip.commands[0])


def test_a_torchao_that_peft_refuses_is_renewed(pip, request, monkeypatch):
    """Colab preloads torchao 0.10; beside it PEFT raises at the first merge, four notebooks after the set-up cell."""
    colab.install(request.config.rootpath)
    monkeypatch.setattr(colab, "_installed", lambda: {"torchao": "0.10.0"})
    colab.install(request.config.rootpath)
    assert [any(part.startswith("torchao") for part in command) for command in pip.commands] == [False, True]


CONFLICT = """\
Requirement already satisfied: filelock in /usr/lib (from datasets>=4.1) (3.29.0)

The conflict is caused by:
    datasets 4.2.0 depends on pyarrow>=21.0.0
    datasets 4.1.1 depends on pyarrow>=21.0.0
    datasets 4.1.0 depends on pyarrow>=21.0.0
    The user requested datasets>=4.1
    The user requested (constraint) pyarrow==18.1.0

To fix this you could try to:
1. loosen the range of package versions you've specified
"""


def test_a_conflict_stops_at_the_first_cell_and_names_both_sides(pip, request):
    """'Cannot install datasets', without the preloaded package that it clashes with, is a riddle. Words of pip 24.1.2."""
    pip.answer.returncode, pip.answer.stdout = 1, CONFLICT
    pip.answer.stderr = "ERROR: Cannot install datasets because these package versions have conflicting dependencies."
    with pytest.raises(SystemExit) as stopped:
        colab.install(request.config.rootpath)
    said = str(stopped.value)
    assert "do not fit what this runtime has preloaded" in said and "choose another runtime version" in said
    assert "the course needs datasets>=4.1\n  this runtime has pyarrow==18.1.0\n" in said
    assert "depends on pyarrow>=21.0.0" in said and "To fix this" not in said
    assert "-q" not in pip.commands[0] and "--quiet" not in pip.commands[0], "pip keeps the cause to itself then"


def test_a_network_that_is_down_is_not_called_a_conflict(pip, request):
    """Who is told to change the runtime because a package index did not answer looks in the wrong place for an hour."""
    pip.answer.returncode = 1
    pip.answer.stderr = "WARNING: Retrying\nERROR: Could not find evaluate (from versions: none" + ", 1.0" * 99 + ")\n"
    with pytest.raises(SystemExit, match="could not install") as stopped:
        colab.install(request.config.rootpath)
    said = str(stopped.value)
    assert "evaluate" in said and "preloaded" not in said and "WARNING" not in said and len(said) < 500


@pytest.fixture
def drive(monkeypatch, tmp_path):
    """Colab's `google.colab.drive`; `mount` may be replaced by one that fails."""
    played = SimpleNamespace(mount=lambda place: None)
    monkeypatch.setitem(sys.modules, "google", SimpleNamespace(colab=SimpleNamespace(drive=played)))
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(drive=played))
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "drive")
    monkeypatch.setenv("FTLIB_RUNS", "local")
    return played


def test_runs_are_kept_on_drive_if_asked(drive, tmp_path):
    """A training that lies on the runtime's disk is gone after a coffee break."""
    assert "MyDrive" in colab.keep_runs(True)
    assert os.environ["FTLIB_RUNS"] == str(tmp_path / "drive" / "MyDrive" / "ftlib-runs")


def test_a_drive_that_cannot_be_mounted_is_said_and_the_course_goes_on(drive):
    """A student who declines Google's consent must not be stuck at the first cell."""

    def refuse(place):
        raise ValueError("mount failed")

    drive.mount = refuse
    assert "could not be mounted (ValueError: mount failed)" in colab.keep_runs(True)
    assert os.environ["FTLIB_RUNS"] == "local"


def test_without_drive_the_reader_is_told_that_runs_go_with_the_runtime(drive):
    """Nobody reads a manual for this; the first cell must say it."""
    assert "KEEP_ON_DRIVE = True" in colab.keep_runs(False)
    assert os.environ["FTLIB_RUNS"] == "local"
