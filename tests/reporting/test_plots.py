"""Figures: readable by a screen reader and without color."""

import base64

import pytest
from PIL import Image
from portuguese import english_words, figure_texts

from ftlib.data.exploration import padded_positions
from ftlib.reporting import plots
from ftlib.runtime.language import using

INTERVAL = {"mean": 0.25, "ci95": [0.125, 0.375]}
FUNNEL = {"malformed": {}, "dropped": {"missing": 7}, "rows_in": 40, "kept": 33, "splits": {"train": 30, "test": 3}}
WHOLE_FUNNEL = FUNNEL | {
    "dropped": dict.fromkeys(plots.FILTERS, 7),
    "left_out": {"held_out_groups": 2, "not_needed": 3},
}
SPEED = [
    {"shape": "big", "recipe": "the reference", "tokens_per_s": 4000, "roof_share": 0.02},
    {"shape": "big", "recipe": "the fast", "tokens_per_s": 100_000, "roof_share": 0.5},
    {"shape": "small", "recipe": "the reference", "tokens_per_s": 9000, "roof_share": 0.01},
]
DRAWN = {
    "loss": lambda: plots.loss_plot(
        [{"step": 1, "loss": 4.5}, {"step": 9, "loss": 2.25}, {"step": 9, "validation_loss": 3}]
    ),
    "funnel": lambda: plots.funnel_plot(FUNNEL),
    "whole funnel": lambda: plots.funnel_plot(WHOLE_FUNNEL),
    "samples": lambda: plots.loss_plot(
        [{"step": 1, "loss": 4.5}, {"step": 5, "rougeL": 0.1}, {"step": 9, "rougeL": 0.2}]
    ),
    "systems": lambda: plots.systems_plot({"unseen": {"n": 9, "systems": {"base": {"rougeL": INTERVAL}}}}, "rougeL"),
    "slots": lambda: plots.padding_plot({"padded": 200, "packed": 110}, 100),
    "padding": lambda: plots.padding_plot(padded_positions([3, 5, 8], 2, 10), 16),
    "sweep": lambda: plots.sweep_plot({"0.01": [{"step": 1, "loss": 4.5}, {"step": 2, "loss": 4.25}]}),
    "growing": lambda: plots.growing_interval_plot({12: INTERVAL}),
    "forest": lambda: plots.forest_plot("NLL", {"faster": INTERVAL}, "plain", 0.5),
    "lengths": lambda: plots.lengths_plot({"title": [3, 5, 9]}, 8),
    "speed": lambda: plots.speed_waterfall(SPEED, "big"),
    "no speed": lambda: plots.speed_waterfall([], "big"),
}
SAID = {
    "loss": ["4.500 at step 1", "2.250 at step 9", "lowest 3.000 at step 9"], "funnel": ["rows in: 40", "missing: -7"],
    "padding": ["to the longest of the batch: "],
    "whole funnel": ["short content: -7", "beside held-out rows: -2"], "samples": ["0.100 at step 5, 0.200 at the end"],
    "systems": ["base, unseen: 0.250 [0.125, 0.375]"], "slots": ["padded: 50%", "packed: 91%"],
    "sweep": ["0.01: from 4.500 to 4.250"], "growing": ["K = 12: 0.250"], "lengths": ["title: median 5, longest 9"],
    "forest": ["to plain", "faster: 0.250 [0.125, 0.375]", "seeds of plain differ by 0.500"],
    "speed": ["the reference: 4,000 tokens/s, 1.0 times", "the fast: 100,000 tokens/s, 25.0 times the first, 50.0% of"],
    "no speed": ["no speed of big is recorded"],
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_says_in_words_what_it_shows(name, tmp_path):
    """A reader who does not see the picture gets its figures, in the notebook and in the book."""
    figure = DRAWN[name]()
    data, metadata = figure._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == data["text/plain"] == figure.alt
    assert all(words in figure.alt for words in SAID[name])
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


IN_NOTEBOOKS = ["loss", "samples", "funnel", "whole funnel", "slots", "padding", "lengths", "speed", "no speed"]


@pytest.mark.parametrize("name", IN_NOTEBOOKS)
def test_a_figure_of_a_notebook_is_portuguese_in_a_portuguese_notebook(name):
    """Labels in English beside a Portuguese page send the reader to a dictionary."""
    with using("pt-BR"):
        figure = DRAWN[name]()
    texts = " ".join(figure_texts(figure)).replace("the fast", "")  # a recipe that this test made up
    assert figure.alt != DRAWN[name]().alt and english_words(texts) == []
    figure.draw_without_rendering()
    for axes in figure.axes:
        for text in (axes.title, axes.xaxis.label):
            box = text.get_window_extent()  # Portuguese is longer than English
            assert not text.get_text() or (box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1), text.get_text()


def test_systems_are_told_apart_without_color():
    """Printed in grey, or seen by one reader in twelve, two colors are one."""
    assert len({mark for _, mark in plots.STYLES.values()}) == len(plots.STYLES)


def test_a_saved_figure_keeps_its_words(tmp_path):
    """A picture that travels without its page should still say what it shows."""
    figure = plots.funnel_plot(FUNNEL, tmp_path / "new" / "funnel.png")
    assert Image.open(tmp_path / "new" / "funnel.png").info["Description"] == figure.alt


def test_names_and_figures_of_the_speed_plot_do_not_run_into_each_other():
    """The picture is drawn at a phone's width, and a recipe's name stands in one line with its figures."""
    long = {
        "shape": "big",
        "recipe": "fixed rows, logits at labels, graph",
        "tokens_per_s": 123_456,
        "roof_share": 0.555,
    }
    figure = plots.speed_waterfall([*SPEED, long], "big")
    figure.draw_without_rendering()
    *_, name, figures = (text.get_window_extent() for text in figure.axes[0].texts)
    assert name.x1 < figures.x0 and figures.x1 <= figure.bbox.x1 and name.x0 >= 0
