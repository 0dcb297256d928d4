"""The sentences on intervals: each says the opposite when the numbers do."""

import pytest
from result_blocks import draws, interval

from ftlib.reporting import interval_sentences as sentences

CASES = {  # name: (sentence, words that it must have)
    "votes": (sentences.about_rows("x", 8, 10, (80, 100)), "shows no preference; 80 of 100"),
    "few clear votes": (sentences.about_rows("x", 10, 10, (50, 100)), "shows a preference; 50 of 100"),
    "draws": (sentences.about_draws(draws(0.1, 0.2, 0.3), 12, interval(0.2)), "none has the wrong sign"),
    "wrong draws": (sentences.about_draws(draws(-0.1, 0.2, 0.3), 12, interval(0.2)), "1 of 3 have the wrong sign"),
    "paired": (sentences.about_pairing(interval(0, 1), interval(0, 1), interval(-0.3, 0.5)), "2.8 times narrower"),
    "not paired": (sentences.about_pairing(interval(0, 1), interval(0, 1), interval(0, 1.41)), "gains nothing here"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sentence_fits_its_numbers(name):
    """A re-recording that turns a result around would leave a sentence that its own output contradicts."""
    sentence, words = CASES[name]
    assert words in sentence
    assert repr(sentence) == str(sentence) == sentence._repr_markdown_()
