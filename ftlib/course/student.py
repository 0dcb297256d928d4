"""Write copies of the notebooks for students: without solutions and outputs. `ftlib course student --out students/`."""

from __future__ import annotations

from pathlib import Path

from ftlib.reporting import notebook_files


def without_solutions(notebook):
    """Return the notebook without the cells tagged "solution", outputs and stamp."""
    notebook.cells = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("recorded", None)
    return notebook


def write_copies(folder: Path, root: Path = notebook_files.ROOT) -> list[Path]:
    """Write a copy of every notebook into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in notebook_files.notebook_paths(root):
        notebook_files.write(without_solutions(notebook_files.read(path)), folder / path.name)
        written.append(folder / path.name)
    return written
