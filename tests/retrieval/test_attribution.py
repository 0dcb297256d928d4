"""Sentences and their sources: a wrong number is not supported, and reported counts are right."""

import pytest

from ftlib.data.text import sentences
from ftlib.retrieval import attribution
from ftlib.retrieval.bm25_index import Source

CUP = Source("u1", "Blue Enamel Cup, 300 ml", 1.0, "train", 0, (), "It holds 300 ml. A steel rim keeps it in shape.")
HAT = Source("u2", "Red Wool Hat", 0.9, "test", 0, (), "Knitted from merino wool. Two sizes fit most heads.")


@pytest.mark.parametrize(
    ("sentence", "uid"),
    [
        ("This cup holds 300 ml.", "u1"),
        ("This cup holds 350 ml.", None),
        ("The green cup holds 300 ml.", None),
        ("The cup has a rim of copper.", None),
        ("A hat of merino wool in 2 sizes.", "u2"),
        ("It comes with a guarantee of ten years.", None),
        ("This blue enamel cup is made for travel and for baking bread.", None),
        ("It is for you.", "u1"),
    ],
)
def test_one_wrong_number_color_or_material_is_enough(sentence, uid):
    """A page that marks a wrong number as supported gives it the authority of the catalog."""
    (marked,) = attribution.mark(f"Description: {sentence}", [CUP, HAT])
    assert (marked.uid, marked.supported) == (uid, uid is not None)


def test_a_source_shows_the_sentence_that_the_answer_rests_on():
    """A source that shows its first sentence, whatever was said, cannot be checked."""
    cup, hat = attribution.supporting_sentences(["The rim is made of steel."], [CUP, HAT])
    assert cup.sentences == ("A steel rim keeps it in shape.",) and hat.sentences == ()
    assert attribution.mark("", [CUP]) == []


def test_sentences_are_not_cut_at_titles_and_initials():
    """ "The Pilot Dr." is no sentence, and nothing supports it."""
    text = "The Pilot Dr. Grip writes well. It has a refill (No. 77271).\nMade by J. R. Smith? Yes"
    parts = ["The Pilot Dr. Grip writes well.", "It has a refill (No. 77271).", "Made by J. R. Smith?", "Yes"]
    assert sentences(text) == parts
