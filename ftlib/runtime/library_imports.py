"""Shorten the imports of seven libraries.

Four functions of bitsandbytes are decorated with `torch.compile`, which imports PyTorch's whole compiler at once, and so would
every command that imports PEFT: they compile when they are first called, which most runs never do. transformers reads the files
of all its models to learn the names in them, and reads them twice, because the cache of the function that reads a folder holds
128 of 450 folders: its results are kept, for this process and in a file for the next ones. transformers, nltk, bm25s and
evaluate import SciPy and scikit-learn for functions that are not called here: those are imported when one is. So is what checks
addresses for jsonschema, with which notebooks are read: it compiles a large grammar. gradio rewrites the stub files of its
components for editors, which needs a folder that can be written and much of its import's time: they stay as they were installed.
`install()` does all this for later imports; it is called when ftlib is imported, and pytest imports this module first.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import marshal
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

MODELS = "models"  # the folder of transformers with a folder for each model
WRITES_A_STUB = "create_or_modify_pyi"  # of gradio.component_meta
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


def stamp(folder: Path) -> bytes:
    """Return a hash of what changes when a Python file in a folder or in its folders does: names, sizes, times."""
    files = sorted(
        (file.path, file.stat().st_size, file.stat().st_mtime_ns)
        for path in (str(folder), *(entry.path for entry in os.scandir(folder) if entry.is_dir()))
        for file in os.scandir(path)
        if file.name.endswith(".py")
    )
    return hashlib.sha256(repr(files).encode()).digest()


def keep_on_disk(read: Callable[[Path], dict], folder: Path) -> dict:
    """Return `read(folder)`, from a file in the cache folder if nothing in the folder has changed since it was written."""
    from ftlib.runtime.errors import FtlibError
    from ftlib.runtime.files import cache_dir, replacing

    name = hashlib.sha256(f"{folder} {sys.implementation.cache_tag}".encode()).hexdigest()[:16]
    now = stamp(folder)
    # without a cache that can be read and written, or with a damaged file, it is read as before
    with contextlib.suppress(OSError, FtlibError, EOFError, ValueError, TypeError):
        before, kept = marshal.loads((cache_dir() / "imports" / name).read_bytes())  # noqa: S302  # a file of this program
        if before == now:
            return kept
    result = read(folder)
    with contextlib.suppress(OSError, FtlibError), replacing(cache_dir() / "imports" / name) as partial:
        partial.write_bytes(marshal.dumps((now, result)))
    return result


def keep_folders(read: Callable) -> Callable:
    """Return READS_A_FOLDER with results that are kept; `read` is the function without its cache.

    read: takes the path of a folder, or of a file in it, and returns {name of a folder in it: the same for that one} with what
    its files offer.
    """
    known: dict[Path, dict] = {}

    def read_once(module_path: str | Path) -> dict:
        folder = Path(module_path)
        folder = folder.parent if folder.is_file() else folder
        if folder not in known:
            known[folder] = keep_on_disk(read, folder) if folder.name == MODELS else read(folder)
            if folder.name == MODELS:  # each model asks for its own folder when it is imported
                known.update({folder / name: part for name, part in known[folder].items() if isinstance(name, str)})
        return known[folder]

    return read_once


@contextlib.contextmanager
def keeping_all_folders(module: ModuleType) -> Iterator[None]:
    """Keep all results of READS_A_FOLDER, a function of the imported module."""
    yield
    uncached = getattr(getattr(module, READS_A_FOLDER, None), "__wrapped__", None)
    if uncached is not None:  # no public name
        setattr(module, READS_A_FOLDER, keep_folders(uncached))


@contextlib.contextmanager
def writing_no_stubs(module: ModuleType) -> Iterator[None]:
    """Replace WRITES_A_STUB, a function of the imported module, by one that does nothing."""
    yield
    if hasattr(module, WRITES_A_STUB):  # no public name
        setattr(module, WRITES_A_STUB, lambda *_: None)


class Later:
    """Stands in for an object of a library, or for a module in it; its first use imports the library."""

    def __init__(self, load: Callable[[], Any]):
        self._load = load

    def __call__(self, *args, **kwargs):
        """Call the object."""
        return self._load()(*args, **kwargs)

    def __getattr__(self, name: str):
        return getattr(self._load(), name)


def importing_later(*libraries: str) -> Callable[[ModuleType], AbstractContextManager]:
    """Return a context in which modules of libraries (such as `scipy.optimize`) are imported when something of them is used.

    A library that is imported already, or not installed, stays as it is.
    """

    @contextlib.contextmanager
    def context(_: ModuleType) -> Iterator[None]:
        stand_ins: dict[str, ModuleType] = {}

        def leave() -> None:
            for name, module in stand_ins.items():
                if sys.modules.get(name) is module:
                    del sys.modules[name]

        def load(library: str, name: str):
            leave()
            module = importlib.import_module(library)
            return getattr(module, name) if hasattr(module, name) else importlib.import_module(f"{library}.{name}")

        def stand_in(library: str) -> ModuleType:
            def get(name: str) -> Later:  # of a module: PEP 562
                if name.startswith("__"):  # the import statement asks whether this is a package
                    raise AttributeError(name)
                return Later(functools.partial(load, library, name))

            module = ModuleType(library)
            module.__spec__ = ModuleSpec(library, None)  # as it is installed, for who asks
            module.__getattr__ = get  # type: ignore[method-assign]
            return module

        for library in libraries:
            if library not in sys.modules and importlib.util.find_spec(library.partition(".")[0]) is not None:
                stand_ins[library] = stand_in(library)
        sys.modules.update(stand_ins)
        try:
            yield
        finally:
            leave()

    return context


SCIKIT_LEARN = ("sklearn", "sklearn.datasets", "sklearn.feature_extraction", "sklearn.preprocessing")
SHORTENED: dict[str, Callable[[ModuleType], AbstractContextManager]] = {
    "bitsandbytes": compiling_later,
    "bm25s": importing_later("scipy", "scipy.sparse"),
    "evaluate": importing_later("scipy", "scipy.stats"),
    "gradio.component_meta": writing_no_stubs,
    "jsonschema._format": importing_later("rfc3987_syntax"),
    "nltk": importing_later("scipy", "scipy.stats", *SCIKIT_LEARN),
    "transformers.loss.loss_utils": importing_later("scipy.optimize"),
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
