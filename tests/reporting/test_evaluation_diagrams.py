"""Figures of notebooks 04 to 06: with an alternative text that holds their numbers, in both directions."""

import pytest
from portuguese import english_words, figure_texts

from ftlib.reporting import evaluation_diagrams as diagrams
from ftlib.runtime.language import LANGUAGES, using

WAYS = {
    "adapter on NF4, as trained": {"largest": 0, "nll": 3.0},
    "merged into NF4": {"largest": 9, "nll": 3.35},
    "merged onto the dequantized base": {"largest": 0, "nll": 3.0},
    "merged onto the 16-bit base": {"largest": 5, "nll": 2.98},
}
DRAWS = [{"mean": mean / 100, "ci95": [mean / 100 - 0.1, mean / 100 + 0.1]} for mean in range(-5, 20)]
ROWS = [
    {"run": run, "change": {"mean": mean, "ci95": [mean - 0.01, mean + 0.01]}, "as_expected": right}
    for run, mean, right in (
        ("leak", -0.06, True),
        ("rank_4", 0.2, False),
        ("all_weights_faster", 1.4, None),
        ("mixed", 0.0, True),
    )
]
BLOCK = {"n": 9, "systems": {"base": {"rougeL": DRAWS[5]}, "nearest": {"rougeL": DRAWS[20]}}}
DRAWN = {
    "systems": (
        lambda: diagrams.systems_chart(BLOCK),
        "9 rows. base: 0.000 [-0.100, 0.100]; nearest title's text: 0.150",
    ),
    "three merges": (
        diagrams.three_merges_diagram,
        "1  into NF4: rounded again: 0.441; 2  onto the dequantized weight: 0.486",
    ),
    "ways": (
        lambda: diagrams.merge_ways_plot(WAYS),
        "merged into NF4: +0.3500; merged onto the dequantized base: +0.0000",
    ),
    "draws": (lambda: diagrams.draws_plot(DRAWS, 12, DRAWS[12]), "5 draws have the wrong sign"),
    "draws of a loss": (lambda: diagrams.draws_plot(DRAWS, 12, DRAWS[0]), "all rows give -0.050; 19 draws"),
    "paired": (lambda: diagrams.paired_diagram([3, 4, 5, 3.5], [2.8, 3.9, 4.7, 3.6]), "3 of them fall"),
    "what matters": (
        lambda: diagrams.what_matters_plot(ROWS, 0.002),
        "leak: -0.060, as expected; rank_4: +0.200, not as expected; all_weights_faster: +1.400, no direction expected",
    ),
    "retrieval": (diagrams.retrieval_diagram, "in a source, or not"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_figure_has_its_numbers_as_text(name):
    """A reader who does not see the picture gets its figures."""
    draw, words = DRAWN[name]
    figure = draw()
    data, metadata = figure._repr_mimebundle_()
    assert words in figure.alt
    assert metadata["image/png"]["alt"] == figure.alt and data["image/png"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_narrow_enough_for_a_phone_and_its_text_stays_inside(name, language):
    """At 390 pixels a wide figure has letters of three millimeters; text beyond the frame is cut off."""
    with using(language):
        figure = DRAWN[name][0]()
    assert figure.get_figwidth() <= 5.8
    figure.draw_without_rendering()
    for axes in figure.axes:
        for text in (*axes.texts, axes.title, axes.xaxis.label):
            box = text.get_window_extent()
            assert not text.get_text() or (box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1), text.get_text()
            assert not text.get_text() or text.get_fontsize() >= 10


def test_the_page_picture_is_there_and_small():
    """A picture of several megabytes makes the notebook slow to open."""
    picture = diagrams.page_picture()
    assert picture.path.stat().st_size < 200_000
    data, metadata = picture._repr_mimebundle_()
    assert data["image/png"] and metadata["image/png"]["alt"] == repr(picture) == data["text/plain"]


def test_a_missing_picture_is_said(tmp_path):
    """A notebook outside of the repository has no docs/."""
    data, _ = diagrams.SavedPicture(tmp_path / "none.png", "The page.")._repr_mimebundle_()
    assert "image/png" not in data and "not here" in data["text/plain"]


@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_portuguese_in_a_portuguese_notebook(name):
    """Labels in English beside a Portuguese page send the reader to a dictionary."""
    draw, _ = DRAWN[name]
    with using("pt-BR"):
        figure = draw()
    assert figure.alt != draw().alt and english_words(" ".join(figure_texts(figure))) == []
