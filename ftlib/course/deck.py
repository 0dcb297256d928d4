"""Render a deck from a plan: which cell of which notebook, under which headline, for how long, with which notes.

A plan is a file `docs/decks/NAME.yaml`. Pictures, tables and printed results come from the recorded notebooks, so a deck
never shows another number than the course. A result that does not fit on a screen is refused and not truncated. A
translation, `docs/decks/LANGUAGE/NAME.yaml`, holds texts only: cells, pictures and seconds are those of the English slide at
the same place, whose hash it names.
`ftlib course slides --deck NAME` writes an HTML page for reveal.js, with speaker notes, and a PDF where a Chromium is found.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from nbformat.v4 import new_code_cell, new_markdown_cell

from ftlib.course import site
from ftlib.course.printing import print_pdf
from ftlib.reporting import notebook_files
from ftlib.reporting.notebook_files import CourseError
from ftlib.runtime.files import write_text
from ftlib.runtime.language import using
from ftlib.runtime.yaml_files import parse

FOLDER = "docs/decks"
LONGEST_LINES, LONGEST_COLUMNS = 24, 110  # a printed result on one screen; longer lines are wrapped
LONGEST_TABLE = 12  # rows, the header among them
KEYS = {"headline", "cell", "picture", "points", "caption", "seconds", "notes"}
REQUIRED = {"headline", "seconds", "notes"}
TEXTS = ("headline", "points", "caption", "notes")  # what a translation has of its own


@dataclass(frozen=True)
class Screen:
    """One slide of a plan: a headline, points or the result of a cell, and what the speaker says.

    Attributes:
        headline: the sentence that the audience should remember.
        seconds: how long it is shown.
        notes: what the speaker says; not shown.
        cell: id of the notebook cell whose outputs are shown.
        picture: PNG file of the repository that is shown.
        points: bullets, Markdown.
        caption: a sentence below the result, Markdown.
    """

    headline: str
    seconds: int
    notes: str
    cell: str = ""
    picture: str = ""
    points: tuple[str, ...] = ()
    caption: str = ""


def plan_names(root: Path = notebook_files.ROOT) -> list[str]:
    """Return the names of the plans in the repository."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.yaml"))


def read_plan(name: str, root: Path = notebook_files.ROOT, language: str = "en") -> tuple[str, list[Screen]]:
    """Return title and slides of a plan.

    Raises:
        CourseError: there is no such plan, a slide has an unknown or a missing key, or the translation is stale.
    """
    path = root / FOLDER / f"{name}.yaml"
    if not path.exists():
        raise CourseError(f"--deck {name}: no such plan; allowed are {', '.join(plan_names(root)) or 'none'}")
    plan = _read_yaml(path)
    if language != "en":
        if found := translation_problems(name, language, root):
            raise CourseError("\n".join(found))
        own = _read_yaml(root / FOLDER / language / f"{name}.yaml")
        texts = [{key: slide[key] for key in TEXTS if key in slide} for slide in own["slides"]]
        plan = {"title": own["title"], "slides": [a | b for a, b in zip(plan["slides"], texts, strict=True)]}
    screens = []
    for number, slide in enumerate(plan["slides"], 1):
        wrong = [f"unknown: {key}" for key in slide.keys() - KEYS] + [
            f"missing: {key}" for key in REQUIRED - slide.keys()
        ]
        if wrong:
            raise CourseError(
                f"{path.name}, slide {number}: {', '.join(sorted(wrong))}; allowed are {', '.join(sorted(KEYS))}"
            )
        screens.append(Screen(**slide | {"points": tuple(slide.get("points", ()))}))
    return plan["title"], screens


def _read_yaml(path: Path) -> dict:
    return parse(path.read_text(encoding="utf-8"))


def slide_hash(slide: dict) -> str:
    """Hash a slide of the English plan, as its translation names it."""
    return hashlib.sha256(json.dumps(slide, sort_keys=True).encode()).hexdigest()[:8]


def translation_problems(name: str, language: str, root: Path = notebook_files.ROOT) -> list[str]:
    """Return what is missing, stale or different in the translation of a plan, each with what to do."""
    path = root / FOLDER / language / f"{name}.yaml"
    where = path.relative_to(root).as_posix()
    if not path.exists():
        return [f"{where} is missing: translate {FOLDER}/{name}.yaml"]
    slides, own = _read_yaml(root / FOLDER / f"{name}.yaml")["slides"], _read_yaml(path)["slides"]
    messages = [] if len(slides) == len(own) else [f"{where} has {len(own)} slides; {name}.yaml has {len(slides)}"]
    for number, (slide, translated) in enumerate(zip(slides, own, strict=False), 1):
        if translated.get("english") != slide_hash(slide):
            messages.append(f"{where}, slide {number}: changed; update it, then write english: {slide_hash(slide)}")
        texts = slide.keys() & {*TEXTS}
        if translated.keys() != texts | {"english"} or len(translated.get("points", ())) != len(
            slide.get("points", ())
        ):
            messages.append(f"{where}, slide {number}: write english, {', '.join(sorted(texts))}, with as many points")
    return messages


def shown_cell(notebooks: dict, cell_id: str) -> tuple[object, list]:
    """Return the notebook of a cell and the cell's outputs, without the source code that it may show.

    Raises:
        CourseError: no notebook has the cell, it has no recorded outputs, or a printed result does not fit on a screen.
    """
    cells = {cell.id: (notebook, cell) for notebook in notebooks.values() for cell in notebook.cells}
    if cell_id not in cells:
        close = ", ".join(difflib.get_close_matches(cell_id, cells, 3)) or "none is like it"
        raise CourseError(f"no notebook has a cell {cell_id}: {close}")
    notebook, cell = cells[cell_id]
    outputs = [output for output in cell.get("outputs", []) if not site._is_source(output)]
    if not outputs:
        raise CourseError(
            f"cell {cell_id} has no recorded outputs; run `{notebook_files.record_command(notebook, cell_id)}`"
        )
    lines = "".join(output.text for output in outputs if output.output_type == "stream").splitlines()
    rows = max((output.get("data", {}).get("text/html", "").count("<tr") for output in outputs), default=0)
    if rows > LONGEST_TABLE:
        raise CourseError(
            f"cell {cell_id} has a table of {rows} rows; a slide holds {LONGEST_TABLE}: choose another cell"
        )
    height = sum(-(-max(len(line), 1) // LONGEST_COLUMNS) for line in lines)
    if height > LONGEST_LINES:
        raise CourseError(f"cell {cell_id} prints {height} lines; a slide holds {LONGEST_LINES}: choose another cell")
    return notebook, outputs


def write_deck(
    name: str, folder: Path, reveal: str = site.REVEAL, root: Path = notebook_files.ROOT, language: str = "en"
) -> list[Path]:
    """Write NAME.html for reveal.js and, where a Chromium is found, NAME.pdf with one slide a page; return their paths.

    Args:
        name: of the plan.
        folder: to write to.
        reveal: address or folder of reveal.js.
        root: of the repository.
        language: one of LANGUAGES: of the plan and of the notebooks whose results are shown.

    Raises:
        CourseError: as `read_plan` and `shown_cell`.
    """
    notebooks = {path.stem: notebook_files.read(path) for path in notebook_files.notebook_paths(root, language)}
    title, screens = read_plan(name, root, language)
    slides = [_rendered(notebooks, screen, root) for screen in screens]
    recorded = next(iter(notebooks.values()))
    page, printed = folder / f"{name}.html", folder / f"{name}_printed.html"
    with using(language):
        footer = site.footer(recorded)
    values = {
        "language": language,
        "title": title,
        "slides": slides,
        "reveal": reveal,
        "style": site._style(),
        "footer": footer,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_text(page, site._template("plan_deck.html.jinja").render(printed=False, **values))
    write_text(printed, site._template("plan_deck.html.jinja").render(printed=True, **values))
    pdf = print_pdf(printed)
    printed.unlink()
    return [page, *([pdf.replace(folder / f"{name}.pdf")] if pdf else [])]


def _rendered(notebooks: dict, screen: Screen, root: Path) -> dict:
    """Render the parts of a slide as HTML."""
    picture = base64.b64encode((root / screen.picture).read_bytes()).decode() if screen.picture else ""
    notebook, outputs = shown_cell(notebooks, screen.cell) if screen.cell else (next(iter(notebooks.values())), [])
    points = "\n".join(f"- {point}" for point in screen.points)
    result = new_code_cell("", outputs=outputs)

    def markdown(text: str) -> str:
        return site.cells_as_html(notebook, [new_markdown_cell(text)]) if text else ""

    return {
        "headline": re.sub(r"</?p>", "", markdown(screen.headline)),
        "points": markdown(points),
        "result": site._wide_tables(site.cells_as_html(notebook, [result])) if outputs else "",
        "picture": picture,
        "caption": markdown(screen.caption),
        "notes": markdown(screen.notes),
        "seconds": screen.seconds,
    }
