"""Write editions of the notebooks: for students without solutions and outputs, for instructors with rubric and common errors.

`ftlib course student --out students/`, `ftlib course instructor --out instructor/`, with `--lang pt-BR` in Portuguese. What
an instructor looks for is in `instructor.yaml` and `instructor.pt-BR.yaml`, by exercise.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import nbformat

from ftlib.reporting import notebook_files
from ftlib.runtime.language import current, tr, using
from ftlib.runtime.yaml_files import packaged

PROMISE = re.compile(  # taken out where they are not
    r"\s*(?:Solutions\s+are\s+folded\s+at\s+the\s+end\s+of\s+the\s+notebook"
    r"|As\s+soluções\s+estão\s+recolhidas\s+no\s+fim\s+do\s+notebook)\."
)
EXERCISE = re.compile(r"^exercises\.ex_(\d_\d)\(", re.MULTILINE)


def without_solutions(notebook):
    """Return the notebook without the cells tagged "solution", the sentence that promises them, outputs and stamp."""
    notebook.cells = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = PROMISE.sub("", cell.source)
    notebook.metadata.pop("recorded", None)
    return notebook


@lru_cache
def instructions(language: str) -> dict[str, dict]:
    """Return {exercise, as in `2.1`: its minutes, rubric and common errors}."""
    name = "instructor.yaml" if language == "en" else f"instructor.{language}.yaml"
    return packaged("ftlib.course", name)


def for_instructors(notebook):
    """Return the notebook with all folded parts open, and below each exercise what to look for."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("<details>", "<details open>")
        cells.append(cell)
        for number in EXERCISE.findall(cell.source) if cell.cell_type == "code" else ():
            cells.append(
                nbformat.v4.new_markdown_cell(_instruction(number.replace("_", ".")), id=f"instructor-{number}")
            )
    notebook.cells = cells
    return notebook


def _instruction(exercise: str) -> str:
    """Render an exercise's part of `instructor.yaml` as Markdown, in the current language."""
    notes = instructions(current())[exercise]
    heading = tr(
        "**For the instructor, exercise {exercise}** ({minutes} minutes, {points} points)",
        exercise=exercise,
        minutes=notes["minutes"],
        points=notes["points"],
    )
    rubric = "\n".join(
        tr("- {points} of {total}: {text}", points=points, total=notes["points"], text=text)
        for text, points in notes["rubric"].items()
    )
    errors = "\n".join(f"- {text}" for text in notes["errors"])
    return f"{heading}\n\n{rubric}\n\n{tr('Common errors:')}\n\n{errors}"


def write_copies(
    folder: Path, root: Path = notebook_files.ROOT, edition=without_solutions, language: str = "en"
) -> list[Path]:
    """Write a copy of every notebook into `folder`; return their paths.

    The copies do not link to the other language, which is not beside them.

    Args:
        folder: to write to.
        root: of the repository.
        edition: what a copy keeps of a notebook.
        language: one of LANGUAGES.

    Raises:
        CourseError: an unknown language.
    """
    written, paths = [], notebook_files.notebook_paths(root, language)
    folder.mkdir(parents=True, exist_ok=True)
    with using(language):
        for path in paths:
            notebook = notebook_files.read(path)
            notebook.cells[0].source = notebook_files.without_switch(notebook.cells[0].source)
            notebook_files.write(edition(notebook), folder / path.name)
            written.append(folder / path.name)
    return written
