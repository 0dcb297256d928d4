"""The static gate: what every notebook and page must be, checked without running it and without torch, in seconds.

`pytest tests/repo/test_notebooks.py` is the whole gate; `pytest --nbmake` runs the notebooks.
"""

import ast
import copy
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from ftlib.course.notebook_lint import typed_numbers
from ftlib.reporting import notebook_files

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
notebooks = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
BADGE = re.compile(r"\(https://colab\.research\.google\.com/github/([^/]+/[^/]+)/blob/([^/]+)/notebooks/([^)]+)\)")


def cells(path: Path, kind: str | None = None) -> list:
    found = nbformat.read(path, as_version=4).cells
    return [cell for cell in found if kind in (None, cell.cell_type)]


def badges(path: Path) -> list[tuple[str, str, str]]:
    return BADGE.findall(cells(path)[0].source)


@notebooks
def test_notebook_is_valid_and_every_cell_parses(path):
    """A notebook that Colab cannot open, or a cell with a typing error, is met by the whole class at once."""
    nbformat.validate(nbformat.read(path, as_version=4))
    for cell in cells(path, "code"):
        ast.parse(cell.source)


@notebooks
def test_no_shell_escape_and_no_magic(path):
    """A failing `!pip` passes in CI and stops the reader ten cells later."""
    lines = [line for cell in cells(path, "code") for line in cell.source.splitlines()]
    assert not [line for line in lines if line.lstrip().startswith(("!", "%"))]


@notebooks
def test_page_plan(path):
    """Readers and teachers find goals, cost, questions, exercises and solutions at the same place in every notebook."""
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    parts = (
        "# ",
        "**You will learn**",
        "**What it takes.**",
        "you are here",
        "## Check yourself",
        "## Exercises",
        "## Summary",
        "**Next:**",
        "## Solutions",
    )
    places = [text.find(part) for part in parts]
    assert -1 not in places and places == sorted(places)
    number = int(path.stem[:2])
    assert re.findall(r"^## (\d+)\.(\d+) ", text, re.MULTILINE)[0] == (str(number), "0")


@notebooks
def test_every_code_cell_is_announced_and_read(path):
    """A number without a sentence before and after it is a riddle on a projector."""
    kinds = [cell.cell_type for cell in cells(path)]
    for place, kind in enumerate(kinds):
        if kind == "code":
            assert kinds[place - 1] == "markdown" and kinds[place + 1] == "markdown", f"cell {place}"


@notebooks
def test_cells_are_short(path):
    """A cell that does not fit on a slide is not read; a long function belongs into the module."""
    lengths = [len(cell.source.splitlines()) for cell in cells(path, "code")]
    assert statistics.median(lengths) <= 6 and max(lengths) <= 25
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 12, node.name


def test_set_up_cell_is_the_same_everywhere():
    """One that was fixed in five of six notebooks is broken in the sixth."""
    source = notebook_files.set_up_cell(*notebook_files.address())
    assert {cells(path, "code")[0].source for path in PATHS} == {source}
    assert len(source.splitlines()) <= 25 and '\nLANGUAGE = "en"\n' in source


@notebooks
def test_colab_is_asked_for_a_gpu_and_a_table_of_contents(path):
    """A click on the badge of a notebook that trains would start a runtime without a GPU."""
    metadata = nbformat.read(path, as_version=4).metadata
    assert metadata.colab.toc_visible
    if path.stem[:2] != "01":
        assert (metadata.accelerator, metadata.colab.gpuType) == ("GPU", "T4")


def test_every_badge_opens_its_own_notebook_and_all_agree():
    """Half of the badges of a well-known course point at files that are gone."""
    found = {path.name: badges(path) for path in PATHS}
    assert all(len(found[path.name]) == 1 and found[path.name][0][2] == path.name for path in PATHS)
    assert len({badge[0][:2] for badge in found.values()}) == 1
    repository, ref, _ = badges(PATHS[0])[0]
    set_up = cells(PATHS[0], "code")[0].source
    assert f'"https://github.com/{repository}", "{ref}"' in set_up


ROOT = FOLDER.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("results/*.md")])


def prose(path: Path) -> str:
    """The text that a reader sees, of a page or of a notebook's markdown cells."""
    if path.suffix == ".ipynb":
        return "\n".join(cell.source for cell in cells(path, "markdown"))
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*PAGES, *PATHS], ids=lambda path: path.stem)
def test_every_relative_link_leads_somewhere(path):
    """A dead link in a course costs more trust than a missing page."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose(path))
    inside = [link for link in links if not re.match(r"\w+:", link)]
    assert not [link for link in inside if not (path.parent / link).exists()]


def test_spelling():
    """A misspelt word on the first page is read before everything else."""
    text = "\n".join(f"{path.name}: {prose(path)}" for path in (*PAGES, *PATHS) if ".pt-BR" not in path.name)
    code = [str(path) for path in [*ROOT.glob("ftlib/**/*.py"), *ROOT.glob("benchmarks/*.py")]]
    program = [sys.executable, "-m", "codespell_lib", "--ignore-words-list", "rouge,ans,cliente"]
    read = subprocess.run([*program, "-"], input=text, capture_output=True, text=True)
    checked = subprocess.run([*program, *code], capture_output=True, text=True)
    assert (read.returncode, checked.returncode) == (0, 0), read.stdout + checked.stdout + read.stderr + checked.stderr


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(command):
    """An unused import or a name that does not exist is found here, and not by the reader who runs the cell."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    done = subprocess.run([ruff, *command, str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@notebooks
def test_no_cell_takes_a_name_away(path):
    """`del model` runs once; the reader who runs the cell again meets a NameError."""
    for cell in cells(path, "code"):
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Delete)], cell.source


@pytest.mark.slow
@notebooks
def test_every_cell_runs_twice_and_all_of_them_after_a_restart(path, tmp_path, monkeypatch):
    """Readers run a cell again, and restart the kernel and "run all above"; neither may end in an error."""
    from nbclient import NotebookClient

    monkeypatch.setenv("FTLIB_RUNS", str(tmp_path / "runs"))
    for times in (2, 1):  # the second round is a new kernel on the runs of the first
        book = nbformat.read(path, as_version=4)
        book.cells = [
            copy.deepcopy(cell) for cell in book.cells for _ in range(times if cell.cell_type == "code" else 1)
        ]
        for number, cell in enumerate(book.cells):
            cell["id"] = f"cell-{number}"
        NotebookClient(book, timeout=600, resources={"metadata": {"path": str(FOLDER)}}).execute()


@notebooks
def test_no_measured_number_is_typed(path):
    """A number that is typed beside the result that it came from is wrong after the next recording."""
    assert typed_numbers(path) == []
