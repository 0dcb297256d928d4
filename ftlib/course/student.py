"""Write editions of the notebooks: for students without solutions and outputs, for instructors with rubric and common errors.

`ftlib course student --out students/`, `ftlib course instructor --out instructor/`. What an instructor looks for is in
`instructor.yaml`, by exercise.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources
from pathlib import Path

import nbformat

from ftlib.reporting import notebook_files

PROMISE = re.compile(r" *Solutions are folded at the end of the notebook\.")  # taken out where they are not
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
def instructions() -> dict[str, dict]:
    """Return {exercise, as in `2.1`: its minutes, rubric and common errors}."""
    import yaml

    return yaml.safe_load((resources.files("ftlib.course") / "instructor.yaml").read_text(encoding="utf-8"))


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
    """Render an exercise's part of `instructor.yaml` as Markdown."""
    notes = instructions()[exercise]
    rubric = "\n".join(f"- {points} of {notes['points']}: {text}" for text, points in notes["rubric"].items())
    errors = "\n".join(f"- {text}" for text in notes["errors"])
    return (
        f"**For the instructor, exercise {exercise}** ({notes['minutes']} minutes, {notes['points']} points)\n\n"
        f"{rubric}\n\nCommon errors:\n\n{errors}"
    )


def write_copies(folder: Path, root: Path = notebook_files.ROOT, edition=without_solutions) -> list[Path]:
    """Write a copy of every notebook into `folder`; return their paths. edition: what a copy keeps of a notebook."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in notebook_files.notebook_paths(root):
        notebook_files.write(edition(notebook_files.read(path)), folder / path.name)
        written.append(folder / path.name)
    return written
