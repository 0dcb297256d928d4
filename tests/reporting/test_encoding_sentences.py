"""The computed sentences of notebook 02: each says what its numbers show, in both directions."""

import math

import pytest
from portuguese import english_words

from ftlib.reporting import encoding_sentences as sentences
from ftlib.runtime.language import using


def effect(mean: float, low: float, high: float) -> dict:
    return {"study": "ablations", "mean": mean, "ci95": [low, high]}


EFFECT = "Training without a label on the end"
CASES = {  # {name: (sentence, what it must contain)}
    "ends are masked": (lambda: sentences.about_end_labels(0, 8, 8), "so this is a trap here"),
    "ends are kept": (lambda: sentences.about_end_labels(8, 8, 8), "does not close with this tokenizer"),
    "prompt is harder": (lambda: sentences.about_prompt_loss(3.0, 3.5), "0.500 nats higher"),
    "prompt is easier": (lambda: sentences.about_prompt_loss(3.0, 2.5), "0.500 nats lower"),
    "prompt is level": (lambda: sentences.about_prompt_loss(3.0, 3.001), "level here"),
    "effect: worse": (lambda: sentences.about_effect([effect(0.1, 0.05, 0.2)], EFFECT), "loss on new rows higher"),
    "effect: better": (lambda: sentences.about_effect([effect(-0.1, -0.2, -0.05)], EFFECT), "loss on new rows lower"),
    "effect: slight": (lambda: sentences.about_effect([effect(-0.004, -0.008, -0.001)], EFFECT), "slightly lower"),
    "effect: chance": (lambda: sentences.about_effect([effect(0.01, -0.05, 0.2)], EFFECT), "no more than chance"),
    "effect: not studied": (lambda: sentences.about_effect([], EFFECT), "is not in our studies"),
    "first token: no trap": (lambda: sentences.about_bos({"as encoded": 3.5, "lost": 3.501}), "is no trap"),
    "first token: trap": (
        lambda: sentences.about_bos({"as encoded": 3.5, "lost": 3.501, "twice": 4.1}),
        "+0.600 nats (twice)",
    ),
    "truncated without end": (lambda: sentences.about_truncation(False, True), "has no end mark"),
    "truncated with end": (lambda: sentences.about_truncation(True, True), "to stop in mid-sentence"),
    "not truncated": (lambda: sentences.about_truncation(True, False), "nothing was truncated"),
    "packing is right": (
        lambda: sentences.about_packing(3.0, 3.00001, 2.7),
        "give the loss of single rows (difference 0.00001",
    ),
    "packing is wrong": (lambda: sentences.about_packing(3.0, 3.2, 2.7), "do NOT give the loss"),
    "leak is small": (lambda: sentences.about_packing(3.0, 3.0, 3.0002), "hardly changes on this model"),
    "leak is large": (lambda: sentences.about_packing(3.0, 3.0, 2.7), "parts see the ones before them"),
    "mask harms": (lambda: sentences.about_mask(3.0, 3.5), "the parts see each other"),
    "mask does no harm": (lambda: sentences.about_mask(3.0, 3.0), "no harm on this model"),
    "trained model": (lambda: sentences.about_perplexity(math.log(30), 50_000), "perplexity of 30.0, far below"),
    "blind model": (lambda: sentences.about_perplexity(math.log(50_000), 50_000), "nothing is learned yet"),
}


@pytest.mark.parametrize("name", CASES)
def test_sentence_says_what_its_numbers_show(name):
    """A sentence that fits the recording of today is false after the next one."""
    write, expected = CASES[name]
    assert expected in write()


@pytest.mark.parametrize("name", CASES)
def test_sentence_is_portuguese_in_a_portuguese_notebook(name):
    """Half a sentence in English is read twice and believed less."""
    with using("pt-BR"):
        sentence = CASES[name][0]()
    assert sentence != CASES[name][0]() and english_words(sentence) == []
