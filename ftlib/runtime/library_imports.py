"""Shorten two imports of libraries.

Four functions of bitsandbytes are decorated with `torch.compile`, which imports PyTorch's whole compiler at once, and so would
every command that imports PEFT: they compile when they are first called, which most runs never do. transformers reads the files
of all its models twice, because the cache of the function that reads a folder holds 128 of 450 folders: it holds all of them.
`install()` does both for imports that come later.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from types import ModuleType

READS_A_FOLDER = "create_import_structure_from_path"  # of transformers.utils.import_utils


def compile_at_first_call(compile_now: Callable, function: Callable | None = None, **options) -> Callable:
    """Return a function that compiles `function` when it is first called; without one, a decorator that makes such functions.

    compile_now: compiles a function, like `torch.compile`; options are passed to it.
    """
    if function is None:
        return functools.partial(compile_at_first_call, compile_now, **options)

    @functools.cache
    def compiled() -> Callable:
        return compile_now(function, **options)

    @functools.wraps(function)
    def call(*args, **kwargs):
        return compiled()(*args, **kwargs)

    return call


@contextlib.contextmanager
def compiling_later(_: ModuleType) -> Iterator[None]:
    """Let `torch.compile` wait for the first call of what it is given while a module is imported."""
    import torch

    now = torch.compile
    torch.compile = functools.partial(compile_at_first_call, now)
    try:
        yield
    finally:
        torch.compile = now


@contextlib.contextmanager
def keeping_all_folders(module: ModuleType) -> Iterator[None]:
    """Let the cache of READS_A_FOLDER, a function of the imported module, have no limit."""
    yield
    uncached = getattr(getattr(module, READS_A_FOLDER, None), "__wrapped__", None)
    if uncached is not None:  # no public name
        setattr(module, READS_A_FOLDER, functools.cache(uncached))


SHORTENED: dict[str, Callable[[ModuleType], AbstractContextManager]] = {
    "bitsandbytes": compiling_later,
    "transformers.utils.import_utils": keeping_all_folders,
}


class _Finder(MetaPathFinder):
    """Finds the modules of SHORTENED where Python finds them, and executes them in their context."""

    def find_spec(self, name, path=None, target=None):
        if name not in SHORTENED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            with SHORTENED[name](module):
                execute(module)

        spec.loader.exec_module = exec_module  # of this loader alone
        return spec


def install() -> None:
    """Shorten the imports that come later; once for a process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
