"""The course's diagrams: each is drawn, and each says in words what it shows."""

import pytest

from ftlib.reporting import diagrams
from ftlib.reporting.plots import as_png


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
