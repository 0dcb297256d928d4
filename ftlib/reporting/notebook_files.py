"""Find, read and write the notebooks, and define which parts of them a command fills in.

Recording, slides, book, badges, student copies and the tests must use the same notebooks and cells. Filled in by
commands are the badge and the set-up cell (from pyproject.toml and SET_UP_CELL), the link to the same notebook in the
other language, the line of measured times and memory (from results/course.json), and the studies' tables (from
results/studies/); they do not count as the notebook's source.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import read_json, replacing
from ftlib.runtime.language import LANGUAGES

if TYPE_CHECKING:  # its schema checker takes more than a second to import, and most callers only need addresses
    import nbformat

ROOT = Path(__file__).resolve().parents[2]
TIMES = Path("results") / "course.json"
PLACEHOLDER = "OWNER/REPOSITORY"  # the value in pyproject.toml until the repository has an address
BADGE_IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
BADGE_LINK = "https://colab.research.google.com/github"
STUDIES = (
    "<!-- studies: rendered by ftlib study report from results/studies/, do not edit by hand -->",
    "<!-- /studies -->",
)
TAKES = ("<!-- takes: written by ftlib course record -->", "<!-- /takes -->")


class CourseError(FtlibError):
    """The notebooks or the files they depend on are invalid; the message says what to do."""


def notebook_paths(root: Path = ROOT, language: str = "en") -> list[Path]:
    """Return the six notebooks of a language in their order. Raises CourseError for an unknown one, or outside a checkout."""
    if language not in LANGUAGES:
        raise CourseError(f"--lang {language}: allowed are {', '.join(LANGUAGES)}")
    folder = root / "notebooks" if language == "en" else root / "notebooks" / language
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise CourseError(f"{folder} has no notebooks: run this in a clone of the repository")
    return paths


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook."""
    import nbformat

    return nbformat.read(path, as_version=4)


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook that readers can open. Raises nbformat's ValidationError otherwise."""
    import nbformat

    nbformat.validate(notebook)
    with replacing(path) as partial:
        nbformat.write(notebook, partial)


def address(root: Path = ROOT) -> tuple[str, str]:
    """Return (OWNER/REPOSITORY, ref) from `[project.urls]`, where they are defined."""
    urls = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    match = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)/tree/([^/]+)/notebooks", urls["Notebooks"])
    if not match:
        raise CourseError(
            f"[project.urls] Notebooks = {urls['Notebooks']}: write https://github.com/OWNER/REPO/tree/REF/notebooks"
        )
    return match[1], match[2]


def badge(stem: str, repository: str, ref: str) -> str:
    """Render the Colab badge of one notebook."""
    return f"[![Open in Colab]({BADGE_IMAGE})]({BADGE_LINK}/{repository}/blob/{ref}/notebooks/{stem}.ipynb)"


BADGE = re.compile(
    r"\[!\[Open in Colab\]\([^)]*\)\]\("
    + re.escape(BADGE_LINK)
    + r"/([^/]+/[^/]+)/blob/([^/]+)/notebooks/([^)]+)\.ipynb\)"
)
SET_UP = re.compile(r'REPOSITORY, REF = "https://github\.com/([^"]+)", "([^"]+)"')
SET_UP_CELL = Path("ftlib") / "course" / "set_up_cell.py.txt"  # the source of the first code cell of every notebook


def with_address(source: str, repository: str, ref: str) -> str:
    """Point every badge and the set-up line in a text to this repository and ref."""
    source = BADGE.sub(lambda match: badge(match[3], repository, ref), source)
    return SET_UP.sub(f'REPOSITORY, REF = "https://github.com/{repository}", "{ref}"', source)


NAMES = {"en": "English", "pt-BR": "Português"}  # of the languages, in themselves
_CHOICE = rf"(?:\[(?:{'|'.join(NAMES.values())})\]\([^)\s]+\.ipynb\)|\*\*(?:{'|'.join(NAMES.values())})\*\*)"
SWITCH = re.compile(rf"\A{_CHOICE}(?: · {_CHOICE})+\n+")


def with_switch(source: str, stem: str, language: str) -> str:
    """Begin a notebook's first cell with the link to the same notebook in the other language."""
    up = "" if language == "en" else "../"
    folders = {each: up if each == "en" else f"{up}{each}/" for each in LANGUAGES if each != language}
    links = [f"[{NAMES[each]}]({folder}{stem}.ipynb)" for each, folder in folders.items()]
    return f"{' · '.join([*links, f'**{NAMES[language]}**'])}\n\n{without_switch(source)}"


def without_switch(source: str) -> str:
    """Return a cell's source without the link to the other language."""
    return SWITCH.sub("", source)


def set_up_cell(repository: str, ref: str) -> str:
    """Return the source of the set-up cell."""
    return with_address((ROOT / SET_UP_CELL).read_text(encoding="utf-8").strip(), repository, ref)


def is_set_up(cell: nbformat.NotebookNode) -> bool:
    """Return True for the set-up cell, also for one of an older course."""
    return cell.cell_type == "code" and cell.source.startswith("REPOSITORY, REF")


def between(text: str, markers: tuple[str, str], new: str) -> str:
    """Replace the text between two markers. Raises CourseError if they are missing."""
    begin, end = markers
    before, marker, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not marker or not closed:
        raise CourseError(f"the markers {begin} and {end} are missing")
    return before + begin + new + end + after


def source_hash(notebook: nbformat.NotebookNode) -> str:
    """Hash the cells as written by hand: type and source, without the parts that a command fills in."""
    cells = []
    for cell in notebook.cells:
        source = "set-up" if is_set_up(cell) else without_switch(with_address(cell.source, PLACEHOLDER, "REF"))
        for markers in (TAKES, STUDIES):
            if markers[0] in source:
                source = between(source, markers, "")
        cells.append([cell.cell_type, source])
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def record_command(notebook: nbformat.NotebookNode, name: str) -> str:
    """Return the command that records a notebook. name: of its file, or of one of its cells."""
    language = notebook.metadata.get("language", "en")
    return f"ftlib course record {name[:2]}" + (f" --lang {language}" if language != "en" else "")


def title(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook's first heading, without its mark."""
    return without_switch(notebook.cells[0].source).splitlines()[0].removeprefix("# ")


def goals(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the bullets under "You will learn", in any language: the first cell that begins with a bold line and a list."""
    cell = next(cell for cell in notebook.cells if re.match(r"\*\*[^*\n]+\*\*\n\n- ", cell.source))
    bullets = re.findall(r"(?m)^- (.+(?:\n +\S.*)*)", cell.source.partition("\n**")[0])
    return [" ".join(bullet.split()) for bullet in bullets]


def times(root: Path = ROOT) -> dict:
    """Read results/course.json: {profile: {notebook: {seconds, peak_memory_mb, device, …}}}; {} before the first recording."""
    path = root / TIMES
    return read_json(path) if path.exists() else {}


def duration(seconds: float) -> str:
    """Format a duration: '8 s', '3 min', '1 h 41 min'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
