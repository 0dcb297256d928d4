"""The sentences on retrieval: each says the opposite when the numbers do."""

import pytest
from portuguese import english_words
from result_blocks import interval, result

from ftlib.reporting import retrieval_sentences as sentences
from ftlib.reporting.sentence_parts import recorded
from ftlib.runtime.language import using

CASES = {  # name: (sentence, words that it must have)
    "retrieval helps": (
        lambda: sentences.about_retrieval({("base", "with - without retrieval"): interval(-0.5)}),
        "Retrieval helps the base model",
    ),
    "retrieval hurts": (
        lambda: sentences.about_retrieval({("tuned", "with - without retrieval"): interval(0.5)}),
        "Retrieval hurts the fine-tuned model",
    ),
    "retrieval": (
        lambda: sentences.about_retrieval({("base", "with - without retrieval"): interval(0.0)}),
        "is not shown to help",
    ),
    "no source": (lambda: sentences.about_marks(result(sources=False)), "No row reached the threshold"),
    "all marked": (lambda: sentences.about_marks(result(True, True)), "All 2 sentences"),
    "some marked": (lambda: sentences.about_marks(result(True, False)), "1 of 2 sentences"),
    "misses": (
        lambda: sentences.about_threshold({"errors": {"missed": 0.2, "wrongly_cited": 0.1, "counted_on": 50}}),
        "misses more",
    ),
    "cites": (
        lambda: sentences.about_threshold({"errors": {"missed": 0.1, "wrongly_cited": 0.1, "counted_on": 50}}),
        "cites wrongly",
    ),
    "no errors": (lambda: sentences.about_threshold({}), "were not counted"),
    "support": (lambda: sentences.about_support(recorded("support.json")), "most often right"),
    "no support": (lambda: sentences.about_support(None), "not here"),
}


@pytest.mark.parametrize("name", CASES)
def test_sentence_fits_its_numbers(name):
    """A re-recording that turns a result around would leave a sentence that its own output contradicts."""
    write, words = CASES[name]
    sentence = write()
    assert words in sentence
    assert repr(sentence) == str(sentence) == sentence._repr_markdown_()


def test_marks_are_shown_with_their_blind_spot():
    """The example of the notebook must show a right mark, a wrong number and the negation that passes."""
    page = sentences.mark_examples(
        "Blue cup, 300 ml",
        "The rim is steel. Made for picnics.",
        ["Made for picnics.", "It holds 350 ml.", "The rim is not steel."],
    )
    marks = [line.split("|")[1].strip() for line in page.splitlines()[2:]]
    assert marks == ["✓ in the source", "? not in the source", "✓ in the source"]
    with using("pt-BR"):
        page = sentences.mark_examples("Blue cup", "The rim is steel.", ["The rim is steel.", "It holds 350 ml."])
    assert page.splitlines()[0] == "| marca | frase |" and "? não está na fonte" in page


@pytest.mark.parametrize("name", CASES)
def test_sentence_is_portuguese_in_a_portuguese_notebook(name):
    """Half a sentence in English is read twice and believed less."""
    with using("pt-BR"):
        sentence = CASES[name][0]()
    assert sentence != CASES[name][0]() and english_words(sentence) == []
