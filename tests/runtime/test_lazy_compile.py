"""An import that would compile functions: it waits, and the functions stay the same."""

import subprocess
import sys

import pytest
import torch

from ftlib.runtime import lazy_compile


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
    with lazy_compile.compiling_later():

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
    with lazy_compile.compiling_later():
        assert torch.compile(abs)(-1) == ("compiled", 1)


def test_an_import_that_fails_gives_the_compiler_back(compiler):
    """Every function that is compiled afterwards would be compiled late too."""
    with pytest.raises(ImportError), lazy_compile.compiling_later():
        raise ImportError
    assert torch.compile is compiler


def test_bitsandbytes_comes_without_the_compiler():
    """It took two of ten seconds of each command that loads a model, on a CPU."""
    code = "import ftlib, sys, bitsandbytes; print('torch._inductor.compile_fx' in sys.modules, bitsandbytes.nn.Linear4bit)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == "False" and "Linear4bit" in said[-1]


def test_nothing_else_is_looked_for_and_a_missing_library_stays_missing(monkeypatch):
    """A library that is not installed would be taken for one that is."""
    finder = lazy_compile._Finder()
    assert finder.find_spec("json") is None and finder.find_spec(lazy_compile.LIBRARY, path=[]) is None


def test_it_is_installed_once():
    """A notebook that loads ftlib again would search twice."""
    before = list(sys.meta_path)
    lazy_compile.install()
    assert sys.meta_path == before
