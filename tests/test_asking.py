"""Asking both models: the demo says what the evaluation would say, and nothing a visitor types can break it."""

import sys

import pytest
import smoke
import torch

from ftlib import asking
from ftlib.app.panel import ask_panel
from ftlib.asking import AskError, Pair, print_both, stream_both, tells_apart
from ftlib.generation import answer_prompts
from ftlib.models import load_plain
from ftlib.prompts import build_prompt
from ftlib.sources import fetch


@pytest.fixture(scope="module")
def pair():
    models = {}
    for system, sharper in (("base", 4), ("tuned", 5)):
        models[system] = load_plain(fetch("tiny:llama"), "float32")
        with torch.no_grad():
            for weight in models[system].parameters():
                weight.mul_(sharper)
    generation = smoke.config().generation.model_copy(update={"max_new_tokens": 8})
    return Pair(models, smoke.tokenizer(), generation, 256)


def test_the_demo_answers_as_the_evaluation_does(pair):
    """A demo that prompts or decodes in its own way shows a model that nobody measured."""
    said = dict.fromkeys(pair.models, "")
    for system, piece in stream_both(pair, "Blue kettle"):
        said[system] += piece
    for system, model in pair.models.items():
        measured = answer_prompts(model, pair.tokenizer, [build_prompt("Blue kettle")], pair.generation)
        assert said[system].strip() == measured[0].text
    assert said["base"] != said["tuned"]


@pytest.mark.parametrize(
    ("title", "question", "words"),
    [(" \n", "", "title is empty"), ("x" * 501, "", "501 characters"), ("Cup", "y" * 600, "question has 600")],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_generated(pair, title, question, words):
    """An empty field or a pasted novel must give a sentence, not a traceback or a minute of waiting."""
    with pytest.raises(AskError, match=words):
        next(stream_both(pair, title, question))


def test_a_failing_model_is_heard(pair, monkeypatch):
    """Generation runs in a thread of its own; an error there used to leave the reader waiting for ever."""
    monkeypatch.setattr(pair.models["base"], "generate", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(stream_both(pair, "Cup"))


def test_plain_text_names_both_systems(pair, capsys):
    """Where widgets are not shown this is the demo."""
    answers = print_both(pair, "Cup")
    shown = capsys.readouterr().out
    assert set(answers) == {"base", "tuned"}
    assert all(f"--- {system}\n{text}" in shown for system, text in answers.items())


def test_the_panel_answers_and_escapes(pair, monkeypatch):
    """Text of a model or a visitor that becomes HTML can break the page, or run in the reader's notebook."""
    monkeypatch.setattr("ftlib.app.panel.stream_one", lambda pair, system, *_: iter(["<b>", system]))
    panel = ask_panel(pair, title="Cup")
    title, question, button, row = panel.children
    button.click()
    assert [f"&lt;b&gt;{system}" in box.value for system, box in zip(pair.models, row.children, strict=True)] == [
        True
    ] * 2
    title.value = ""
    button.click()
    assert all("the title is empty" in box.value for box in row.children) and not button.disabled


def test_without_widgets_the_reader_is_told_what_to_do(pair, monkeypatch, capsys):
    """A cell that shows nothing at all looks broken."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert ask_panel(pair) is None
    assert "print_both" in capsys.readouterr().out


def test_the_likelier_assignment_wins_and_each_text_is_scored_under_both_titles(pair, monkeypatch):
    """If a text that is likely anyway could win, the test would measure how plain a description is, not what is known."""
    rows = [{"title": f"Blue cup {n}", "content": f"It holds {n} ml."} for n in range(2)]
    scored = []

    def score(model, examples, *_):
        scored.extend(pair.tokenizer.decode(example["input_ids"]) for example in examples)
        return [1.0, 9.0, 5.0, 6.0, 1.0, 9.0, 3.0, 4.0], [1] * 8

    monkeypatch.setattr(asking, "answer_nll", score)
    assert tells_apart(pair, "base", rows) == [1.0, 0.0]
    asked = [("cup 0" in text, "holds 0" in text) for text in scored[:4]]
    assert asked == [(True, True), (False, False), (True, False), (False, True)]
