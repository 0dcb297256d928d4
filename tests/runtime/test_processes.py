"""Work in other processes: where it runs, and what reaches the caller."""

import os
from pathlib import Path

import pytest

from ftlib.runtime import hardware, processes


def note_process(path: Path, text: str) -> None:
    if not text:
        raise ValueError("nothing to write")
    path.write_text(f"{os.getpid()} {text}")


@pytest.mark.parametrize("cores", [2, 8])
def test_a_call_goes_to_another_process_where_cores_are_free(cores, tmp_path, monkeypatch):
    """A small machine would start a process for what it computes itself, or a large one would import it all here."""
    monkeypatch.setattr(hardware, "usable_cores", lambda: cores)
    processes.in_another(note_process, tmp_path / "note", "done")
    process, text = (tmp_path / "note").read_text().split()
    assert text == "done" and (int(process) == os.getpid()) == (cores == 2)


@pytest.mark.parametrize("cores", [2, 8])
def test_an_error_of_the_other_process_is_raised_here(cores, tmp_path, monkeypatch):
    """A report that could not be written would be taken for one that was."""
    monkeypatch.setattr(hardware, "usable_cores", lambda: cores)
    with pytest.raises(ValueError, match="nothing to write"):
        processes.in_another(note_process, tmp_path / "note", "")
