"""Render the course as web pages: a book to read and decks to present, from the recorded notebooks.

nbconvert renders the cells, because it supports every kind of output; the page templates are ours, because nbconvert's
load five libraries from the network. The book works offline, a deck only needs reveal.js. `ftlib course book --out
book/`, `ftlib course slides --out slides/`, with `--reveal PATH` for a copy of reveal.js on disk and `--lang pt-BR` for the
Portuguese notebooks.
"""

from __future__ import annotations

import base64
import copy
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell

from ftlib.reporting import notebook_files
from ftlib.runtime.files import write_text
from ftlib.runtime.language import current, to_translate, tr, using

REVEAL = "https://cdn.jsdelivr.net/npm/reveal.js@5.2.1"  # MIT; `npm pack reveal.js@5.2.1` gives a copy for offline use
SHOWN_LINES, SHOWN_COLUMNS = 14, 96  # limits of a printed result on a slide; the book shows all of it
BULLETS = 4
SKIPPED = (to_translate("Exercises"), to_translate("Solutions"))  # sections that are not projected
NEXT = to_translate("**Next")  # begins the sentence that leads to the next notebook
DOCUMENTS = ("results", "TEACHING", "bibliography")  # pages of docs/ that are chapters of the book after the notebooks


@lru_cache
def _exporter():
    from nbconvert import HTMLExporter

    return HTMLExporter(template_name="basic", anchor_link_text="¶")


@lru_cache
def _template(name: str):
    from jinja2 import Environment

    text = (resources.files("ftlib.course") / name).read_text(encoding="utf-8")
    return Environment(autoescape=True).from_string(text)


def _style() -> str:
    """Return the colors of highlighted code, in light and dark."""
    from pygments.formatters import HtmlFormatter

    light = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def cells_as_html(notebook, cells: list) -> str:
    """Render some of a notebook's cells, outputs included, without a page around them."""
    part = nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)
    return _exporter().from_notebook_node(part)[0]


def footer(notebook) -> str:
    """Format the origin of a page's outputs, from the notebook's stamp."""
    recorded = notebook.metadata.get("recorded")
    if not recorded:
        return tr("Not recorded: this page shows no outputs.")
    return tr(
        "Recorded {date} on {device}, profile {profile}, data: {data}, {duration}, after commit {commit}.",
        date=recorded["finished"][:10],
        device=recorded["device"],
        profile=recorded["profile"],
        data=recorded["data"],
        duration=notebook_files.duration(recorded["seconds"]),
        commit=recorded["parent_commit"],
    )


def page_texts() -> dict[str, str]:
    """Return what the templates print around the cells, in the current language."""
    return {
        "course": tr("The course"),
        "title": tr("Fine-tune a small language model"),
        "intro": tr(
            "Six notebooks, with the outputs of a recorded run; then the results and the teacher's page. "
            "Each notebook can be opened in Colab and run."
        ),
        "skip": tr("Skip to the text"),
        "chapters": tr("chapters"),
        "colab": tr("Open in Colab"),
        "contents": tr("On this page"),
        "code": tr("code"),
    }


def write_book(folder: Path, root: Path = notebook_files.ROOT, language: str = "en") -> list[Path]:
    """Write one HTML page a notebook and a document, and an index, self-contained; return their paths.

    A document that is not translated is shown in English, and its title says so. Raises CourseError for an unknown language.
    """
    notebooks = {path.stem: notebook_files.read(path) for path in notebook_files.notebook_paths(root, language)}
    folder.mkdir(parents=True, exist_ok=True)
    with using(language):
        return _write_book(folder, notebooks, root)


def _write_book(folder: Path, notebooks: dict, root: Path) -> list[Path]:
    chapters = [_notebook_chapter(stem, notebook, notebooks, root) for stem, notebook in notebooks.items()]
    for name in DOCUMENTS:
        english, translated = root / "docs" / f"{name}.md", root / "docs" / f"{name}.{current()}.md"
        if english.exists():
            chapters.append(_document_chapter(translated if translated.exists() else english, root))
    written = []
    for page_idx, chapter in enumerate([*chapters, None]):
        page = _template("page.html.jinja").render(
            language=current(),
            t=page_texts(),
            title=chapter["title"] if chapter else page_texts()["title"],
            chapters=chapters,
            here=page_idx if chapter else None,
            chapter=chapter,
            style=_style(),
        )
        written.append(folder / (chapter["file"] if chapter else "index.html"))
        write_text(written[-1], page)
    return written


def _notebook_chapter(stem: str, notebook, notebooks: dict, root: Path) -> dict:
    """Return what a page shows of a notebook."""
    repository, ref = notebook_files.address(root)
    folder = "notebooks" if current() == "en" else f"notebooks/{current()}"
    body = _book_body(notebook, notebooks)
    goals = [_inline(notebook, goal) for goal in notebook_files.goals(notebook)]
    return {
        "file": f"{stem}.html",
        "title": notebook_files.title(notebook),
        "goals": goals,
        "body": body,
        "contents": contents_of(body),
        "footer": footer(notebook),
        "colab": f"{notebook_files.BADGE_LINK}/{repository}/blob/{ref}/{folder}/{stem}.ipynb",
        "language": current(),
    }


def _document_chapter(path: Path, root: Path) -> dict:
    """Return what a page shows of a Markdown document. Its pictures are embedded; its links lead into the repository."""
    repository, ref = notebook_files.address(root)
    empty = nbformat.v4.new_notebook()

    def resolved(match: re.Match) -> str:
        is_picture, text, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        file = (path.parent / target.partition("#")[0]).resolve()
        if is_picture:
            data = base64.b64encode(file.read_bytes()).decode()
            return f"![{text}](data:image/png;base64,{data})"
        return f"[{text}](https://github.com/{repository}/blob/{ref}/{file.relative_to(root.resolve()).as_posix()})"

    _, _, page = f"\n{path.read_text(encoding='utf-8')}".partition("\n# ")  # above it is the choice of languages
    heading, _, text = page.partition("\n")
    text = re.sub(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)", resolved, text)
    body = _wide_tables(cells_as_html(empty, [new_markdown_cell(text)]))
    contents = contents_of(body)
    language = current() if path.stem.endswith(f".{current()}") else "en"
    return {
        "file": f"{path.name.partition('.')[0]}.html",
        "title": heading if language == current() else tr("{title} (in English)", title=heading),
        "goals": [title for _, title in contents],
        "body": f"<h1>{_inline(empty, heading)}</h1>{body}",
        "contents": contents,
        "footer": "",
        "colab": "",
        "language": language,
    }


def _inline(notebook, text: str) -> str:
    """Render one line of Markdown without the paragraph around it."""
    return re.sub(r"^.*?<p>|</p>.*$", "", cells_as_html(notebook, [new_markdown_cell(text)]), flags=re.DOTALL)


def contents_of(body: str) -> list[tuple[str, str]]:
    """Return (anchor, title) of a page's sections, in their order."""
    sections = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', body, re.DOTALL)
    return [(anchor, re.sub(r"<[^>]+>", "", title).strip()) for anchor, title in sections]


def _book_body(notebook, chapters) -> str:
    """Render the cells of one page.

    The badge, which would load a picture, becomes a link; the link to the other language is left out, because a book is of one.
    """
    cells = copy.deepcopy(notebook.cells)
    cells[0].source = notebook_files.BADGE.sub("", notebook_files.without_switch(cells[0].source))
    names = "|".join(chapters)
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(rf"(?<![\w/\]])({names})(?![\w.])", r"[\1](\1.html)", cell.source)
    place = next((index for index, cell in enumerate(cells) if notebook_files.is_set_up(cell)), None)
    if place is None:
        return _wide_tables(cells_as_html(notebook, cells))
    before, set_up, after = (
        cells_as_html(notebook, part) for part in (cells[:place], [cells[place]], cells[place + 1 :])
    )
    return _wide_tables(f"{before}<details><summary>{tr('The set-up cell')}</summary>{set_up}</details>{after}")


def _wide_tables(page: str) -> str:
    """Frame each table, so that a wide one scrolls on a phone and is not truncated."""
    return re.sub(r"(<table.*?</table>)", r'<div class="wide" tabindex="0">\1</div>', page, flags=re.DOTALL)


@dataclass
class Slide:
    """One screen: a heading, a few points, and at most one result with the sentence that interprets it."""

    heading: str = ""
    points: list[str] = field(default_factory=list)
    code: str = ""
    outputs: list = field(default_factory=list)
    reading: str = ""


def slides_of(notebook) -> list[list[Slide]]:
    """Split a notebook into screens: a column a section, its first points on top and its results below."""
    columns = [[Slide(notebook_files.title(notebook), notebook_files.goals(notebook))]]
    skipped = True  # until the first section begins
    for cell, after in zip(notebook.cells[1:], [*notebook.cells[2:], None], strict=True):
        if cell.cell_type == "markdown":
            for heading, text in re.findall(r"^## (.+)\n+((?:(?!^## ).*\n?)*)", cell.source + "\n", re.MULTILINE):
                skipped = re.match(r"\d+\.0 ", heading) is not None or heading in map(tr, SKIPPED)
                if not skipped:
                    columns.append([Slide(heading, _points(text))])
        elif not skipped and cell.get("outputs"):
            reading = _first_sentence(after.source) if after is not None and after.cell_type == "markdown" else ""
            outputs = [_shortened(output) for output in cell.outputs if not _is_source(output)]
            if outputs:
                columns[-1].append(Slide(columns[-1][0].heading, code=cell.source, outputs=outputs, reading=reading))
    return columns


def _is_source(output) -> bool:
    """Return True for what `show_source` shows: code is for reading, not for the screen."""
    return 'class="highlight"' in output.get("data", {}).get("text/html", "")


def _points(text: str) -> list[str]:
    """Return the first bullets or numbered points of a text, else its first sentence."""
    points = re.findall(r"^(?:-|\d+\.) (.+)", text, re.MULTILINE)[:BULLETS]
    return points or [sentence for sentence in [_first_sentence(text)] if sentence]


def _first_sentence(text: str) -> str:
    """Return the first sentence of the first paragraph of prose."""
    for paragraph in text.split("\n\n"):
        plain = " ".join(paragraph.split())
        if plain and not plain.startswith(("#", "```", "<", "|", tr(NEXT))):
            return re.match(r".+?[.?!](?=\s|$)|.+", plain)[0]
    return ""


def _shortened(output):
    """Truncate a printed result to fit on a screen."""
    output = copy.deepcopy(output)
    if output.output_type == "stream":
        lines = [_cut(line) for line in output.text.rstrip().splitlines()]
        output.text = "\n".join([*lines[:SHOWN_LINES], *(["…"] if len(lines) > SHOWN_LINES else [])])
    return output


def _cut(line: str) -> str:
    return line if len(line) <= SHOWN_COLUMNS else line[: SHOWN_COLUMNS - 1] + "…"


def write_slides(
    folder: Path, reveal: str = REVEAL, root: Path = notebook_files.ROOT, language: str = "en"
) -> list[Path]:
    """Write one deck a notebook; return their paths.

    reveal: address or folder of reveal.js. Raises CourseError for an unknown language.
    """
    written, paths = [], notebook_files.notebook_paths(root, language)
    folder.mkdir(parents=True, exist_ok=True)
    with using(language):
        for path in paths:
            notebook = notebook_files.read(path)
            columns = [[_rendered(notebook, slide) for slide in column] for column in slides_of(notebook)]
            deck = _template("deck.html.jinja").render(
                language=language,
                t=page_texts(),
                title=notebook_files.title(notebook),
                columns=columns,
                reveal=reveal,
                style=_style(),
                footer=footer(notebook),
            )
            written.append(folder / f"{path.stem}.html")
            write_text(written[-1], deck)
    return written


def _rendered(notebook, slide: Slide) -> dict:
    """Render the parts of a slide as HTML."""
    points = "\n".join(f"- {point}" for point in slide.points) if len(slide.points) > 1 else "".join(slide.points)
    result = nbformat.v4.new_code_cell("", outputs=slide.outputs, metadata={"tags": []})
    return {
        "heading": slide.heading,
        "points": cells_as_html(notebook, [new_markdown_cell(points)]) if points else "",
        "code": slide.code,
        "result": _wide_tables(cells_as_html(notebook, [result])) if slide.outputs else "",
        "reading": cells_as_html(notebook, [new_markdown_cell(slide.reading)]) if slide.reading else "",
    }
