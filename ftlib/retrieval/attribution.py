"""Attribute the sentences of an answer to retrieved rows: is a sentence supported by a source?

`mark(answer, sources)` returns each sentence with the row that supports it. A row supports a sentence if it contains every
number, color and material of the sentence, and at least the share OVERLAP of its other content words, compared by stem and
without the words of the row's title, which every sentence about the product repeats; all numbers, colors and materials together
count as one such word. Numbers are checked strictly, because a wrong number in an otherwise correct sentence leaves most words
unchanged, and it is the error that costs a store most. A sentence with no content beyond the title counts as supported.
Negation ("does not rust"), roles and synonyms are not recognized, and an invented detail beside true facts sometimes passes.
Error rates on pairs that OVERLAP was not chosen on: `python benchmarks/support_pairs.py`, `results/support.json`. The stemmer
is Porter's (1980, "An algorithm for suffix stripping"), from nltk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from nltk.stem.porter import PorterStemmer

from ftlib.data.lexical import FUNCTION_WORDS, given_numbers, numbers, unsupported, words
from ftlib.data.text import sentences
from ftlib.prompts.templates import PREFIX, strip_prefix
from ftlib.retrieval.bm25_index import Source
from ftlib.runtime.yaml_files import packaged

OVERLAP = 0.3  # least share of a sentence's content words that a source must contain
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve".split()
_NUMBER_WORDS = {word: number for number, word in enumerate(_NUMBERS, start=1)}
_EMPTY = FUNCTION_WORDS | frozenset(
    "about also any are been but can come comes could do does each every get gets had has have he her here his how i if just"
    " like made make makes many more most much one only other over please product she should some such than them then there"
    " these they those too use used uses using very what when where which who will would".split()
)
_stem = lru_cache(maxsize=2**16)(PorterStemmer().stem)


@dataclass(frozen=True)
class Marked:
    """A sentence of an answer, and the uid of the row that supports it (None if no row does)."""

    text: str
    uid: str | None

    @property
    def supported(self) -> bool:
        """True if a row supports the sentence."""
        return self.uid is not None


@dataclass(frozen=True)
class Claims:
    """The compared content of a text.

    Attributes:
        words: stems of its content words.
        numbers: in digits, and one to twelve as words.
        given: its numbers in all readings, and those inside codes; see `data.lexical.given_numbers`.
        attributes: stems of its colors and materials.
    """

    words: frozenset[str]
    numbers: frozenset[str]
    given: frozenset[str]
    attributes: frozenset[str]


@cache
def attribute_stems() -> frozenset[str]:
    """Return the stems of the words in attributes.yaml."""
    words_of = packaged("ftlib.retrieval", "attributes.yaml")
    return frozenset(_stem(word) for line in words_of.values() for word in line.split())


@lru_cache(maxsize=2**12)
def claims(text: str) -> Claims:
    """Extract the claims of a text; a number is not a content word."""
    text_words = words(text)
    spelled = {str(_NUMBER_WORDS[word]) for word in text_words if word in _NUMBER_WORDS and word != "one"}
    digits = numbers(text) | spelled
    content = {_stem(w) for w in text_words if w not in _EMPTY and w not in _NUMBER_WORDS and w not in digits}
    given = frozenset(given_numbers(text) | spelled)
    return Claims(frozenset(content), frozenset(digits), given, frozenset(content & attribute_stems()))


def supports(title: str, content: str, sentence: str, overlap: float = OVERLAP) -> bool:
    """Return whether a row (title and description) supports a sentence; the module docstring has the rule."""
    claimed, evidence = claims(sentence), claims(f"{title}. {content}")
    missing = unsupported(sentence, f"{title}. {content}") | (claimed.numbers - numbers(sentence))
    if missing - evidence.given or not claimed.attributes <= evidence.attributes:
        return False
    new_words = claimed.words - claims(title).words - claimed.attributes
    facts = min(1, len(claimed.numbers) + len(claimed.attributes))
    return not new_words or len(new_words & evidence.words) + facts >= overlap * (len(new_words) + facts)


def mark(answer: str, sources: Sequence[Source], prefix: str = PREFIX) -> list[Marked]:
    """Split an answer into sentences and attribute each to the first source that supports it. prefix: `prompt.prefix`."""
    marked = []
    for sentence in sentences(strip_prefix(answer, prefix)):
        uid = next((source.uid for source in sources if supports(source.title, source.content, sentence)), None)
        marked.append(Marked(sentence, uid))
    return marked


def supporting_sentences(answers: Iterable[str], sources: Sequence[Source], prefix: str = PREFIX) -> list[Source]:
    """Return the sources with their `sentences` set to those that support the answers.

    For each supported sentence of an answer, that is the sentence of the source that shares most words with it. A source that
    supports no sentence is returned unchanged.
    """
    marked = [sentence for answer in answers for sentence in mark(answer, sources, prefix)]
    results = []
    for source in sources:
        candidates = sentences(source.content)
        chosen = {
            _closest(sentence.text, candidates) for sentence in marked if sentence.uid == source.uid and candidates
        }
        supporting = tuple(candidates[index] for index in sorted(chosen))
        results.append(replace(source, sentences=supporting) if supporting else source)
    return results


def _closest(sentence: str, candidates: list[str]) -> int:
    """Return the index of the candidate that shares most content words with a sentence."""
    claimed = claims(sentence).words
    return max(range(len(candidates)), key=lambda index: (len(claimed & claims(candidates[index]).words), -index))
