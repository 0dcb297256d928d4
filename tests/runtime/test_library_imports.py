"""Imports that are shortened: what they do later or only once, they still do."""

import functools
import subprocess
import sys
from types import ModuleType

import pytest
import torch

from ftlib.runtime import library_imports


class Compiler:
    """A stand-in for torch.compile that notes what it is given."""

    def __init__(self):
        self.given = []

    def __call__(self, function, **options):
        self.given.append((function.__name__, options))
        return lambda *args, **kwargs: ("compiled", function(*args, **kwargs))


@pytest.fixture
def compiler(monkeypatch):
    compiler = Compiler()
    monkeypatch.setattr(torch, "compile", compiler)
    return compiler


def test_each_way_to_decorate_compiles_once_and_with_its_options(compiler):
    """An option that is lost would compile another function than the library's authors meant."""
    with library_imports.compiling_later(torch):

        @torch.compile
        def plain(x):
            return x + 1

        @torch.compile(dynamic=False)
        def fixed(x, *, y):
            return x * y

        called = torch.compile(plain.__wrapped__, backend="eager")
    assert not compiler.given and torch.compile is compiler
    assert [plain(1), plain(2), fixed(3, y=4), called(5)] == [("compiled", result) for result in (2, 3, 12, 6)]
    assert compiler.given == [("plain", {}), ("fixed", {"dynamic": False}), ("plain", {"backend": "eager"})]


def test_a_function_that_is_called_while_its_library_is_imported_is_compiled(compiler):
    """It would ask for its own compilation without end."""
    with library_imports.compiling_later(torch):
        assert torch.compile(abs)(-1) == ("compiled", 1)


def test_an_import_that_fails_gives_the_compiler_back(compiler):
    """Every function that is compiled afterwards would be compiled late too."""
    with pytest.raises(ImportError), library_imports.compiling_later(torch):
        raise ImportError
    assert torch.compile is compiler


IMPORTS = """
import collections, sys
opened = collections.Counter()
sys.addaudithook(lambda event, args: opened.update([str(args[0])] if event == "open" else []))
import ftlib, bitsandbytes
from transformers import LlamaForCausalLM
read = [path for path in opened if "transformers/models/whisper/" in path.replace(chr(92), "/") and path.endswith(".py")]
print("torch._inductor.compile_fx" in sys.modules, max(opened[path] for path in read), bitsandbytes.nn.Linear4bit.__name__)
"""


def test_libraries_come_without_the_compiler_and_with_each_file_read_once():
    """Every command that loads a model waited seconds for what it does not use."""
    said = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "1", "Linear4bit"]


def test_a_folder_is_read_once_however_many_there_are():
    """A cache with a limit below the number of folders, read in turn, never hits."""
    read, module = [], ModuleType("import_utils")
    with library_imports.keeping_all_folders(module):
        module.create_import_structure_from_path = functools.lru_cache(2)(lambda path: read.append(path) or {path: 1})
    folders = ["a", "b", "c"]
    found = [module.create_import_structure_from_path(path) for path in folders * 2]
    assert read == folders and found == [{path: 1} for path in folders] * 2


def test_a_later_transformers_without_that_function_is_left_as_it_is():
    """An import would fail for a name that only a shorter import needs."""
    module = ModuleType("import_utils")
    with library_imports.keeping_all_folders(module):
        module.create_import_structure_from_path = plain = lambda path: path
    assert module.create_import_structure_from_path is plain


@pytest.mark.parametrize("name", library_imports.SHORTENED)
def test_a_missing_library_stays_missing(name):
    """A library that is not installed would be taken for one that is."""
    finder = library_imports._Finder()
    assert finder.find_spec("json") is None and finder.find_spec(name, path=[]) is None


def test_it_is_installed_once():
    """A notebook that loads ftlib again would search twice."""
    before = list(sys.meta_path)
    library_imports.install()
    assert sys.meta_path == before
