"""The sentences on retrieval: each says the opposite when the numbers do."""

import pytest
from result_blocks import interval, result

from ftlib.reporting import retrieval_sentences as sentences
from ftlib.reporting.sentence_parts import recorded

CASES = {  # name: (sentence, words that it must have)
    "retrieval helps": (
        sentences.about_retrieval({("base", "with - without retrieval"): interval(-0.5)}),
        "Retrieval helps the base model",
    ),
    "retrieval hurts": (
        sentences.about_retrieval({("tuned", "with - without retrieval"): interval(0.5)}),
        "Retrieval hurts the fine-tuned model",
    ),
    "retrieval": (sentences.about_retrieval({("base", "with - without retrieval"): interval(0.0)}), "is not shown to help"),
    "no source": (sentences.about_marks(result(sources=False)), "No row reached the threshold"),
    "all marked": (sentences.about_marks(result(True, True)), "All 2 sentences"),
    "some marked": (sentences.about_marks(result(True, False)), "1 of 2 sentences"),
    "misses": (sentences.about_threshold({"errors": {"missed": 0.2, "wrongly_cited": 0.1, "counted_on": 50}}), "misses more"),
    "cites": (sentences.about_threshold({"errors": {"missed": 0.1, "wrongly_cited": 0.1, "counted_on": 50}}), "cites wrongly"),
    "no errors": (sentences.about_threshold({}), "were not counted"),
    "support": (sentences.about_support(recorded("support.json")), "most often right"),
    "no support": (sentences.about_support(None), "not here"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sentence_fits_its_numbers(name):
    """A re-recording that turns a result around would leave a sentence that its own output contradicts."""
    sentence, words = CASES[name]
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
