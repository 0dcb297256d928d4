"""Import bitsandbytes without PyTorch's compiler, which takes a fifth of the time that all libraries take.

Four of its functions are decorated with `torch.compile`, which imports the whole compiler at once, and so would every command
that imports PEFT. `install()` makes them compile when they are first called; most runs call none of them.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

LIBRARY = "bitsandbytes"


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
def compiling_later() -> Iterator[None]:
    """Let `torch.compile` wait for the first call of what it is given in this block."""
    import torch

    now = torch.compile
    torch.compile = functools.partial(compile_at_first_call, now)
    try:
        yield
    finally:
        torch.compile = now


class _Finder(MetaPathFinder):
    """Finds bitsandbytes where Python finds it, and lets its import compile nothing."""

    def find_spec(self, name, path=None, target=None):
        if name != LIBRARY:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module) -> None:
            with compiling_later():
                execute(module)

        spec.loader.exec_module = exec_module  # of this loader alone
        return spec


def install() -> None:
    """Let the next import of bitsandbytes compile nothing; once for a process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
