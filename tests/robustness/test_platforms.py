"""macOS and Windows, simulated: what they lack is taken away here. CI's smoke jobs run on the real systems."""

import ast
import importlib.util
import multiprocessing
import os
import re
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import smoke

from ftlib.config.settings import Config
from ftlib.data import scan
from ftlib.models.base_models import ModelError, fetch
from ftlib.runtime import environment, hardware, processes
from ftlib.runtime.errors import storage_problem
from ftlib.runtime.files import write_text
from ftlib.training.compiled_step import can_compile

ROOT = Path(__file__).resolve().parents[2]
# What one of the systems lacks, by a regular expression; every use must be on the list below, guarded and tested here.
POSIX = (
    r"signal\.(?!SIGINT|SIGTERM|SIG_IGN|SIG_DFL|signal\b|default_int_handler)\w+|os\.(fork|forkpty|getuid|geteuid|getgid|killpg|setsid"
    r"|mkfifo|statvfs|chown|uname|sched_\w+|getloadavg|nice|symlink|link|WNOHANG|wait\w*|getppid)\b"
    r"|\b(import|from) (fcntl|resource|pwd|grp|termios|pty|tty|posix)\b|/dev/(?!null/)\w+|/proc/|\"forkserver\""
)
GUARDED = {
    "ftlib/data/scan.py": {"os.getppid"},  # Windows has it, but its value stays the same when the parent dies
    "ftlib/runtime/environment.py": {"os.getuid"},
    "ftlib/runtime/hardware.py": {"os.sched_getaffinity", "import resource", "/proc/"},
    "ftlib/runtime/processes.py": {'"forkserver"'},
    "ftlib/runtime/timeline.py": {"/proc/"},  # on Linux alone
}


def test_every_posix_call_is_on_the_list():
    """A new call that Windows lacks would fail on the first machine that nobody here has."""
    found = {}
    for path in sorted(ROOT.glob("ftlib/**/*.py")):
        if hits := {match[0] for match in re.finditer(POSIX, path.read_text(encoding="utf-8"))}:
            found[path.relative_to(ROOT).as_posix()] = hits
    assert found == GUARDED


def without_encoding(tree: ast.AST) -> list[int]:
    """Line numbers of calls that open a text file in the encoding of the system."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        named = any(keyword.arg == "encoding" for keyword in call.keywords)
        words = (each for argument in call.args for each in ast.walk(argument))  # also those of "ab" if ... else "wb"
        modes = [each.value for each in words if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        opens = isinstance(call.func, ast.Name) and call.func.id == "open" and not any("b" in mode for mode in modes)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        reads = method == "read_text" and not call.args
        if (opens or reads or method == "write_text") and not named:
            found.append(call.lineno)
    return found


def test_text_files_are_opened_with_an_encoding():
    """Windows opens them as cp1252, where one curly quote in a title stops the run."""
    paths = sorted(ROOT.glob("ftlib/**/*.py"))
    found = {path.name: without_encoding(ast.parse(path.read_text(encoding="utf-8"))) for path in paths}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert without_encoding(ast.parse("open(path)\npath.read_text()\nopen(path, 'rb')")) == [1, 2]


def test_the_peak_memory_without_the_module_resource(monkeypatch):
    """Every manifest records it: without the module (Windows) the first stage ended in an ImportError."""
    monkeypatch.setitem(sys.modules, "resource", None)
    assert hardware.peak_memory_mb()["ram"] > 1


def test_the_cores_without_an_affinity(monkeypatch):
    """macOS and Windows have no os.sched_getaffinity."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert hardware.usable_cores() == os.cpu_count()


def test_processes_without_forkserver(monkeypatch):
    """Windows starts processes in one way only, and rows must be encoded there as well."""
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.setattr(hardware, "usable_cores", lambda: 2)
    assert processes.in_processes(sorted, list(range(6)), share=1) == list(range(6))


def test_a_user_without_an_id(monkeypatch):
    """Windows has no os.getuid, and libraries ask for a user name."""
    monkeypatch.setattr(environment.getpass, "getuser", lambda: (_ for _ in ()).throw(ImportError("pwd")))
    monkeypatch.delattr(os, "getuid", raising=False)
    monkeypatch.setenv("USER", "before")
    environment.prepare()
    assert os.environ["USER"] == "user"


def test_a_worker_ends_with_its_parent_on_windows(monkeypatch):
    """There os.getppid() stays the same after the parent died: readers of a killed `ftlib run` would stay for ever."""
    ended = threading.Event()
    monkeypatch.setattr(scan.sys, "platform", "win32")
    monkeypatch.setattr(scan.multiprocessing, "parent_process", lambda: SimpleNamespace(join=lambda: None))
    monkeypatch.setattr(scan.os, "_exit", lambda status: ended.set())
    handler = signal.getsignal(signal.SIGINT)
    try:
        scan._begin_worker()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert ended.wait(60)


def test_written_files_have_the_same_bytes_everywhere(monkeypatch, tmp_path):
    """Windows writes a line end as two characters, so checksums of the same text differ."""
    monkeypatch.setattr(os, "linesep", "\r\n")
    write_text(tmp_path / "a.txt", "one\ntwo\n")
    assert (tmp_path / "a.txt").read_bytes() == b"one\ntwo\n"


def test_an_open_file_on_windows_is_explained():
    """Windows refuses to move a data set that a notebook has mapped; 'permission denied' sends its owner to the wrong place."""
    error = PermissionError(
        13, "The process cannot access the file because it is being used by another process", "data.arrow"
    )
    assert "restart the kernel" in storage_problem(error)


def test_a_windows_path_is_a_folder_and_no_repository():
    """A folder that is misspelled was reported as an invalid name of the hub."""
    with pytest.raises(ModelError, match="no config.json in that folder"):
        fetch(r"C:\models\kettle")


def test_a_gpu_without_triton_trains_without_the_compiled_step(monkeypatch, capsys):
    """PyTorch for Windows comes without Triton: the profile gpu ended in an error of TorchInductor."""
    monkeypatch.setattr(hardware, "cuda_capability", lambda: (8, 9))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "triton" else name)
    cfg = Config.load("gpu", env={}, **{"model.name": "tiny:llama"})
    assert not can_compile(cfg, SimpleNamespace(fp16=False), smoke.sharp_model())
    assert "triton-windows" in capsys.readouterr().out
