"""What PyTorch's compile cache keeps of our functions, and that nobody waits for its worker processes."""

import importlib.util
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import smoke
import torch
from torch._inductor import async_compile, codecache

from ftlib.training.compiler import end_workers, hash_files

ROOT = Path(__file__).resolve().parents[2]


def test_files_are_hashed_in_a_thread_after_the_compiler_is_imported(monkeypatch):
    """A thread that imports the compiler beside one that loads a model could meet a half-made module."""
    threads = []
    system = SimpleNamespace(get_system=lambda: threads.append(threading.current_thread()))
    monkeypatch.setattr(codecache, "CacheBase", system)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with ThreadPoolExecutor(1) as background:
        hash_files(background).result(60)
        assert len(threads) == 1 and threads[0] is not threading.main_thread()
        monkeypatch.delattr(torch._inductor, "compile_fx")
        monkeypatch.setitem(sys.modules, "torch._inductor.compile_fx", None)  # an import of it fails from now on
        with pytest.raises(ImportError):
            hash_files(background)
    assert len(threads) == 1, "nothing was handed to the thread"


def test_nothing_is_hashed_without_triton(monkeypatch):
    """A CPU has no such files; and a later PyTorch may keep them under another name."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with ThreadPoolExecutor(1) as background:
        assert hash_files(background) is None
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
        monkeypatch.delattr(codecache, "CacheBase")
        assert hash_files(background) is None


def test_compile_workers_end_without_anyone_waiting(monkeypatch):
    """At the end of a training PyTorch waited a second for them; a compilation in that time must not be handed to them."""
    release, ended = threading.Event(), []
    pool = SimpleNamespace(shutdown=lambda: release.wait(60) and ended.append(True))
    monkeypatch.setattr(async_compile, "_pool_set", [pool])
    thread = end_workers()
    assert not ended and not async_compile._pool_set
    release.set()
    thread.join(60)
    assert ended


@pytest.mark.slow
def test_compile_workers_are_started_again(monkeypatch):
    """A second training of a notebook compiles too."""
    monkeypatch.setattr(torch._inductor.config, "compile_threads", 2)
    first = async_compile.AsyncCompile.process_pool()
    end_workers().join(120)
    assert first.process.poll() is not None, "it still runs"
    assert async_compile.AsyncCompile.process_pool() is not first
    end_workers().join(120)


@pytest.mark.slow
def test_the_compile_cache_keeps_our_functions_and_sees_a_change(tmp_path):
    """Every training would trace them again; or one whose backward pass was corrected would still run the old one."""

    def compiled(factor: int) -> dict:
        script = Path(smoke.__file__).parent / "compile_twice.py"
        cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, script, str(factor)], env=os.environ | cache, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout.splitlines()[-1])

    first, again, changed = compiled(1), compiled(1), compiled(3)
    assert (first["hits"], again["hits"], changed["hits"]) == (0, 1, 0)
    assert again["gradient"] == first["gradient"]
    assert changed["gradient"] == pytest.approx(3 * first["gradient"])
