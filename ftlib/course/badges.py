"""Point every badge and every set-up cell to one repository and one branch or tag.

`[project.urls]` in pyproject.toml is the single source of the address, `ftlib/course/set_up_cell.py.txt` that of the
set-up cell; this command writes both into notebooks and README, and a test compares them. Without options the address
is that of the git remote `origin`, so that a fork runs `ftlib course badges` and is done (its workflow does so by
itself). While the address is a placeholder, the README shows no badge.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from ftlib.course import record, translation
from ftlib.reporting import notebook_files
from ftlib.reporting.notebook_files import CourseError
from ftlib.runtime.files import write_text

# Colab reads these: a table of contents beside the page, and a runtime with a GPU for the notebooks that run a model
COLAB = {"colab": {"toc_visible": True}}
GPU = {"accelerator": "GPU", "colab": {"gpuType": "T4", "toc_visible": True}}
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # the set-up cell's code, in Colab and in Jupyter
REMOTE = re.compile(r"(?:https://|ssh://git@|git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def of_remote(root: Path) -> str | None:
    """Return OWNER/REPO of the git remote `origin`; None without one, or if it is not on GitHub."""
    if shutil.which("git") is None:
        return None
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    match = REMOTE.fullmatch(done.stdout.strip())
    return match[1] if match else None


def rewrite(repository: str | None = None, ref: str | None = None, root: Path = notebook_files.ROOT) -> tuple[str, str]:
    """Write the address everywhere; return (repository, ref). Without options: the remote's, else that of pyproject.toml."""
    old_repository, old_ref = notebook_files.address(root)
    repository, ref = repository or of_remote(root) or old_repository, ref or old_ref
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
            is_set_up = notebook_files.is_set_up(cell)
            if is_set_up:
                cell.metadata |= FOLDED
            cell.source = (
                notebook_files.set_up_cell(repository, ref)
                if is_set_up
                else notebook_files.with_address(cell.source, repository, ref)
            )
        notebook.metadata |= COLAB | (GPU if path.stem[:2] != "01" else {})
        notebook_files.write(notebook, path)
    readme = root / "README.md"
    page = notebook_files.with_address(readme.read_text(encoding="utf-8"), repository, ref)
    if record.MAP[0] in page:  # the map shows badges only for a repository that exists
        page = notebook_files.between(page, record.MAP, record.course_map(root))
    write_text(readme, page)
    for language in translation.LANGUAGES:
        translation.write(language, root=root)
    return repository, ref
