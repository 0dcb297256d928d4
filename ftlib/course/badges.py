"""Point every badge, and the set-up cell, to one repository and one tag.

`[project.urls]` in pyproject.toml is the single source of the address; this command writes it into notebooks and
README, and a test compares them. While it is a placeholder, the README shows no badge. `ftlib course badges
--repository OWNER/REPO --ref v1.0.0`; without options it writes the address from pyproject.toml.
"""

from __future__ import annotations

import re
from pathlib import Path

from ftlib.course import record
from ftlib.reporting import notebook_files
from ftlib.reporting.notebook_files import CourseError
from ftlib.runtime.files import write_text


def rewrite(repository: str | None = None, ref: str | None = None, root: Path = notebook_files.ROOT) -> tuple[str, str]:
    """Write the address everywhere; return (repository, ref)."""
    old_repository, old_ref = notebook_files.address(root)
    repository, ref = repository or old_repository, ref or old_ref
    for name, text, form in (("--repository", repository, r"[\w.-]+/[\w.-]+"), ("--ref", ref, r"[\w.-]+")):
        if not re.fullmatch(form, text):
            raise CourseError(
                f"{name} {text}: write {'OWNER/REPO' if name == '--repository' else 'a tag or branch without /'}"
            )
    project = root / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^Repository = .*$", f'Repository = "https://github.com/{repository}"', text)
    text = re.sub(r"(?m)^Notebooks = .*$", f'Notebooks = "https://github.com/{repository}/tree/{ref}/notebooks"', text)
    write_text(project, text)
    for path in notebook_files.notebook_paths(root):
        notebook = notebook_files.read(path)
        for cell in notebook.cells:
            cell.source = notebook_files.with_address(cell.source, repository, ref)
        notebook_files.write(notebook, path)
    readme = root / "README.md"
    page = notebook_files.with_address(readme.read_text(encoding="utf-8"), repository, ref)
    if record.MAP[0] in page:  # the map shows badges only for a repository that exists
        page = notebook_files.between(page, record.MAP, record.course_map(root))
    write_text(readme, page)
    return repository, ref
