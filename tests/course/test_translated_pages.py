"""A translated page that drifts from its source tells half of the class something else."""

import pytest

from ftlib.course.translated_pages import hashes, problems
from ftlib.reporting.notebook_files import ROOT

SOURCE = "# Course\n\nIt teaches.\n\n## Start\n\nRun it.\n\n## Result\n\n<!-- headline: x -->\n1.0\n<!-- /headline -->\nGood.\n"


@pytest.fixture
def pages(tmp_path):
    """A page and its translation, which fit."""
    found = hashes(SOURCE)
    (tmp_path / "page.md").write_text(SOURCE, encoding="utf-8")
    text = (
        f"<!-- section: opening {found['opening']} -->\n# Curso\n<!-- section: Start {found['Start']} -->\n## Começo\n"
    )
    (tmp_path / "page.pt-BR.md").write_text(text + "<!-- left out: Result -->\n", encoding="utf-8")
    return tmp_path / "page.md", tmp_path / "page.pt-BR.md"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Run it.", "Run it twice.", "Start: changed; update page.pt-BR.md, then write <!-- section: Start"),
        ("It teaches.", "It shows.", "opening: changed"),
        ("## Result", "## Help\n\nAsk.\n\n## Result", "Help: not in page.pt-BR.md; translate it"),
        ("## Result", "## Figures", "page.md has no section Result; remove it"),
    ],
)
def test_each_kind_of_drift_is_told(pages, old, new, said):
    """Who is told only that something differs compares two pages by eye."""
    assert problems(*pages) == []
    pages[0].write_text(SOURCE.replace(old, new), encoding="utf-8")
    assert any(said in problem for problem in problems(*pages))


def test_new_figures_and_line_breaks_are_no_drift(pages):
    """A recording that changes a table would send the translator to sentences that did not change."""
    pages[0].write_text(SOURCE.replace("1.0", "2.0").replace("Run it.", "Run\nit."), encoding="utf-8")
    assert problems(*pages) == []


@pytest.mark.parametrize("page", ["README", "docs/TEACHING"])
def test_the_portuguese_page_says_what_the_english_one_says(page):
    """A student who follows an old command gives up before the first notebook."""
    assert problems(ROOT / f"{page}.md", ROOT / f"{page}.pt-BR.md") == []
