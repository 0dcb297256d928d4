"""Synthetic pairs of a row and a sentence, and the recorded error rates of attribution on them."""

from pathlib import Path

import support_pairs
from sentence_pairs import make_pairs

from ftlib.retrieval import attribution
from ftlib.runtime.files import read_json

ROOT = Path(__file__).resolve().parents[2]


def test_pairs_are_what_their_labels_say():
    """Rates measured on pairs that are labeled wrongly say nothing."""
    pairs = list(make_pairs(80, seed=5))
    assert pairs == list(make_pairs(80, seed=5)) and [bool(p.changed) for p in pairs[:4]] == [False, True] * 2
    assert {p.changed for p in pairs} == {None, "number", "color", "material"}
    for pair in pairs:
        assert pair.sentence not in pair.content  # in other words, or changed


def test_the_recorded_rates_are_those_of_this_code():
    """The course would print how often the marks are right, of marks that it does not make any more."""
    recorded = read_json(ROOT / "results" / "support.json")
    assert support_pairs.measure() == recorded and recorded["overlap"] == attribution.OVERLAP
