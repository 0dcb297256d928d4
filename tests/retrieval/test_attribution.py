"""Sentences and their sources: a wrong number is not supported, and reported counts are right."""

import sys
from pathlib import Path

import pytest

from ftlib.data.sample.pairs import make_pairs
from ftlib.data.text import sentences
from ftlib.retrieval import attribution
from ftlib.retrieval.bm25_index import Source
from ftlib.runtime.files import read_json

ROOT = Path(__file__).resolve().parents[2]
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
def test_one_wrong_number_colour_or_material_is_enough(sentence, uid):
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


def test_pairs_are_what_their_labels_say():
    """Rates measured on pairs that are labelled wrongly say nothing."""
    pairs = list(make_pairs(80, seed=5))
    assert pairs == list(make_pairs(80, seed=5)) and [bool(p.changed) for p in pairs[:4]] == [False, True] * 2
    assert {p.changed for p in pairs} == {None, "number", "color", "material"}
    for pair in pairs:
        assert pair.sentence not in pair.content  # in other words, or changed


def test_the_recorded_rates_are_those_of_this_code(monkeypatch):
    """The course would print how often the marks are right, of marks that it does not make any more."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import support_pairs

    recorded = read_json(ROOT / "results" / "support.json")
    assert support_pairs.measure() == recorded and recorded["overlap"] == attribution.OVERLAP
    del sys.modules["support_pairs"]
