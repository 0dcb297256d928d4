"""The sentences on merging and export: each says the opposite when the numbers do."""

import pytest
from portuguese import english_words
from result_blocks import proof, ways

from ftlib.reporting import merging_sentences as sentences
from ftlib.runtime.language import using

CASES = {  # name: (sentence, words that it must have)
    "a costly merge": (lambda: sentences.about_merge(ways(0.35, 0.01)), "merged into NF4 costs (+0.3500 nats)"),
    "a merge that changes nothing": (
        lambda: sentences.about_merge(ways(0.35, 0.01)),
        "base changes nothing that shows (+0.0000",
    ),
    "a merge that gains": (lambda: sentences.about_merge(ways(-0.2, 0.01)), "merged into NF4 gains (-0.2000 nats)"),
    "level merges": (lambda: sentences.about_merge(ways(0.001, 0.001)), "three ways are level"),
    "the dtype": (
        lambda: sentences.about_dtype(ways(0, 0), proof(nf4=4.0)),
        "dtype makes the difference, not the merge",
    ),
    "no dtype": (lambda: sentences.about_dtype(ways(0, 0), proof(nf4=2e-4)), "adds nothing that matters"),
    "no NF4": (lambda: sentences.about_dtype(ways(0, 0), proof()), "not quantized"),
    "a proof": (lambda: sentences.about_proof(proof()), "the merge is accepted"),
    "a far merge": (lambda: sentences.about_proof(proof(largest=1.0)), "the merge is refused"),
    "another completion": (lambda: sentences.about_proof(proof(greedy=3)), "3 of 4 prompts"),
    "a wrong file": (
        lambda: sentences.about_proof(proof(saved=False)),
        "does not hold the cast weights: the merge is refused",
    ),
    "an export": (
        lambda: sentences.about_export({"prompts": 2, "f16": {"same_ids": True, "same_words": 2, "bytes": 2**20}}),
        "the same prompt ids, 2 of 2",
    ),
    "another export": (
        lambda: sentences.about_export({"prompts": 2, "f16": {"same_ids": False, "same_words": 1, "bytes": 2**20}}),
        "other prompt ids, 1 of 2",
    ),
    "small adapters": (lambda: sentences.about_sizes(5, 260), "the room of 52 adapters"),
    "tiny base": (lambda: sentences.about_sizes(1, 1.5), "makes no difference"),
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
