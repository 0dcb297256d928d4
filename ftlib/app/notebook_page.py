"""The demo page inside a notebook: `ask_page(pair, run, title="Blue cup")` as the last line of a cell."""

from __future__ import annotations

from ftlib.app.model_pair import Pair, print_both
from ftlib.pipeline.stage import Run
from ftlib.runtime.language import tr


def ask_page(pair: Pair, run: Run, title: str = "") -> None:
    """Show the page of `ftlib serve`, also on Colab; without Gradio, answer in plain text and print how to install it."""
    try:
        from ftlib.app.gradio_app import show
    except ImportError as error:
        print(
            tr(
                'the page needs Gradio ({error}): pip install "gradio>=6.0"; here is the answer in plain text',
                error=error,
            )
        )
        if title:
            print_both(pair, title)
        return
    show(pair, run, title)
