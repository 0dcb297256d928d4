"""`ftlib doctor`: every problem comes with its cure, and two GPUs do not break the training."""

import importlib.util
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ftlib.cli import doctor
from ftlib.runtime import hardware

BANNER = "GPU 0: Tesla T4 (UUID: GPU-1)\nGPU 1: Tesla T4 (UUID: GPU-2)\n"


@pytest.fixture
def machine(monkeypatch):
    """A function: make torch speak of a GPU of some compute capability, or of none, or of Apple's MPS."""

    def pretend(capability=None, mps=False):
        cuda = SimpleNamespace(
            is_available=lambda: capability is not None,
            get_device_capability=lambda i: capability,
            get_device_name=lambda i: "Pretended GPU",
            mem_get_info=lambda i: (15 * 2**30, 16 * 2**30),
        )
        backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps))
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, backends=backends))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50e9))

    pretend()
    return pretend


def has(lines, *words):
    """True if one line holds all the words."""
    return any(all(word in line for word in words) for line in lines)


def test_healthy_machine(machine):
    """Without it `ftlib doctor` complains about a machine that is fine, or leaves out what it is asked for."""
    facts, problems = doctor.examine()
    assert problems == []
    for words in (["device:", "cores"], ["memory:", "GiB"], ["profile smoke", "FTLIB_PROFILE"], ["runs:"], ["cache:"]):
        assert has(facts, *words), words
    assert has(facts, "python 3") and has(facts, "transformers ")
    assert has(facts, "model.dtype = ", "CPU")


def test_missing_package(machine, monkeypatch):
    """Without it the command that should say what is missing dies of just that."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("torch", "peft") else name)
    monkeypatch.setitem(sys.modules, "torch", None)  # `import torch` fails
    facts, problems = doctor.examine()
    assert len(problems) == 2 and has(problems, "torch is not installed", "pip install")
    assert has(problems, "peft is not installed", "pip install") and has(facts, "runs:")


def test_little_disk(machine, monkeypatch):
    """Without it merging stops at 99 % with a full disk."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1.5e9))
    _, problems = doctor.examine()
    assert has(problems, "only 1.5 GB are free", "ftlib runs clean", "FTLIB_RUNS")


def test_wrong_profile_is_a_problem_and_no_crash(machine, monkeypatch):
    """Without it a misspelt FTLIB_PROFILE stops the doctor before it has said anything."""
    monkeypatch.setenv("FTLIB_PROFILE", "colab")
    facts, problems = doctor.examine()
    assert has(problems, "profile = 'colab'", "smoke, cpu, t4, gpu, seed") and has(facts, "device:")


def test_t4(machine, monkeypatch):
    """Without it Colab's GPU is not named, or gets a profile that trains in emulated bfloat16."""
    machine(capability=(7, 5))
    monkeypatch.delenv("FTLIB_PROFILE")
    facts, problems = doctor.examine()
    assert problems == []
    assert has(facts, "profile t4", "Pretended GPU has compute capability 7.5")
    assert has(facts, "model.dtype = float16", "7.5") and has(facts, "GPU: 15.0 GiB free")


@pytest.mark.parametrize(("mps", "system", "words"), [(True, "Darwin", "MPS"), (False, "Windows", "WSL2")])
def test_machines_that_are_not_fully_served(machine, monkeypatch, mps, system, words):
    """Without it a Mac or Windows user waits for a GPU that is never used."""
    machine(mps=mps)
    monkeypatch.setattr(doctor.platform, "system", lambda: system)
    facts, _ = doctor.examine()
    assert has(facts, words, "cpu profile runs", "bitsandbytes trains in 4 bits")


# Two GPUs (Kaggle)


@pytest.fixture
def gpus(monkeypatch):
    """A function: what the driver's tool lists, and the environment's two variables."""

    def pretend(count, visible=None, launcher=False):
        monkeypatch.setattr(hardware, "_count_gpus", lambda: count)
        # Set before deleting, so that what use_one_gpu writes is undone after the test.
        for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("LOCAL_RANK", "0" if launcher else None)):
            monkeypatch.setenv(name, value or "")
            if value is None:
                monkeypatch.delenv(name)

    return pretend


@pytest.mark.parametrize(("visible", "first"), [(None, "0"), ("0,1", "0"), ("3,1", "3"), ("GPU-b,GPU-a", "GPU-b")])
def test_one_of_two_gpus_is_used(machine, gpus, visible, first):
    """Without it the Trainer wraps a 4-bit model in DataParallel on Kaggle and dies, or nobody hears of it."""
    gpus(2, visible)
    said = hardware.use_one_gpu()
    assert said.startswith("2 GPUs are visible") and f"GPU {first} is used" in said
    assert hardware.os.environ["CUDA_VISIBLE_DEVICES"] == first
    assert said in doctor.examine(said)[0]
    assert hardware.use_one_gpu() is None  # done; not said twice


@pytest.mark.parametrize(
    ("count", "visible", "launcher"),
    [(2, None, True), (2, "0,1", True), (1, None, False), (0, None, False), (2, "1", False), (2, "", False)],
)
def test_gpus_are_left_alone(gpus, count, visible, launcher):
    """Without it torchrun's second process loses its GPU, or a user's own choice is overruled."""
    gpus(count, visible, launcher)
    assert hardware.use_one_gpu() is None
    assert hardware.os.environ.get("CUDA_VISIBLE_DEVICES") == visible


def test_counting_gpus(monkeypatch):
    """Without it a machine without the driver's tool crashes at the first command."""
    monkeypatch.setattr(subprocess, "run", lambda *args, **keywords: SimpleNamespace(stdout=BANNER))
    assert hardware._count_gpus() == 2

    def absent(*args, **keywords):
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(subprocess, "run", absent)
    assert hardware._count_gpus() == 0


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 0), "float16"), ((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_precision_by_compute_capability(machine, capability, dtype):
    """Without it a T4 computes in bfloat16, which torch calls supported and emulates at a crawl."""
    machine(capability=capability)
    found, reason = hardware.compute_dtype()
    assert found == dtype and f"{capability[0]}.{capability[1]}" in reason
