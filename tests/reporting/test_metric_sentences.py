"""The sentences on metrics: each says the opposite when the numbers do."""

import pytest
from portuguese import english_words
from result_blocks import block, copying, interval, lookups, many, memory, stopping, with_nearer

from ftlib.reporting import metric_sentences as sentences
from ftlib.reporting.tables import SHOWN
from ftlib.runtime.language import using


def unpaired(*means):
    """Return a block that was recorded without the paired difference to the lookup."""
    return lookups(*means) | {"differences": {}}


CASES = {  # name: (sentence, words that it must have)
    "lookup ahead": (lambda: sentences.about_lookup(lookups(0.13, 0.2)), "the lookup beats the fine-tuned model"),
    "model ahead": (lambda: sentences.about_lookup(lookups(0.3, 0.2)), "fine-tuned model beats the lookup"),
    "lookup level": (lambda: sentences.about_lookup(lookups(0.2, 0.205)), "no difference between"),
    "copy beaten": (lambda: sentences.about_copy(lookups(0.3, 0.2, 0.05)), "less than both"),
    "copy ahead": (lambda: sentences.about_copy(lookups(0.3, 0.2, 0.15)), "no less than the base model. One line"),
    "copy ahead of the tuned": (
        lambda: sentences.about_copy(block(rougeL=(0.3, 0.2, 0.25))),
        "no less than the fine-tuned model.",
    ),
    "copy ahead of both": (
        lambda: sentences.about_copy(lookups(0.05, 0.2, 0.15)),
        "base model and the fine-tuned model.",
    ),
    "ahead, not paired": (lambda: sentences.about_lookup(unpaired(0.3, 0.2)), "(0.300) is ahead of the lookup (0.200)"),
    "behind, not paired": (lambda: sentences.about_lookup(unpaired(0.2, 0.3)), "(0.200) is behind the lookup (0.300)"),
    "nearer": (
        lambda: sentences.about_reference(with_nearer(-0.2)),
        "Nearer to the references after fine-tuning: `title_coverage`",
    ),
    "farther": (lambda: sentences.about_reference(with_nearer(0.2)), "Farther from them: `title_coverage`"),
    "as near": (lambda: sentences.about_reference(with_nearer(0.0)), "none of the metrics"),
    "forced end": (lambda: sentences.about_stops(stopping(0.9, forced=True)), "says nothing about the model"),
    "ceiling": (lambda: sentences.about_stops(stopping(0.65)), "Only 65% of the reference texts fit"),
    "no ceiling": (lambda: sentences.about_stops(stopping(0.99)), "nothing limits this metric"),
    "memorized": (lambda: sentences.about_memory(memory(-2, -1)), "memorized some"),
    "not memorized": (lambda: sentences.about_memory(memory(-1.05, -1)), "no memory is shown"),
    "less on seen": (lambda: sentences.about_memory(memory(-0.5, -1)), "memory cannot explain"),
    "no seen rows": (lambda: sentences.about_memory({}), "cannot be judged"),
    "recites": (lambda: sentences.about_copying(copying(60, 7)), "recites more"),
    "no reciting": (lambda: sentences.about_copying(copying(7.5, 7)), "no reciting is shown"),
    "nothing seen": (lambda: sentences.about_copying({}), "cannot be compared"),
    "many shown": (lambda: sentences.about_comparisons(many(1)), "Far more are shown than chance"),
    "none shown": (lambda: sentences.about_comparisons(many(0)), "shows 0 differences"),
    "chance": (lambda: sentences.about_comparisons(many(0)), "Chance alone could explain"),
    "fewer numbers": (
        lambda: sentences.about_numbers(
            block(unsupported_numbers=(1.0, 0.5)) | {"reference": {"unsupported_numbers": {"mean": 0}}}
        ),
        "fewer numbers that the title does not give (0.500 a row, base 1.000). The reference texts have none here",
    ),
    "more numbers": (
        lambda: sentences.about_numbers(
            block(unsupported_numbers=(0.5, 1.0)) | {"reference": {"unsupported_numbers": {"mean": 2}}}
        ),
        "more numbers that the title does not give (1.000 a row, base 0.500). The reference texts have 2.000",
    ),
    "as many numbers": (lambda: sentences.about_numbers(block(unsupported_numbers=(0.5, 0.5))), "as many numbers"),
    "no retention": (lambda: sentences.about_retention({}), "was not scored"),
}


@pytest.mark.parametrize("name", CASES)
def test_sentence_fits_its_numbers(name):
    """A re-recording that turns a result around would leave a sentence that its own output contradicts."""
    write, words = CASES[name]
    sentence = write()
    assert words in sentence
    assert repr(sentence) == str(sentence) == sentence._repr_markdown_()


@pytest.mark.parametrize(
    ("change", "words"),
    [(0.1, "some general language was forgotten"), (-0.1, "nothing was forgotten"), (0.0, "beyond chance")],
)
def test_retention_is_read_in_its_direction(change, words):
    """ "It forgot nothing" beside an NLL that rose would be the one false sentence that an examiner finds."""
    metrics = {"retention": {"differences": {"tuned-base": {"nll_per_byte": interval(change)}}}}
    assert words in sentences.about_retention(metrics)
    with using("pt-BR"):
        assert english_words(sentences.about_retention(metrics)) == []


def test_each_shown_metric_is_defined():
    """A column that nobody explains is read as whatever the reader hopes."""
    page = sentences.metric_definitions(block(rougeL=(0.1, 0.2), nll=(3.0, 2.0)))
    assert "`rougeL`" in page and "`nll`" in page and "lower is better" in page
    with using("pt-BR"):
        page = sentences.metric_definitions(block(**dict.fromkeys(SHOWN, (0.1, 0.2))))
    assert all(f"`{name}`" in page for name in SHOWN) and english_words(page) == []


@pytest.mark.parametrize("name", CASES)
def test_sentence_is_portuguese_in_a_portuguese_notebook(name):
    """Half a sentence in English is read twice and believed less."""
    with using("pt-BR"):
        sentence = CASES[name][0]()
    assert sentence != CASES[name][0]() and english_words(sentence) == []
