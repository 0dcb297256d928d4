"""The deck of a plan: what the plan names is shown whole, and what does not exist or does not fit is refused."""

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from portuguese import english_words

from ftlib.cli import main
from ftlib.course import deck, printing
from ftlib.course.deck import plan_names, read_plan, shown_cell, write_deck
from ftlib.reporting import notebook_files
from ftlib.reporting.notebook_files import CourseError
from ftlib.runtime.language import LANGUAGES

LIMIT = 600  # seconds: the challenge's video is ten minutes


def code(cell_id: str, text: str):
    return new_code_cell("print(1)", id=cell_id, outputs=[new_output("stream", name="stdout", text=text)])


@pytest.fixture
def tree(tmp_path):
    """A repository with one notebook and one plan."""
    table = new_code_cell("table", id="01-03", outputs=[new_output("display_data", {"text/html": "<tr></tr>" * 30})])
    cells = [
        new_markdown_cell("# 1. A page", id="01-00"),
        code("01-01", "an answer\n"),
        code("01-02", "line\n" * 40),
        table,
    ]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "01_page.ipynb")
    slides = [
        {"headline": "A *title*", "seconds": 20, "notes": "Say hello."},
        {"headline": "A result", "seconds": 40, "notes": "Point at it.", "cell": "01-01", "caption": "Read it."},
    ]
    write_plan(tmp_path, slides)
    return tmp_path


def write_plan(root, slides):
    (root / deck.FOLDER).mkdir(parents=True, exist_ok=True)
    (root / deck.FOLDER / "talk.yaml").write_text(yaml.safe_dump({"title": "A talk", "slides": slides}))


def test_a_deck_shows_what_its_plan_names(tree, tmp_path, monkeypatch):
    """Headline, result, caption and notes of every slide arrive on the page, in the plan's order."""
    monkeypatch.setattr(printing, "find_browser", lambda: None)
    (page,) = write_deck("talk", tmp_path / "out", "reveal", tree)
    text = page.read_text(encoding="utf-8")
    parts = ["<em>title</em>", "Say hello.", "A result", "an answer", "Read it.", "Point at it."]
    places = [text.find(part) for part in parts]
    assert -1 not in places and places == sorted(places) and text.count("<section") == 2
    assert list((tmp_path / "out").iterdir()) == [page]  # the page that is printed is not left behind


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "01-99"}, "no notebook has a cell 01-99"),
        ({"cell": "01-00"}, "no recorded outputs"),
        ({"cell": "01-02"}, "prints 40 lines"),
        ({"cell": "01-03"}, "a table of 30 rows"),
        ({"sceonds": 3}, "unknown: sceonds"),
    ],
)
def test_a_slide_that_cannot_be_shown_is_refused(tree, tmp_path, change, message):
    """A renamed cell or a long log is noticed when the deck is rendered, not in front of the class."""
    write_plan(tree, [{"headline": "A", "seconds": 3, "notes": "B"} | change])
    with pytest.raises(CourseError, match=message):
        write_deck("talk", tmp_path / "out", "reveal", tree)


def test_an_unknown_plan_names_those_that_exist(tree, capsys):
    """A typo in --deck must not write an empty deck."""
    with pytest.raises(CourseError, match="allowed are talk"):
        read_plan("tlak", tree)
    assert main(["course", "slides", "--deck", "tlak"]) == 2 and "challenge" in capsys.readouterr().err


@pytest.fixture
def translated(tree):
    """The same repository with the plan and the notebook in Portuguese."""
    english = [dict(slide) for slide in deck._read_yaml(tree / deck.FOLDER / "talk.yaml")["slides"]]
    own = [{"english": deck.slide_hash(slide), "headline": "Um *título*", "notes": "Diga."} for slide in english]
    own[1]["caption"] = "Leia."
    write_translation(tree, own)
    (tree / "notebooks" / "pt-BR").mkdir()
    nbformat.write(
        new_notebook(cells=[code("01-01", "uma resposta\n")]), tree / "notebooks" / "pt-BR" / "01_page.ipynb"
    )
    return tree, own


def write_translation(root, slides):
    path = root / deck.FOLDER / "pt-BR" / "talk.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"title": "Uma palestra", "slides": slides}), encoding="utf-8")


def test_a_translated_deck_has_its_own_texts_and_results_and_the_english_order(translated, tmp_path, monkeypatch):
    """Seconds and cells that are kept twice differ after the first rehearsal."""
    tree, _ = translated
    monkeypatch.setattr(printing, "find_browser", lambda: None)
    (page,) = write_deck("talk", tmp_path / "out", "reveal", tree, language="pt-BR")
    text = page.read_text(encoding="utf-8")
    assert '<html lang="pt-BR">' in text and "<em>título</em>" in text and "uma resposta" in text and "Leia." in text
    assert 'data-timing="40"' in text and "an answer" not in text and "Say hello" not in text
    assert "Sem gravação" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda own: own.pop(), "has 1 slides; talk.yaml has 2"),
        (lambda own: own[0].update(english="00000000"), "slide 1: changed; update it, then write english: "),
        (lambda own: own[1].pop("caption"), "slide 2: write english, caption, headline, notes"),
        (lambda own: own[0].update(seconds=3), "slide 1: write english, headline, notes"),
        (lambda own: own[0].update(points=["um"]), "slide 1: write english, headline, notes"),
    ],
)
def test_a_translated_plan_that_drifted_is_refused(translated, tmp_path, change, message):
    """A slide that was changed in English only would be presented as it was last year."""
    tree, own = translated
    assert deck.translation_problems("talk", "pt-BR", tree) == []
    change(own)
    write_translation(tree, own)
    with pytest.raises(CourseError, match=message):
        write_deck("talk", tmp_path / "out", "reveal", tree, language="pt-BR")


@pytest.mark.parametrize("name", plan_names())
def test_the_decks_of_the_course_are_translated(name):
    """Brazilian students present the talk in Portuguese."""
    assert deck.translation_problems(name, "pt-BR") == []
    _, english = read_plan(name)
    _, own = read_plan(name, language="pt-BR")
    assert [(s.cell, s.picture, s.seconds) for s in english] == [(s.cell, s.picture, s.seconds) for s in own]
    assert not [s.headline for s, other in zip(english, own, strict=True) if s.headline == other.headline]
    texts = [" ".join([screen.headline, *screen.points, screen.caption, screen.notes]) for screen in own]
    assert [english_words(text) for text in texts] == [[]] * len(texts)


@pytest.mark.parametrize("name", plan_names())
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_decks_of_the_course_can_be_shown(name, language):
    """Every slide has a cell that exists and fits, the talk fits into the video, and no slide lacks its notes."""
    _, screens = read_plan(name, language=language)
    notebooks = {path.stem: notebook_files.read(path) for path in notebook_files.notebook_paths(language=language)}
    if not any("recorded" in notebook.metadata for notebook in notebooks.values()):
        pytest.skip("no notebook of this language is recorded")
    for screen in screens:
        assert screen.notes and (screen.cell or screen.picture or screen.points)
        assert not screen.picture or (notebook_files.ROOT / screen.picture).exists()
        if screen.cell:
            shown_cell(notebooks, screen.cell)
    assert 10 <= len(screens) <= 12 and sum(screen.seconds for screen in screens) <= LIMIT
