"""Run ftlib commands in processes of their own, forked from one that has imported torch and computed nothing.

Importing torch and transformers takes seconds, longer than most stages at smoke size. Python's forkserver imports them once a
session; each command then starts within milliseconds. A plain fork of the test process would not do: PyTorch's threads do not
survive it. For what is about the start of a process itself, use `subprocess`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass
from threading import Thread

PRELOADED = [
    "ftlib.cli.entry",
    "ftlib.evaluation.runner",
    "ftlib.training.fine_tuning",
    "ftlib.merging",
    "ftlib.export.gguf",
    "ftlib.pipeline.preflight",
]


@dataclass(frozen=True)
class Finished:
    """What a command ended with."""

    status: int
    out: str
    err: str


def run_command(*arguments: str, file_limit: int | None = None, seconds: float = 300) -> Finished:
    """Run `ftlib ARGUMENTS` in a fresh process with this one's environment.

    file_limit: bytes that no file may grow beyond, as on a full disk. seconds: patience; then the process is killed, and the
    test fails with TimeoutError.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    child = context.Process(
        target=_child, args=(arguments, dict(os.environ), file_limit, *(writer for _, writer in pipes)), daemon=True
    )
    child.start()
    texts: list[bytes] = [b"", b""]

    def collect(number: int) -> None:
        reader, writer = pipes[number]
        writer.close()
        while piece := os.read(reader.fileno(), 65536):
            texts[number] += piece

    readers = [Thread(target=collect, args=(number,)) for number in range(2)]
    for reader in readers:
        reader.start()
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        raise TimeoutError(f"ftlib {' '.join(arguments)}: no end within {seconds} s")
    for reader in readers:
        reader.join()
    out, err = (text.decode(errors="replace") for text in texts)
    return Finished(child.exitcode, out, err)


def _child(arguments, environment, file_limit, out, err) -> None:
    """Become the command: its environment, its output, its limit."""
    import resource

    os.environ.clear()
    os.environ.update(environment)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    for number, name in ((1, "stdout"), (2, "stderr")):  # as Python opens them at its start
        setattr(sys, name, open(number, "w", encoding="utf-8", buffering=1, closefd=False))
    from ftlib.cli.entry import main

    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY))
    status = main(list(arguments))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
