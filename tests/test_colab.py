"""The install step on Colab, with pip and the runtime's packages played by stand-ins."""

import subprocess
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
    monkeypatch.setattr(colab, "_installed", lambda: [("torch", "2.11.0+cu128"), ("NumPy", "2.0.2"), ("rich", "13.0")])
    return played


def test_preloaded_packages_are_held_at_their_versions(pip, request):
    """numpy swapped under a running kernel ends in an error about binary versions ten cells later."""
    colab.install(request.config.rootpath)
    assert pip.constraints == [["torch==2.11.0+cu128", "numpy==2.0.2"]]
    assert any(part.startswith("bitsandbytes>=") for part in pip.commands[0])


def test_a_conflict_stops_at_the_first_cell_and_says_what_to_do(pip, request):
    """Red lines of a resolver that nobody reads, and a notebook that goes on, cost courses their readers."""
    pip.answer.returncode, pip.answer.stderr = 1, "ERROR: datasets 9 needs numpy>=3\nERROR: ResolutionImpossible"
    with pytest.raises(SystemExit, match="(?s)numpy>=3.*Disconnect and delete runtime"):
        colab.install(request.config.rootpath)
