"""The sentences on a model's own texts: each says the opposite when the texts do."""

import pytest
from portuguese import english_words
from result_blocks import Named, shares

from ftlib.reporting import asking_sentences as sentences
from ftlib.runtime.language import using

PREFIX = "Description: "
GOOD, OTHER = "Description: a cup", "A cup"
CASES = {  # name: (sentence, words that it must have)
    "random weights": (lambda: sentences.about_model(Named("tiny:llama")), "noise"),
    "real weights": (lambda: sentences.about_model(Named("pypi:x")), "can be read"),
    "form of one": (
        lambda: sentences.about_answers({"base": OTHER, "tuned": GOOD}, PREFIX),
        "Only the fine-tuned model begins",
    ),
    "form of both": (lambda: sentences.about_answers({"base": GOOD, "tuned": GOOD}, PREFIX), "Both completions begin"),
    "form of none": (lambda: sentences.about_answers({"base": OTHER, "tuned": OTHER}, PREFIX), "Neither completion"),
    "one form": (lambda: sentences.about_answers({"tuned": GOOD}, PREFIX), "The completion begins"),
    "one without": (lambda: sentences.about_answers({"tuned": OTHER}, PREFIX), "does not begin"),
    "refusal": (lambda: sentences.about_refusal({"base": "I do not know it.", "tuned": GOOD}), "The base model hints"),
    "two refusals": (
        lambda: sentences.about_refusal({"base": "I am not sure.", "tuned": "I do not know it."}),
        "The base and the fine-tuned model hints",
    ),
    "no refusal": (lambda: sentences.about_refusal({"base": OTHER, "tuned": GOOD}), "No model says"),
    "one wording": (lambda: sentences.about_wordings({"a": GOOD, "b": GOOD}, PREFIX), "2 of 2 wordings"),
    "wordings": (lambda: sentences.about_wordings({"a": GOOD, "b": OTHER}, PREFIX), "2 different completions"),
    "ceiling of reading": (
        lambda: sentences.about_reading({"base": {"mean": 1, "ci95": [0.91, 1.0]}}, 40),
        "at the ceiling",
    ),
    "reading": (
        lambda: sentences.about_reading({"base": {"mean": 0.8, "ci95": [0.6, 0.9]}}, 40),
        "better than a coin without",
    ),
    "no reading": (
        lambda: sentences.about_reading({"base": {"mean": 0.5, "ci95": [0.3, 0.7]}}, 40),
        "not shown to be better",
    ),
    "memory of products": (lambda: sentences.about_knowledge(shares(0.5, 0.9)), "is memory of products"),
    "no products": (lambda: sentences.about_knowledge(shares(0.5, 0.52)), "No memory of products is shown"),
    "knowledge": (lambda: sentences.about_knowledge(shares(0.9, 0.9)), "90% [80%, 100%]: better than a coin"),
    "worse than a coin": (lambda: sentences.about_knowledge(shares(0.2, 0.2)), "worse than a coin"),
    "invented": (lambda: sentences.about_invented({"12"}), "guesses: 12."),
    "nothing invented": (lambda: sentences.about_invented(()), "The list is empty. That does not mean"),
    "moved": (lambda: sentences.about_invented((), {"9000 inches"}), "another word than there: 9000 inches"),
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
