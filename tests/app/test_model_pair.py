"""Asking both models: the demo says what the evaluation would say, and nothing a visitor types can break it."""

import json
import sys

import pytest
import smoke
import torch

from ftlib.app import model_pair
from ftlib.app.console import print_sources, tell
from ftlib.app.model_pair import (
    AskError,
    Pair,
    language_note,
    print_both,
    stream_one,
    stream_together,
    tells_apart,
    without_words,
)
from ftlib.app.notebook_page import ask_page
from ftlib.cli.entry import main
from ftlib.data.text import plain
from ftlib.generation.batched import answer_prompts
from ftlib.models.base_models import fetch
from ftlib.models.loading import load_plain
from ftlib.pipeline.stages import load_dataset
from ftlib.prompts.templates import QUESTIONS, build_prompt
from ftlib.runtime.language import using


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
    for system, piece in stream_together(pair, "Blue kettle"):
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
        next(stream_together(pair, title, question))


def test_a_failing_model_is_heard(pair, monkeypatch):
    """Generation runs in a thread of its own; an error there used to leave the reader waiting for ever."""
    monkeypatch.setattr(pair.models["base"], "generate", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(stream_together(pair, "Cup"))


def test_plain_text_names_both_systems(pair, capsys):
    """Where widgets are not shown this is the demo."""
    answers = print_both(pair, "Cup")
    shown = capsys.readouterr().out
    assert set(answers) == {"base", "tuned"}
    assert all(f"--- {system}\n{plain(text)}" in shown for system, text in answers.items())


def test_the_likelier_assignment_wins_and_each_text_is_scored_under_both_titles(pair, monkeypatch):
    """If a text that is likely anyway could win, the test would measure how plain a description is, not what is known."""
    rows = [{"title": f"Blue cup {n}", "content": f"It holds {n} ml."} for n in range(2)]
    scored = []

    def score(model, examples, *_):
        scored.extend(pair.tokenizer.decode(example["input_ids"]) for example in examples)
        return [1.0, 9.0, 5.0, 6.0, 1.0, 9.0, 3.0, 4.0], [1] * 8

    monkeypatch.setattr(model_pair, "answer_nll", score)
    assert tells_apart(pair, "base", rows) == [1.0, 0.0]
    asked = [("cup 0" in text, "holds 0" in text) for text in scored[:4]]
    assert asked == [(True, True), (False, False), (True, False), (False, True)]


def test_both_columns_fill_at_once_and_say_the_same(pair):
    """The tuned answer begins only when the base's is whole, and the visitor waits twice as long to compare."""
    pieces = list(stream_together(pair, "Blue kettle"))
    said = {name: "".join(piece for system, piece in pieces if system == name) for name in pair.models}
    alone = {name: "".join(stream_one(pair, name, "Blue kettle")) for name in pair.models}
    assert said == alone
    assert {system for system, _ in pieces[:2]} == {"base", "tuned"}


def test_an_answer_that_nobody_reads_ends(pair, monkeypatch):
    """A closed tab keeps the model generating, and all others wait for it."""
    steps, honest = [], pair.models["base"].forward
    monkeypatch.setattr(pair.models["base"], "forward", lambda *a, **k: steps.append(1) or honest(*a, **k))
    long = pair.generation.model_copy(update={"max_new_tokens": 500, "length_decay": None})
    stream = stream_together(Pair({"base": pair.models["base"]}, pair.tokenizer, long, 256), "Cup")
    next(stream)
    stream.close()  # waits for the thread that writes
    assert len(steps) < 400


@pytest.mark.parametrize(
    ("question", "noted"),
    [
        ("Quantos ml tem a caneca?", True),
        ("Serve para viagem?", True),
        ("How many ml does it hold?", False),
        ("size", False),
        ("", False),
    ],
)
def test_who_asks_in_portuguese_is_told(question, noted):
    """An English answer to a Portuguese question looks like a fault; a note for "size" looks like one too."""
    assert bool(language_note(question)) == noted
    assert not any(language_note(text) for text in QUESTIONS.values())


def test_control_characters_do_not_reach_the_terminal(pair, monkeypatch, capsys):
    """A product's text could rename the window, move the cursor or hide what stands above it."""
    monkeypatch.setattr(model_pair, "stream_one", lambda *_: iter(["\x1b]0;hacked\x07a", "\u202eb"]))
    tell(pair, "Cup")
    assert "]0;hackedab" in capsys.readouterr().out and plain("a\tb\n\x9b1mc") == "a\tb\n1mc"


def test_one_json_object_and_nothing_else(smoke_run, capsys):
    """A program that reads the output finds a progress line in it; or a key of the contract is missing."""
    row = load_dataset(smoke_run)["train"][0]
    assert main(["ask", row["title"], "--question", "Is it new?", "--json", "--run", str(smoke_run.path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert list(said) == ["title", "question", "answers", "sources", "sentences"]
    assert (said["title"], said["question"]) == (row["title"], "Is it new?") and set(said["answers"]) == {
        "base",
        "tuned",
    }
    assert list(said["sources"][0]) == ["uid", "title", "score", "split", "sentence"]
    assert (said["sources"][0]["uid"], said["sources"][0]["split"]) == (row["uid"], "train")
    assert all(set(sentence) == {"text", "supported"} for sentence in said["sentences"])


def test_ask_one_model_with_sources(smoke_run, capsys):
    """`--model tuned` that loads and asks both takes twice as long; a title that is unknown must be called so."""
    assert (
        main(["ask", "Zorblax 9000", "--model", "tuned", "--sources", "--open-book", "--run", str(smoke_run.path)]) == 0
    )
    said = capsys.readouterr()
    assert "--- tuned" in said.out and "--- base" not in said.out
    assert "No row of the catalog belongs to this title" in said.out and "with retrieval: no row" in said.err
    title = load_dataset(smoke_run)["test"][0]["title"]
    assert main(["ask", title, "--model", "base", "--sources", "--run", str(smoke_run.path)]) == 0
    assert "not trained on it, test split" in capsys.readouterr().out


def test_without_gradio_the_notebook_answers_in_plain_text(pair, smoke_run, monkeypatch, capsys):
    """A reader whose runtime lacks Gradio gets an ImportError in place of the notebook's main example."""
    monkeypatch.setitem(sys.modules, "ftlib.app.gradio_app", None)
    ask_page(pair, smoke_run, "Cup")
    printed = capsys.readouterr().out
    assert "pip install" in printed and "--- base" in printed and "--- tuned" in printed


def test_a_source_shows_what_the_answer_rests_on(pair, smoke_run, capsys):
    """Sources that do not say which sentence they support leave the checking to the reader."""
    dataset = load_dataset(smoke_run)
    index = model_pair.Index.open(dataset, smoke_run.stage("index").path)
    row = dataset["train"][0]
    found = model_pair.summary(row["title"], "", {"tuned": row["content"]}, index.sources(row["title"]))
    assert (
        all(sentence["supported"] for sentence in found["sentences"])
        and found["sources"][0]["sentence"] in row["content"]
    )
    with_index = Pair(pair.models, pair.tokenizer, pair.generation, 256, index)
    print_sources(with_index, found)
    shown = capsys.readouterr().out
    assert f"[1] {row['uid']}" in shown and "trained on it" in shown and "supported by a source" in shown
    with using("pt-BR"):
        print_sources(with_index, found)
    shown = capsys.readouterr().out
    assert "usada no treino" in shown and "✓ sustentada por uma fonte" in shown


def test_closed_and_open_book_are_measured_alike(pair):
    """The notebook's comparison must be of the same tokens with another prompt, and nothing else."""
    rows = smoke.rows(3)
    entries = {row["uid"]: [("Kettle 9", row["content"])] for row in rows}
    found = list(model_pair.closed_and_open(pair, smoke.config(), rows, entries))
    assert [name for name, *_ in found] == ["base"] * 3 + ["tuned"] * 3
    means = [values["mean"] for *_, values in found]
    assert means[2] == pytest.approx(means[1] - means[0], abs=1e-6) and means[0] != means[1]


def test_hidden_title_words_leave_only_what_reading_cannot_match():
    """Finding 13: words of a title in its description let any reader match the pair, which is no knowledge."""
    titles = ["Blue cups, 300 ml", "Green plate"]
    assert without_words("Two blue cups hold 300 ml. A plate, green.", titles) == "Two hold A"
    assert without_words("Tea tastes good.", titles) == "Tea tastes good."


def test_pairs_without_a_word_left_are_left_out(pair):
    """An empty description would be compared with an empty one: a coin that counts as knowledge."""
    rows = [{"title": "blue cup", "content": "A blue cup."}, {"title": "a cup", "content": "The cup."}]
    assert tells_apart(pair, "base", rows, hide_title_words=True) == []
