"""Is a sentence of an answer borne out by the rows that it is shown with? Words, numbers, colours and materials.

What: `mark(answer, sources)` gives each sentence of an answer with whether one row supports it;
`supporting_sentences` picks the sentences of the rows that it rests on.
How it is decided: every number, colour and material that the sentence names must stand in the row; and of all else that it
tells at least `OVERLAP`: content words by their stem, without those of the row's title, which every sentence about the product
repeats; such facts together count as one word. Why so strict on the first: a wrong number in a right sentence leaves most words
as they were, and it is what a customer sues for. A sentence that tells nothing but the title is supported.
What it cannot see: "does not rust" against "rusts", who does what to whom, words that mean the same; and an invention beside true
facts passes now and then.
How often it is right, on pairs that `OVERLAP` was not chosen on: `python benchmarks/support_pairs.py`, `results/support.json`.
Porter's stemmer (Porter 1980, "An algorithm for suffix stripping") comes from the library nltk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources

import yaml
from nltk.stem.porter import PorterStemmer

from ftlib.data.text import sentences
from ftlib.data.words import FUNCTION_WORDS, given_numbers, numbers, unsupported, words
from ftlib.prompts.templates import strip_prefix
from ftlib.retrieval.bm25_index import Source

OVERLAP = 0.3
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
    """A sentence of an answer. `uid`: the row that supports it, None if none does."""

    text: str
    uid: str | None

    @property
    def supported(self) -> bool:
        return self.uid is not None


@dataclass(frozen=True)
class Claims:
    """What a text says, as far as it is looked at: stems of its content words, numbers, colours and materials.

    given: the numbers in every way they can be read, and those inside codes (see `metrics.given_numbers`).
    """

    words: frozenset[str]
    numbers: frozenset[str]
    given: frozenset[str]
    attributes: frozenset[str]


@cache
def attribute_stems() -> frozenset[str]:
    """Stems of the words in attributes.yaml."""
    listed = yaml.safe_load((resources.files("ftlib.retrieval") / "attributes.yaml").read_text(encoding="utf-8"))
    return frozenset(_stem(word) for line in listed.values() for word in line.split())


@lru_cache(maxsize=2**12)
def claims(text: str) -> Claims:
    """Numbers are those in digits, and one to twelve as words; a number is no content word."""
    said = words(text)
    spelled = {str(_NUMBER_WORDS[word]) for word in said if word in _NUMBER_WORDS and word != "one"}
    digits = numbers(text) | spelled
    content = {_stem(word) for word in said if word not in _EMPTY and word not in _NUMBER_WORDS and word not in digits}
    given = frozenset(given_numbers(text) | spelled)
    return Claims(frozenset(content), frozenset(digits), given, frozenset(content & attribute_stems()))


def supports(title: str, content: str, sentence: str, overlap: float = OVERLAP) -> bool:
    """True if a row (title and description) supports the sentence, as the head of this file says."""
    said, known = claims(sentence), claims(f"{title}. {content}")
    missing = unsupported(sentence, f"{title}. {content}") | (said.numbers - numbers(sentence))
    if missing - known.given or not said.attributes <= known.attributes:
        return False
    told = said.words - claims(title).words - said.attributes
    facts = min(1, len(said.numbers) + len(said.attributes))
    return not told or len(told & known.words) + facts >= overlap * (len(told) + facts)


def mark(answer: str, sources: Sequence[Source]) -> list[Marked]:
    """The sentences of an answer, each with the first row that supports it. The leading "Description:" says nothing."""
    found = []
    for sentence in sentences(strip_prefix(answer)):
        uid = next((source.uid for source in sources if supports(source.title, source.content, sentence)), None)
        found.append(Marked(sentence, uid))
    return found


def supporting_sentences(answers: Iterable[str], sources: Sequence[Source]) -> list[Source]:
    """The sources, each with the sentences of its description that share most words with the sentences it supports."""
    marked = [sentence for answer in answers for sentence in mark(answer, sources)]
    found = []
    for source in sources:
        parts = sentences(source.content)
        chosen = {_closest(each.text, parts) for each in marked if each.uid == source.uid and parts}
        best = tuple(parts[place] for place in sorted(chosen))
        found.append(replace(source, sentences=best) if best else source)
    return found


def _closest(sentence: str, parts: list[str]) -> int:
    said = claims(sentence).words
    return max(range(len(parts)), key=lambda place: (len(said & claims(parts[place]).words), -place))
