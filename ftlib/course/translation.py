"""Render the notebooks in another language, from blocks beside the English source that are keyed by cell.

`notebooks/i18n/LANGUAGE/NAME.md` holds one block for each Markdown cell: `<!-- cell: ID HASH -->`, then the text. The hash is
that of the English text which was translated, so a change of the English cell makes its block stale. Code cells and ids
are those of the English notebook; only the line LANGUAGE of the set-up cell differs. Outputs are the translated notebook's
own, kept from `ftlib course record --lang LANGUAGE`. `ftlib course translate` writes `notebooks/LANGUAGE/` and, into the
first cell of both, the link to the other; with `--accept ID` a block that was updated gets the hash of its cell, one at a
time.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from ftlib.course import record
from ftlib.reporting import notebook_files
from ftlib.reporting.notebook_files import STUDIES, TAKES, CourseError, with_switch, without_switch
from ftlib.runtime import language as languages
from ftlib.runtime.files import write_text

LANGUAGES = tuple(each for each in languages.LANGUAGES if each != "en")
BLOCK = re.compile(r"(?m)^<!-- cell: (\S+) ([0-9a-f]{8}) -->\n")
SAME = "<!-- same as English -->"  # a block that needs no translation
LANGUAGE_LINE = 'LANGUAGE = "{}"'
OF_RECORDING = ("recorded", "kernelspec", "language_info")  # metadata that a recording writes
FENCE = re.compile(r"```.*?```", re.DOTALL)
LETTERS = 60  # from so many letters on, a block that equals the English text is not translated

FACTS: dict[str, Callable[[str], object]] = {  # what a translation has in common with its source
    "fenced code": lambda text: FENCE.findall(text),
    "code spans": lambda text: sorted(re.findall(r"`[^`\n]+`", FENCE.sub("", text))),
    "links": lambda text: sorted(re.findall(r"\]\(([^)\s]+)\)", _without_code(text))),
    "heading levels": lambda text: re.findall(r"(?m)^(#+) ", FENCE.sub("", text)),
    "table rows": lambda text: len(re.findall(r"(?m)^\|", FENCE.sub("", text))),
    "list items": lambda text: len(re.findall(r"(?m)^\s*(?:-|\d+\.) ", FENCE.sub("", text))),
    "folded parts": lambda text: (text.count("<details"), text.count("</details>")),
    "numbers": lambda text: sorted(re.findall(r"\d+(?:[.,]\d+)*", re.sub(r"\]\([^)\s]+\)", "]", _without_code(text)))),
}


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", text))


def source_of(folder: Path, stem: str, language: str) -> Path:
    """Return the file with the blocks of a notebook. folder: root of the repository."""
    return folder / "notebooks" / "i18n" / language / f"{stem}.md"


def translated_path(folder: Path, stem: str, language: str) -> Path:
    """Return the rendered notebook. folder: root of the repository."""
    return folder / "notebooks" / language / f"{stem}.ipynb"


def without_generated(source: str) -> str:
    """Return a cell's text without the address of the course and what commands fill in."""
    source = without_switch(notebook_files.with_address(source, notebook_files.PLACEHOLDER, "REF"))
    for markers in (TAKES, STUDIES):
        if markers[0] in source:
            source = notebook_files.between(source, markers, "\n")
    return source.strip()


def english_hash(source: str) -> str:
    """Hash the English text of a cell, as a block names it."""
    return hashlib.sha256(without_generated(source).encode()).hexdigest()[:8]


def read_blocks(path: Path) -> dict[str, tuple[str, str]]:
    """Return {cell id: (hash of the English text, translated text)}. Raises CourseError for an id that comes twice."""
    parts = BLOCK.split(path.read_text(encoding="utf-8"))
    blocks: dict[str, tuple[str, str]] = {}
    for cell_id, digest, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if cell_id in blocks:
            raise CourseError(f"{path.name}: two blocks of cell {cell_id}; keep one")
        blocks[cell_id] = digest, text.strip()
    return blocks


def render(
    notebook,
    blocks: dict[str, tuple[str, str]],
    language: str,
    stem: str,
    root: Path = notebook_files.ROOT,
    recorded=None,
):
    """Return the notebook in another language. Cells without a block stay English; `problems` names them.

    recorded: the translated notebook as it is: its stamp is kept, and the outputs of cells whose code is the same.
    """
    rendered, times = copy.deepcopy(notebook), notebook_files.times(root)
    repository, ref = notebook_files.address(root)
    outputs = {cell.id: cell for cell in recorded.cells if cell.cell_type == "code"} if recorded else {}
    for cell in rendered.cells:
        if cell.cell_type == "code":
            if notebook_files.is_set_up(cell):
                cell.source = cell.source.replace(LANGUAGE_LINE.format("en"), LANGUAGE_LINE.format(language))
            own = outputs.get(cell.id)
            kept = own is not None and own.source == cell.source
            cell.outputs, cell.execution_count = (own.outputs, own.execution_count) if kept else ([], None)
            continue
        english, (_, text) = cell.source, blocks.get(cell.id, ("", cell.source))
        text = notebook_files.with_address(text, repository, ref).replace(
            f"/notebooks/{stem}.ipynb", f"/notebooks/{language}/{stem}.ipynb"
        )
        text = re.sub(r"\]\(\.\./", "](../../", text)
        if TAKES[0] in english:
            text = notebook_files.between(text, TAKES, record.takes(stem, times, language))
        if STUDIES[0] in english:
            text = notebook_files.between(text, STUDIES, english.partition(STUDIES[0])[2].partition(STUDIES[1])[0])
        cell.source = text if cell is not rendered.cells[0] else with_switch(text, stem, language)
    rendered.metadata["language"] = language
    rendered.metadata.pop("recorded", None)
    rendered.metadata |= {key: recorded.metadata[key] for key in OF_RECORDING if recorded and key in recorded.metadata}
    return rendered


def problems(stem: str, language: str, root: Path = notebook_files.ROOT) -> list[str]:
    """Return what is missing, stale, orphaned or different in a translated notebook, each with what to do."""
    notebook = notebook_files.read(root / "notebooks" / f"{stem}.ipynb")
    source, path = source_of(root, stem, language), translated_path(root, stem, language)
    if not source.exists():
        return [f"{stem}: not translated; write {source.relative_to(root).as_posix()}"]
    blocks, messages = read_blocks(source), []
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "markdown"}
    for cell_id, cell in cells.items():
        where, digest = f"{stem}, cell {cell_id}", english_hash(cell.source)
        if cell_id not in blocks:
            messages.append(f"{where}: not translated; write its block below <!-- cell: {cell_id} {digest} -->")
            continue
        recorded_digest, text = blocks[cell_id]
        if recorded_digest != digest:
            messages.append(
                f"{where}: the English text changed; update its block, then `ftlib course translate --accept {cell_id}`"
            )
        messages += [f"{where}: {message}" for message in differences(without_generated(cell.source), text)]
    messages += [
        f"{stem}, cell {cell_id}: the notebook has no such cell; remove its block" for cell_id in blocks.keys() - cells
    ]
    if messages:
        return messages
    existing = notebook_files.read(path) if path.exists() else None
    linked = notebook.cells[0].source == with_switch(notebook.cells[0].source, stem, "en")
    if not linked or existing != render(notebook, blocks, language, stem, root, existing):
        messages.append(
            f"{path.relative_to(root).as_posix()} is not what its sources render: run `ftlib course translate`"
        )
    return messages


def differences(english: str, translated: str) -> list[str]:
    """Return which facts of a text its translation has not, or has in addition."""
    translated = without_generated(translated)
    found = [name for name, facts in FACTS.items() if facts(english) != facts(translated)]
    messages = [f"other {name} than the English text" for name in found]
    letters = len(re.sub(r"[^A-Za-z]", "", _without_code(english)))
    if translated == english and letters > LETTERS and SAME not in translated:
        messages.append(f"still English; translate it, or write {SAME} into the block")
    return messages


def write(language: str, accept: str | None = None, root: Path = notebook_files.ROOT) -> list[Path]:
    """Render all notebooks that have blocks; return their paths.

    accept: id of a cell whose block was updated: its hash is set to that of today's English text.

    Raises:
        CourseError: an unknown language, or no notebook has the cell.
    """
    if language not in LANGUAGES:
        raise CourseError(f"--lang {language}: allowed are {', '.join(LANGUAGES)}")
    if accept:
        _accept(language, accept, root)
    written = []
    for path in notebook_files.notebook_paths(root):
        source = source_of(root, path.stem, language)
        if source.exists():
            notebook, target = notebook_files.read(path), translated_path(root, path.stem, language)
            existing = notebook_files.read(target) if target.exists() else None
            rendered = render(notebook, read_blocks(source), language, path.stem, root, existing)
            target.parent.mkdir(parents=True, exist_ok=True)
            notebook_files.write(rendered, target)
            linked = with_switch(notebook.cells[0].source, path.stem, "en")
            if linked != notebook.cells[0].source:
                notebook.cells[0].source = linked
                notebook_files.write(notebook, path)
            written.append(target)
    return written


def _accept(language: str, cell_id: str, root: Path) -> None:
    """Give one block the hash of its cell's English text."""
    for path in notebook_files.notebook_paths(root):
        source = source_of(root, path.stem, language)
        cells = {cell.id: cell.source for cell in notebook_files.read(path).cells}
        if cell_id in cells and source.exists() and cell_id in read_blocks(source):
            mark = re.compile(rf"(?m)^<!-- cell: {re.escape(cell_id)} [0-9a-f]{{8}} -->$")
            text = source.read_text(encoding="utf-8")
            write_text(source, mark.sub(f"<!-- cell: {cell_id} {english_hash(cells[cell_id])} -->", text))
            return
    raise CourseError(f"--accept {cell_id}: no translated notebook has a block of this cell")
