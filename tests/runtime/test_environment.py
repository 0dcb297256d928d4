"""What a process gets before it imports the libraries."""

import gc
import subprocess
import sys

import pytest

from ftlib.runtime import environment


def test_new_objects_start_few_collections():
    """An eighth of the time that the libraries take to be imported went into looking for garbage that is not there."""
    before = gc.get_threshold()
    try:
        environment.collect_less_often()
        started = gc.get_stats()[0]["collections"]
        kept = [[n] for n in range(100_000)]
        assert len(kept) == 100_000 and gc.get_stats()[0]["collections"] - started <= 11
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize("first", [True, False])
def test_imports_are_not_searched_for_garbage(monkeypatch, first):
    """Objects of a process that runs on, such as a notebook's old model, must still be collected afterwards."""
    monkeypatch.setitem(sys.modules, "torch", None)
    if first:
        monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(gc.isenabled()))
    frozen: list = []
    with environment.importing():
        assert not gc.isenabled()
    assert gc.isenabled() and frozen == ([False] if first else [])


def test_collections_start_again_after_a_failed_import():
    with pytest.raises(ImportError), environment.importing():
        raise ImportError("no such library")
    assert gc.isenabled()


def test_threads_take_short_turns_until_the_work_is_done():
    before = sys.getswitchinterval()
    with pytest.raises(RuntimeError), environment.short_turns():
        assert sys.getswitchinterval() < before / 5
        raise RuntimeError("the work fails")
    assert sys.getswitchinterval() == before


END = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 10_000))
import ftlib
"""


def test_the_end_of_a_process_is_not_searched_for_garbage():
    """Each kernel of a notebook took seconds to end."""
    said = subprocess.run([sys.executable, "-c", END], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True"]
