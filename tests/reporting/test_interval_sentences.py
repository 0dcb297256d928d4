"""The sentences on intervals: each says the opposite when the numbers do."""

import pytest
from portuguese import english_words
from result_blocks import draws, interval

from ftlib.reporting import interval_sentences as sentences
from ftlib.runtime.language import using


def over_tokens(mean):
    """Return a split of metrics.json with the difference in NLL over tokens."""
    return {"differences": {"tuned-base": {"nll": interval(mean)}}}


CASES = {  # name: (sentence, words that it must have)
    "votes": (lambda: sentences.about_rows("x", 8, 10, (80, 100)), "shows no preference; 80 of 100"),
    "few clear votes": (lambda: sentences.about_rows("x", 10, 10, (50, 100)), "shows a preference; 50 of 100"),
    "no small interval": (
        lambda: sentences.about_small({12: interval(0, 1), 50: interval(0, 0.5)}),
        "the sign is open. From 12",
    ),
    "an early verdict": (
        lambda: sentences.about_small({12: interval(1, 0.5), 50: interval(0, 0.5)}),
        "12 rows exclude 0, all 50",
    ),
    "a shown sign": (
        lambda: sentences.about_small({12: interval(0, 1), 50: interval(1, 0.5)}),
        "From 50 rows on the interval",
    ),
    "draws": (lambda: sentences.about_draws(draws(0.1, 0.2, 0.3), 12, interval(0.2)), "none has the wrong sign"),
    "wrong draws": (
        lambda: sentences.about_draws(draws(-0.1, 0.2, 0.3), 12, interval(0.2)),
        "1 of 3 have the wrong sign",
    ),
    "paired": (
        lambda: sentences.about_pairing(interval(0, 1), interval(0, 1), interval(-0.3, 0.5)),
        "2.8 times narrower",
    ),
    "another mean over tokens": (
        lambda: sentences.about_pairing(interval(0, 1), interval(0, 1), interval(-1.892, 0.5), over_tokens(-1.871)),
        "The table of section 5.3 has -1.871 because it averages over tokens",
    ),
    "not paired": (
        lambda: sentences.about_pairing(interval(0, 1), interval(0, 1), interval(0, 1.41)),
        "gains nothing here",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_sentence_fits_its_numbers(name):
    """A re-recording that turns a result around would leave a sentence that its own output contradicts."""
    write, words = CASES[name]
    sentence = write()
    assert words in sentence
    assert repr(sentence) == str(sentence) == sentence._repr_markdown_()


@pytest.mark.parametrize("name", CASES)
def test_sentence_is_portuguese_in_a_portuguese_notebook(name):
    """Half a sentence in English is read twice and believed less."""
    with using("pt-BR"):
        sentence = CASES[name][0]()
    assert sentence != CASES[name][0]() and english_words(sentence) == []


@pytest.mark.parametrize("block", [over_tokens(-1.8921), {}, None])
def test_two_means_that_agree_are_not_explained(block):
    """A sentence on a difference that nobody sees makes the reader look for it."""
    said = sentences.about_pairing(interval(0, 1), interval(0, 1), interval(-1.892, 0.5), block)
    assert "over tokens" not in said and said.endswith("times the rows would.")
