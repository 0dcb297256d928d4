"""The before/after demo inside a notebook: title, question, and both answers side by side as they are written.

What: `ask_page` shows the page of `ftlib serve`; where Gradio is missing, `ask_panel` shows title, question and answers with
ipywidgets, which need no server; where these are missing too, a line says how `print_both` does it in plain text.
All text is escaped before it becomes HTML.
How: `ask_page(pair, run, title="Blue cup")` as the last line of a cell.
"""

from __future__ import annotations

import html
import time

from ftlib.app.model_pair import SYSTEMS, AskError, Pair, check_asked, stream_one
from ftlib.pipeline.stage import Run
from ftlib.prompts.templates import QUESTIONS

BOX = (
    '<div role="region" aria-live="polite" aria-label="answer of the {system} model" style="border:1px solid #888;'
    'border-radius:6px;padding:.6em;min-height:6em;white-space:pre-wrap;overflow-wrap:anywhere">'
    "<strong>{system}</strong> <small>{note}</small>\n{text}</div>"
)


def answer_box(system: str, text: str = "", note: str = "") -> str:
    """One answer as HTML, escaped."""
    return BOX.format(system=system, note=html.escape(note), text=html.escape(text))


def ask_page(pair: Pair, run: Run, title: str = "", question: str = ""):
    """The page inside the notebook, also on Colab; where Gradio is missing, `ask_panel`, with a line of advice."""
    try:
        from ftlib.app.gradio_app import show
    except ImportError as error:
        print(f'the page needs Gradio ({error}): pip install "gradio>=6.0"; here are simpler fields')
        return ask_panel(pair, title, question or QUESTIONS["reference"])
    show(pair, run, title)


def ask_panel(pair: Pair, title: str = "", question: str = QUESTIONS["reference"]):
    """A widget with two text fields, a button and two answers; None, with a line of advice, where ipywidgets is missing."""
    try:
        import ipywidgets as widgets
    except ImportError:
        print('no widgets here: pip install "ipywidgets>=7.7", or use ftlib.app.model_pair.print_both(pair, "a title")')
        return None
    wide = widgets.Layout(width="98%")
    style = {"description_width": "5.5em"}
    fields = {
        "title": widgets.Text(title, description="Title", layout=wide, style=style),
        "question": widgets.Textarea(question, description="Question", rows=2, layout=wide, style=style),
    }
    button = widgets.Button(description="Ask both", icon="play", tooltip="let both models answer")
    boxes = {system: widgets.HTML(answer_box(system), layout=widgets.Layout(flex="1 1 18em")) for system in SYSTEMS}

    def ask(_) -> None:
        button.disabled = True
        try:
            _answer(pair, fields["title"].value, fields["question"].value, boxes)
        finally:
            button.disabled = False  # whatever happened, the next question must be possible

    button.on_click(ask)
    row = widgets.HBox(list(boxes.values()), layout=widgets.Layout(flex_flow="row wrap"))
    return widgets.VBox([*fields.values(), button, row])


def _answer(pair: Pair, title: str, question: str, boxes: dict) -> None:
    """Let the base answer, then the tuned model, each into its box."""
    try:
        title, question = check_asked(title, question)
    except AskError as error:
        for system, box in boxes.items():
            box.value = answer_box(system, note=str(error))
        return
    for system, box in boxes.items():
        box.value = answer_box(system, note="waiting")
    for system, box in boxes.items():
        started, text = time.perf_counter(), ""
        for piece in stream_one(pair, system, title, question):
            text += piece
            box.value = answer_box(system, text, "writing …")
        box.value = answer_box(system, text, f"{time.perf_counter() - started:.1f} s")
