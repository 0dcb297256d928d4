"""The computed sentences of notebook 01: each says what its numbers show, in both directions."""

import pytest
from portuguese import english_words

from ftlib.generation.batched import Answer
from ftlib.reporting import data_sentences as sentences
from ftlib.runtime.language import using


def funnel(**changes) -> dict:
    return {
        "rows_in": 100,
        "dropped": {"missing": 60, "duplicate": 5},
        "kept": 35,
        "split": "near",
        "splits": {"train": 28, "validation": 3, "test": 2},
        "left_out": {"held_out_groups": 2, "not_needed": 0},
        "near_duplicates": {"groups": 1, "rows": 2},
    } | changes


CASES = {  # {name: (sentence, what it must contain)}
    "rows add up": (lambda: sentences.about_rows(funnel()), "so every row is accounted for"),
    "rows are missing": (lambda: sentences.about_rows(funnel(kept=40)), "does not add up to 40"),
    "largest loss": (lambda: sentences.about_losses(funnel()), "`missing` drops most: 60 of 100 rows (60%)"),
    "no loss": (lambda: sentences.about_losses(funnel(dropped={})), "No filter dropped a row"),
    "near-duplicates": (lambda: sentences.about_near(funnel()), "2 rows differ from another row"),
    "no near-duplicates": (lambda: sentences.about_near(funnel(near_duplicates={"rows": 0})), "changed no group"),
    "another split": (lambda: sentences.about_near(funnel(split="group")), "`data.split=group`"),
    "leak": (
        lambda: sentences.about_leaks({"random": {"rows": 9, "title": 1, "content": 2}})[0],
        "1 title and 2 descriptions of 9 test rows are also in training",
    ),
    "no leak": (
        lambda: sentences.about_leaks({"near": {"rows": 9, "title": 0, "content": 0}})[0],
        "no text of the test",
    ),
    "long texts": (lambda: sentences.about_lengths([10, 20, 900], 512), "1 of 3 are longer than 512"),
    "no long text": (lambda: sentences.about_lengths([10, 20, 30], 512), "none of 3 is longer than 512"),
}


@pytest.mark.parametrize("name", CASES)
def test_sentence_says_what_its_numbers_show(name):
    """A sentence that fits the recording of today is false after the next one."""
    write, expected = CASES[name]
    assert expected in write()


def test_two_answers_are_compared_by_form_end_and_numbers():
    """The opening of the course would praise a model that forgot the format, or hide a number that it invented."""
    answers = {
        "base": Answer("Mug. It holds 350 ml", n_tokens=80, stopped=False),
        "tuned": Answer("Description: A mug.", n_tokens=9, stopped=True),
    }
    base, tuned = sentences.about_two_answers(answers, "Mug", "Description: ")
    assert "does not begin" in base and "was truncated" in base and "(350)" in base
    assert 'begins with "Description:"' in tuned and "stops by itself" in tuned and "numbers" not in tuned
    with using("pt-BR"):
        said = sentences.about_two_answers(answers, "Mug", "Description: ")
    assert "não começa" in said[0] and "(350)" in said[0] and english_words(" ".join(said)) == []


@pytest.mark.parametrize("name", CASES)
def test_sentence_is_portuguese_in_a_portuguese_notebook(name):
    """Half a sentence in English is read twice and believed less."""
    with using("pt-BR"):
        sentence = CASES[name][0]()
    assert sentence != CASES[name][0]() and english_words(sentence) == []
