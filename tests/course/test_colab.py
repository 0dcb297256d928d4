"""The set-up cell on Colab, Kaggle and a laptop, with pip, git and the runtime's packages played by stand-ins."""

import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import ftlib
from ftlib import colab
from ftlib.config.settings import Config
from ftlib.reporting import notebook_files


class Pip:
    """A process that prints `said` and ends with `returncode`; it notes commands and constraints."""

    said, returncode = "Collecting evaluate\n  Using cached evaluate.whl\nSuccessfully installed evaluate-0.4.6\n", 0
    commands: list[list[str]] = []
    constraints: list[list[str]] = []

    def __init__(self, command, **_):
        Pip.commands.append(command)
        with open(command[command.index("-c") + 1], encoding="utf-8") as file:
            Pip.constraints.append(file.read().split())
        self.stdout = io.StringIO(self.said)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def pip(monkeypatch):
    """Calls of pip with the constraints they were given, on a runtime of Colab."""
    played = type("Played", (Pip,), {})
    monkeypatch.setattr(Pip, "commands", [])
    monkeypatch.setattr(Pip, "constraints", [])
    monkeypatch.setattr(subprocess, "Popen", played)
    monkeypatch.setattr(colab, "_version", {"torch": "2.11.0+cu128", "numpy": "2.0.2", "rich": "13.0"}.get)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "played")
    return played


def test_preloaded_packages_are_held_at_their_versions(pip, request):
    """numpy swapped under a running kernel ends in an error about binary versions ten cells later."""
    colab.install(request.config.rootpath, [])
    assert pip.constraints == [["torch==2.11.0+cu128", "numpy==2.0.2"]]
    assert any(part.startswith("bitsandbytes>=") for part in pip.commands[0])


def test_a_reader_sees_what_is_installed(pip, request, capsys):
    """A cell that is silent for minutes is interrupted, and the set-up is half done then."""
    colab.install(request.config.rootpath, ["evaluate"])
    said = capsys.readouterr().out
    assert "installing evaluate and what they need: one to three minutes" in said
    assert "  Collecting evaluate\n  Successfully installed" in said and "cached" not in said


def test_a_laptop_takes_the_versions_that_were_tested_and_keeps_its_torch(pip, request, monkeypatch):
    """An unpinned install fetches gigabytes of another torch than the one that is there."""
    monkeypatch.delenv("COLAB_RELEASE_TAG")
    colab.install(request.config.rootpath, ["evaluate"])
    lines = pip.constraints[0]
    assert "torch==2.11.0+cu128" in lines and len([line for line in lines if line.startswith("torch==")]) == 1
    assert any(line.startswith("transformers==") for line in lines)


def test_the_systems_own_python_is_left_alone(monkeypatch):
    """Packages that land in the system's Python break other programs."""
    monkeypatch.setattr(colab, "missing", lambda root: ["evaluate"])
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    with pytest.raises(SystemExit, match="has no evaluate.*Quick start"):
        colab.prepare()


def test_nothing_is_installed_where_nothing_is_missing(monkeypatch):
    """The cell opens every notebook; it must cost nothing the second time."""
    assert colab.missing(colab.ROOT) == []
    monkeypatch.setattr(colab, "install", lambda *_: pytest.fail("installed"))
    assert ftlib.set_up().profile == "smoke" and os.environ["FTLIB_LANGUAGE"] == "en"


def test_a_language_that_there_is_not_is_refused():
    """A reader who writes pt must learn what there is."""
    with pytest.raises(SystemExit, match='LANGUAGE = "xx": write one of en'):
        colab.prepare("xx")


def test_a_runtime_without_a_gpu_says_where_to_get_one(monkeypatch, capsys):
    """A student who trains on two cores for an hour did not know that a GPU was one menu away."""
    for variable, words in (("COLAB_RELEASE_TAG", "T4 GPU"), ("KAGGLE_KERNEL_RUN_TYPE", "GPU T4 x2")):
        monkeypatch.setenv(variable, "played")
        ftlib.report_environment()
        said = capsys.readouterr().out
        assert "no GPU is attached" in said and words in said
        monkeypatch.delenv(variable)
    ftlib.report_environment()
    assert "no GPU is attached" not in capsys.readouterr().out


@pytest.fixture
def cell(monkeypatch, tmp_path):
    """Run the set-up cell in an empty folder: `asked` holds git's commands, `sessions` is what Colab answers."""
    played = SimpleNamespace(asked=[], sessions="[]", returncode=0, cfg=None)

    def git(command):
        played.asked.append(command)
        (tmp_path / "course" / "ftlib").mkdir(parents=True)
        (tmp_path / "course" / "ftlib" / "colab.py").touch()
        return SimpleNamespace(returncode=played.returncode)

    def run(repository="OWNER/REPOSITORY"):
        exec(notebook_files.set_up_cell(repository, "main"), names := {})  # noqa: S102 - the cell is ours
        return names

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(subprocess, "run", git)
    monkeypatch.setattr(ftlib, "set_up", lambda keep, language: Config.load())
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: io.BytesIO(played.sessions.encode()))
    played.run = run
    return played


def test_a_fork_on_colab_fetches_itself(cell, monkeypatch, tmp_path):
    """A badge that was rewritten while the set-up cell was not fetches somebody else's course."""
    monkeypatch.setenv("COLAB_JUPYTER_IP", "127.0.0.1")
    cell.sessions = (
        '[{"path": "fileId=https%3A//github.com/ana/curso/blob/feature/x/notebooks/01_data_exploration.ipynb"}]'
    )
    assert cell.run()["cfg"].profile == "smoke"
    assert cell.asked[0][-4:] == ["--branch", "feature/x", "https://github.com/ana/curso", "course"]
    assert sys.path[0] == str(tmp_path / "course")
    cell.run()
    assert len(cell.asked) == 1, "a second run of the cell must not fetch it again"


@pytest.mark.parametrize("sessions", ["[]", "no JSON", '[{"path": "fileId=1aBcD"}]'])
def test_a_copy_on_drive_takes_the_address_of_the_cell(cell, monkeypatch, sessions, capsys):
    """The address of an open notebook is not documented; it may be gone tomorrow."""
    monkeypatch.setenv("COLAB_JUPYTER_IP", "127.0.0.1")
    cell.sessions = sessions
    cell.run("ana/curso")
    assert (
        cell.asked[0][-2] == "https://github.com/ana/curso"
        and "fetching https://github.com/ana" in capsys.readouterr().out
    )


@pytest.mark.parametrize(("repository", "returncode"), [("OWNER/REPOSITORY", 0), ("ana/curso", 128)])
def test_a_course_that_cannot_be_fetched_ends_in_one_sentence(cell, repository, returncode):
    """A traceback of git's exit status tells nobody that Kaggle's Internet switch is off."""
    cell.returncode = returncode
    with pytest.raises(
        SystemExit, match=r"cannot be fetched: put the course's address into line 1 \(Kaggle: Internet on\)"
    ):
        cell.run(repository)


def test_in_a_clone_nothing_is_fetched(cell, monkeypatch):
    """A reader who changed the module would run another copy of it."""
    monkeypatch.chdir(notebook_files.ROOT / "notebooks")
    cell.run()
    assert cell.asked == [] and sys.path[0] == str(notebook_files.ROOT)


def test_a_torchao_that_peft_refuses_is_renewed(pip, request, monkeypatch):
    """Colab preloads torchao 0.10; beside it PEFT raises at the first merge, four notebooks after the set-up cell."""
    colab.install(request.config.rootpath, [])
    monkeypatch.setattr(colab, "_version", {"torchao": "0.10.0"}.get)
    colab.install(request.config.rootpath, [])
    assert [any(part.startswith("torchao") for part in command) for command in pip.commands] == [False, True]


CONFLICT = """\
Requirement already satisfied: filelock in /usr/lib (from datasets>=4.1) (3.29.0)

The conflict is caused by:
    datasets 4.2.0 depends on pyarrow>=21.0.0
    datasets 4.1.1 depends on pyarrow>=21.0.0
    datasets 4.1.0 depends on pyarrow>=21.0.0
    The user requested datasets>=4.1
    The user requested (constraint) {pin}

To fix this you could try to:
1. loosen the range of package versions you've specified
"""


@pytest.mark.parametrize(("pin", "owner"), [("numpy==2.0.2", "this runtime"), ("pyarrow==18.1.0", "constraints.txt")])
def test_a_conflict_stops_at_the_first_cell_and_names_both_sides(pip, request, pin, owner):
    """'Cannot install datasets', without the preloaded package that it clashes with, is a riddle. Words of pip 24.1.2."""
    pip.returncode = 1
    pip.said = (
        "ERROR: Cannot install datasets because these package versions have conflicting dependencies.\n"
        + CONFLICT.format(pin=pin)
    )
    with pytest.raises(SystemExit) as stopped:
        colab.install(request.config.rootpath, [])
    said = str(stopped.value)
    assert "do not fit what this runtime has preloaded" in said and "choose another runtime version" in said
    assert f"the course needs datasets>=4.1\n  {owner} has {pin}\n" in said
    assert "depends on pyarrow>=21.0.0" in said and "To fix this" not in said
    assert "-q" not in pip.commands[0] and "--quiet" not in pip.commands[0], "pip keeps the cause to itself then"


def test_a_network_that_is_down_is_not_called_a_conflict(pip, request):
    """Who is told to change the runtime because a package index did not answer looks in the wrong place for an hour."""
    pip.returncode = 1
    pip.said = "WARNING: Retrying\nERROR: Could not find evaluate (from versions: none" + ", 1.0" * 99 + ")\n"
    with pytest.raises(SystemExit, match="could not install") as stopped:
        colab.install(request.config.rootpath, [])
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
