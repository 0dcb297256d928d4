"""Imports that are shortened: what they do later or only once, they still do."""

import importlib.util
import marshal
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

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
import sys
import ftlib, bitsandbytes, bm25s
from nltk.stem.porter import PorterStemmer
from transformers import LlamaForCausalLM
unused = {"torch._inductor.compile_fx", "scipy", "sklearn", "pandas"} & sys.modules.keys()
import evaluate
unused |= {"scipy"} & sys.modules.keys()
print(unused, bitsandbytes.nn.Linear4bit.__name__, PorterStemmer().stem("kettles"))
from nltk.metrics import BigramAssocMeasures
from transformers.loss.loss_for_object_detection import linear_sum_assignment
print(*linear_sum_assignment([[1, 2], [0, 5]])[1], round(BigramAssocMeasures.fisher(3, (5, 6), 20), 3))
"""


def test_libraries_come_without_what_they_do_not_use():
    """Every command that loads a model waited seconds for it; what needs it gets it."""
    said = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["set()", "Linear4bit", "kettl", "1", "0", "0.986"]


EVALUATOR = """
import ftlib, evaluate
for task in ("text-classification", "token-classification"):
    print(type(evaluate.evaluator(task)).__name__)
from evaluate.evaluator import base
print(type(base.bootstrap(([1.0, 2.0, 3.0, 5.0],), max, vectorized=False, n_resamples=9)).__name__)
"""


@pytest.mark.slow
def test_evaluators_of_evaluate_stay_usable():
    """Whoever uses the other half of `evaluate` beside this module, more than once."""
    said = subprocess.run([sys.executable, "-c", EVALUATOR], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["TextClassificationEvaluator", "TokenClassificationEvaluator", "BootstrapResult"]


FILES = """
import collections, sys
opened = collections.Counter()
sys.addaudithook(lambda event, args: opened.update([str(args[0])] if event == "open" else []))
import ftlib, transformers
read = [times for path, times in opened.items() if "/models/whisper/" in path.replace(chr(92), "/") and path.endswith(".py")]
print(len(read) > 3, max(read, default=0), transformers.models.whisper.__name__)
"""


@pytest.mark.parametrize(("writable", "later"), [(True, ["False", "0"]), (False, ["True", "1"])])
def test_files_of_models_are_read_once(tmp_path, writable, later):
    """Two thousand of them are read; where nothing can be kept, each process reads them, once and not twice."""
    cache = tmp_path / "cache"
    if not writable:
        cache.write_text("a file where the folder should be")
    options = {"capture_output": True, "text": True, "check": True, "env": {**os.environ, "FTLIB_CACHE": str(cache)}}
    said = [subprocess.run([sys.executable, "-c", FILES], **options).stdout.split() for _ in range(2)]
    assert said == [[*read, "transformers.models.whisper"] for read in (["True", "1"], later)]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library `ours` with a module `ours.part`; neither is imported yet."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "__init__.py").write_text("number = 7\n")
    (tmp_path / "ours" / "part.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield library_imports.importing_later("ours", "ours.part")(ModuleType("its user"))
    for name in ("ours", "ours.part"):
        sys.modules.pop(name, None)


def test_a_library_comes_with_the_first_use_of_it(library):
    """Whoever imported it while it was replaced must be able to use all of it."""
    with library:
        import ours
        import ours.part as part
        from ours import part as also
        from ours.part import double

        assert importlib.util.find_spec("ours") is not None  # as transformers asks
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("ours.missing")
    assert not {"ours", "ours.part"} & sys.modules.keys()
    assert double(4) == part.double(4) == also.double(4) == 8 and {"ours", "ours.part"} <= sys.modules.keys()
    assert ours.number.real == 7 and sys.modules["ours"] is not ours
    with pytest.raises(ModuleNotFoundError, match="ours.nothing"):
        ours.nothing()


def test_a_use_during_the_import_gets_the_library(library):
    """A decorator, say."""
    with library:
        from ours.part import double

        assert double(1) == 2
        import ours

        assert ours.number == 7
    assert sys.modules["ours"] is ours


def test_an_import_that_fails_leaves_no_stand_in(library):
    """Later imports of the library would get it."""
    with pytest.raises(ImportError), library:
        raise ImportError
    assert importlib.import_module("ours").number == 7


def test_a_library_that_was_imported_before_stays(library):
    """Half of a program would have another one."""
    ours = importlib.import_module("ours")
    with library:
        assert importlib.import_module("ours") is ours
    assert importlib.import_module("ours") is ours


def test_nothing_stands_in_for_a_library_that_is_not_installed():
    """Its user would take it for installed."""
    with library_imports.importing_later("no_such_library")(ModuleType("its user")), pytest.raises(ImportError):
        importlib.import_module("no_such_library")


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder like that of transformers, a reader that returns each file's text, and what it was asked to read."""
    monkeypatch.setenv("FTLIB_CACHE", str(tmp_path / "cache"))
    root, asked = tmp_path / "transformers" / library_imports.MODELS, []
    for model in ("llama", "qwen"):
        (root / model).mkdir(parents=True)
        (root / model / "modeling.py").write_text(model)

    def read(path):
        asked.append(Path(path).name)
        parts = {part.name: in_process(part) for part in Path(path).iterdir() if part.is_dir()}
        return parts | {frozenset({"torch"}): {file.stem: {file.read_text()} for file in Path(path).glob("*.py")}}

    def new_process():
        nonlocal in_process
        asked.clear()
        in_process = library_imports.keep_folders(read)
        return in_process

    in_process = library_imports.keep_folders(read)
    return SimpleNamespace(root=root, asked=asked, new_process=new_process, cache=tmp_path / "cache" / "imports")


def test_a_folder_is_read_once_for_all_processes(models):
    """Two thousand files were read by every command."""
    read = models.new_process()
    found = read(models.root)
    assert sorted(models.asked) == ["llama", "models", "qwen"]
    assert found["llama"] == {frozenset({"torch"}): {"modeling": {"llama"}}}
    assert read(str(models.root / "llama" / "modeling.py")) == read(models.root / "llama") == found["llama"]
    assert len(models.asked) == 3
    again = models.new_process()
    assert again(models.root) == found and again(models.root / "qwen") == found["qwen"] and not models.asked


@pytest.mark.parametrize("change", ["text", "new", "gone"])
def test_a_change_in_a_model_is_seen(models, change):
    """After an update of transformers, names of the old version would be missing or wrong."""
    models.new_process()(models.root)
    file = models.root / "llama" / "modeling.py"
    if change == "text":
        file.write_text("changed")
    elif change == "new":
        file.with_name("tokenization.py").write_text("new")
    else:
        file.unlink()
    now = {path.stem: {path.read_text()} for path in file.parent.iterdir()}
    read = models.new_process()
    assert read(models.root)["llama"] == {frozenset({"torch"}): now} and "llama" in models.asked
    assert models.new_process()(models.root / "llama") == read(models.root)["llama"]


@pytest.mark.parametrize("content", [b"", b"not marshalled", marshal.dumps(1), marshal.dumps((1, 2))])
def test_a_damaged_file_is_written_again(models, content):
    """A disk that was full, or another version of Python, would break every import of transformers."""
    found = models.new_process()(models.root)
    [file] = models.cache.iterdir()
    file.write_bytes(content)
    assert models.new_process()(models.root) == found and models.asked
    assert models.new_process()(models.root) == found and not models.asked


def test_a_later_transformers_without_that_function_is_left_as_it_is():
    """An import would fail for a name that only a shorter import needs."""
    module = ModuleType("import_utils")
    with library_imports.keeping_all_folders(module):
        module.create_import_structure_from_path = plain = lambda path: path
    assert module.create_import_structure_from_path is plain


COMPONENTS = """
import inspect
def create_or_modify_pyi(component_class, class_name, events):
    open(inspect.getfile(component_class) + "i", "w").close()
class Component:
    def __init_subclass__(cls):
        create_or_modify_pyi(cls, cls.__name__, [])
"""


def test_components_of_pages_come_without_writing_stubs(tmp_path, monkeypatch):
    """Each start of the demo page wrote eighty files of an installed library, where it could."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "meta.py").write_text(COMPONENTS)
    (tmp_path / "pages" / "button.py").write_text("from pages import meta\n\nclass Button(meta.Component):\n    ...\n")
    monkeypatch.setitem(library_imports.SHORTENED, "pages.meta", library_imports.writing_no_stubs)
    monkeypatch.syspath_prepend(tmp_path)
    button = importlib.import_module("pages.button")
    assert button.Button and not list(tmp_path.rglob("*.pyi"))
    for name in ("pages", "pages.meta", "pages.button"):
        del sys.modules[name]
    with library_imports.writing_no_stubs(later := ModuleType("a later version")):
        pass
    assert not hasattr(later, library_imports.WRITES_A_STUB)


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
