"""The import contract: packages import downward only, and the graph stays small enough to draw.

The layers are listed in pyproject.toml (`[tool.importlinter]`); `lint-imports` checks them from a terminal. Nodes are the
packages and modules directly below `ftlib`. An edge counts wherever the import statement stands, also inside a function.
"""

import importlib
import shutil
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

grimp = pytest.importorskip("grimp", reason="a tool of the extra `test`")

ROOT = Path(__file__).resolve().parents[2]
MAX_NODES, MAX_DEPTH, MAX_EDGES = 24, 12, 110


def package_of(module: str) -> str:
    """'ftlib.data.text' -> 'data'; 'ftlib' -> ''."""
    return module.partition(".")[2].partition(".")[0]


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """{package: packages that it imports}, one node per package or module directly below ftlib."""
    graph = grimp.build_graph("ftlib", cache_dir=None)
    imported: dict[str, set[str]] = {package_of(module): set() for module in graph.modules}
    for module in graph.modules:
        for target in graph.find_modules_directly_imported_by(module):
            imported[package_of(module)].add(package_of(target))
    del imported[""]
    return {package: targets - {"", package} for package, targets in imported.items()}


def test_layers_are_kept():
    """An import that points upward ties two packages together: neither can be read, tested or replaced alone."""
    lint_imports = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    done = subprocess.run([lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_packages_form_no_cycle(imports):
    """In a cycle no package comes first, and the one that is imported first sees the others half loaded."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_graph_stays_small(imports):
    """A graph with more nodes, edges or levels no longer fits on the page that a newcomer reads."""

    @cache
    def depth(package: str) -> int:
        return 1 + max(map(depth, imports[package]), default=0)

    assert len(imports) <= MAX_NODES, sorted(imports)
    assert sum(map(len, imports.values())) <= MAX_EDGES
    assert max(map(depth, imports)) <= MAX_DEPTH


def test_importing_ftlib_loads_no_framework():
    """A package that loads torch on import makes `ftlib --help` and a notebook's first cell wait for seconds."""
    script = "import sys, ftlib; print([name for name in ('torch', 'transformers', 'datasets') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "package",
    [path.parent.name for path in sorted((ROOT / "ftlib").glob("*/__init__.py")) if path.parent.name != "cli"],
)
def test_every_lazy_export_exists(package):
    """A name that moved would fail in the reader's cell and nowhere else."""
    module = importlib.import_module(f"ftlib.{package}")
    assert all(getattr(module, name) is not None for name in getattr(module, "__all__", ()))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("package", [path.parent.name for path in sorted((ROOT / "ftlib").glob("*/__init__.py"))])
def test_no_export_has_the_name_of_a_module_beside_it(package):
    """`from ftlib.evaluation import verdicts` would give the function, or the module once somebody has imported that."""
    module = importlib.import_module(f"ftlib.{package}")
    beside = {path.stem for path in (ROOT / "ftlib" / package).glob("*.py")}
    assert not beside & set(getattr(module, "__all__", ()))
