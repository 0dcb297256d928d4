"""The course's diagrams: each is drawn, and each says in words what it shows."""

import math

import numpy as np
import pytest
from portuguese import english_words, figure_texts

from ftlib.reporting import diagrams
from ftlib.reporting.plots import as_png
from ftlib.runtime.language import using
from ftlib.training.lora_math import memory_parts


def texts(figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


@pytest.mark.parametrize("step", range(1, 7))
def test_pipeline_marks_the_notebook_that_is_open(step):
    """A map without "you are here", or with it on another step, leads the reader to the wrong notebook."""
    figure = diagrams.pipeline_diagram(step)
    name = diagrams.STEPS[step - 1][0]
    assert f"{step} {name}" in texts(figure) and texts(figure).count("you are here") == 1
    assert f"You are here: {step} {name.lower()}" in figure.alt
    assert as_png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("step", [0, 7])
def test_pipeline_has_six_steps(step):
    """Step 0 would mark nothing, and the reader would look for the mark."""
    with pytest.raises(ValueError, match="allowed are 1 to 6"):
        diagrams.pipeline_diagram(step)


CURVES = [
    {
        "run": run,
        "log": [
            *({"step": step, "loss": 3.0 / step} for step in range(1, 9)),
            *({"step": step, "validation_loss": 4.0 / step} for step in (4, 8)),
        ],
    }
    for run in ("right", "too low", "too high")
]
FIGURES = {
    "lora": (lambda: diagrams.lora_diagram(576, 192, 8), "6,144 numbers, 5.6% of the 110,592"),
    "shift": (lambda: diagrams.shift_diagram(["cup", ">", "Blue"], [None, None, "Blue"]), "2 labels are -100"),
    "packing": (
        lambda: diagrams.packing_diagram([300, 200, 100], [[0, 1], [2]], 512),
        "packed into 2 rows: 59% is text",
    ),
    "nf4": (lambda: diagrams.nf4_diagram(np.linspace(-1, 1, 128), "a layer"), "of the 16 levels lie between"),
    "memory": (lambda: diagrams.memory_diagram({"base": 512.0}, 2.0), "base: 512 MiB; everything else: 1.5 GiB"),
    "real memory": (
        lambda: diagrams.memory_diagram(
            memory_parts(
                {
                    "trainable_parameters": 2**20,
                    "tokens": 1000,
                    "stopped_at_step": 10,
                    "padding_efficiency": 0.5,
                    "base_mib": 64,
                },
                2**10,
                0.5,
            ),
            1.0,
        ),
        "frozen base: 64 MiB",
    ),
    "memory, no peak": (lambda: diagrams.memory_diagram({"base": 2048.0}, None), "base: 2.0 GiB."),
    "gallery": (lambda: diagrams.gallery_diagram(CURVES), "too high: training loss 3.00 to 0.38"),
    "no gallery": (lambda: diagrams.gallery_diagram([]), "Nothing to draw"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_diagram_is_drawn_and_described(name):
    """Who cannot see the figure reads its alternative text; it must hold the figure's numbers."""
    draw, expected = FIGURES[name]
    figure = draw()
    assert expected in figure.alt and as_png(figure).startswith(b"\x89PNG")


def test_nf4_has_sixteen_levels_with_zero_and_both_ends():
    """A wrong data type gives fp4's levels, which look alike."""
    levels = diagrams.nf4_levels()
    assert (
        len(levels) == 16
        and (levels[0], levels[-1]) == (-1, 1)
        and any(math.isclose(x, 0, abs_tol=1e-6) for x in levels)
    )


@pytest.mark.parametrize("draw", [*(draw for draw, _ in FIGURES.values()), lambda: diagrams.pipeline_diagram(3)])
def test_diagram_is_portuguese_in_a_portuguese_notebook(draw):
    """Labels in English beside a Portuguese page send the reader to a dictionary."""
    with using("pt-BR"):
        figure = draw()
    assert figure.alt != draw().alt and english_words(" ".join(figure_texts(figure))) == []


@pytest.mark.parametrize("step", range(1, 7))
def test_portuguese_pipeline_fits_its_boxes(step):
    """Portuguese words are longer; a name that leaves its box covers the arrow."""
    with using("pt-BR"):
        figure = diagrams.pipeline_diagram(step)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    box = axes.transData.transform((0.8, 0))[0] - axes.transData.transform((0, 0))[0]
    assert all(text.get_window_extent().width < 0.95 * box for text in axes.texts if "▲" not in text.get_text())
