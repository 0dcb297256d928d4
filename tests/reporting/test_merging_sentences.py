"""The sentences on merging and export: each says the opposite when the numbers do."""

import pytest
from result_blocks import proof, ways

from ftlib.reporting import merging_sentences as sentences

CASES = {  # name: (sentence, words that it must have)
    "a costly merge": (sentences.about_merge(ways(0.35, 0.01)), "merged into NF4 costs (+0.3500 nats)"),
    "a merge that changes nothing": (sentences.about_merge(ways(0.35, 0.01)), "base changes nothing that shows (+0.0000"),
    "a merge that gains": (sentences.about_merge(ways(-0.2, 0.01)), "merged into NF4 gains (-0.2000 nats)"),
    "level merges": (sentences.about_merge(ways(0.001, 0.001)), "three ways are level"),
    "the dtype": (sentences.about_dtype(ways(0, 0), proof(nf4=4.0)), "dtype makes the difference, not the merge"),
    "no dtype": (sentences.about_dtype(ways(0, 0), proof(nf4=2e-4)), "adds nothing that matters"),
    "no NF4": (sentences.about_dtype(ways(0, 0), proof()), "not quantized"),
    "a proof": (sentences.about_proof(proof()), "the merge is accepted"),
    "a far merge": (sentences.about_proof(proof(largest=1.0)), "the merge is refused"),
    "another completion": (sentences.about_proof(proof(greedy=3)), "3 of 4 prompts"),
    "a wrong file": (sentences.about_proof(proof(saved=False)), "does not hold the cast weights: the merge is refused"),
    "an export": (
        sentences.about_export({"prompts": 2, "f16": {"same_ids": True, "same_words": 2, "bytes": 2**20}}),
        "the same prompt ids, 2 of 2",
    ),
    "another export": (
        sentences.about_export({"prompts": 2, "f16": {"same_ids": False, "same_words": 1, "bytes": 2**20}}),
        "other prompt ids, 1 of 2",
    ),
    "small adapters": (sentences.about_sizes(5, 260), "the room of 52 adapters"),
    "tiny base": (sentences.about_sizes(1, 1.5), "makes no difference"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sentence_fits_its_numbers(name):
    """A re-recording that turns a result around would leave a sentence that its own output contradicts."""
    sentence, words = CASES[name]
    assert words in sentence
    assert repr(sentence) == str(sentence) == sentence._repr_markdown_()
