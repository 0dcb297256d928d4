"""Words and sentences of titles, questions and descriptions, as the index and the marks of an answer read them.

Why apart from `metrics.words`: there a number keeps its value (1,000 is 1000) because numbers are compared; here a word is what
somebody types into a search box, without accents and without capitals.
How: `fold("Café Noir, 5 l")` -> ["cafe", "noir", "5", "l"]; `sentences(text)`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from ftlib.prompts.templates import QUESTIONS

_TOKEN = re.compile(r"\w+")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|Dr|Mr|Mrs|Ms|St|Jr|Sr|No|Vol|vol|vs|approx|incl|oz|lb|ft|in|pc|Pc|pcs|ea|Inc|Ltd|Co)\.$"
)
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]*[A-ZÀ-Þ0-9])|\s*\n\s*")


def fold(text: str) -> list[str]:
    """Lower-case words and numbers without accents, so that "Café" is found by "cafe"; single characters stay ("size 5")."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _TOKEN.findall(text.lower())


def plain(text: str) -> str:
    """The text without control characters, which could move a terminal's cursor or hide text; line ends and tabs stay."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf"))


def sentences(text: str) -> list[str]:
    """The sentences of a text: split after . ! ? before a capital or a digit, and at line ends; not after "Dr." or an initial."""
    parts: list[str] = []
    for part in filter(None, map(str.strip, _SENTENCE.split(text))):
        if parts and _ABBREVIATED.search(parts[-1]):
            parts[-1] += f" {part}"
        else:
            parts.append(part)
    return parts


def adjacent_pairs(words: Sequence[str]) -> set[tuple[str, str]]:
    """Words that stand beside each other: of two titles with the same words the one in the same order comes first."""
    return {*zip(words, words[1:], strict=False)}


def question_words(question: str) -> list[str]:
    """The words of a question that say what it is about; none of those in which the course itself asks."""
    return [word for word in dict.fromkeys(fold(question)) if word not in _ASKING]


# Function words that questions are made of: what a question is about are its other words.
ENGLISH = frozenset(
    "a an and any are can do does for from has have how i in is it its many me much my of on one or should tell that the there "
    "they this to use used was what when where which who why will with would you".split()
)
PORTUGUESE = frozenset(
    "a as com da de do e ela ele em essa esse esta este eu isso isto na no o os ou para por qual quais quando "
    "que quem se serve tem um uma é são como posso pode há".split()
)
_ASKING = {word for question in QUESTIONS.values() for word in fold(question)} | ENGLISH | PORTUGUESE


def best_sentences(text: str, words: Collection[str], count: int = 2) -> list[str]:
    """The `count` sentences of a text with most of the words, in the text's order; the first one if none has any."""
    parts = sentences(text)
    hits = [len({*words} & {*fold(part)}) for part in parts]
    best = sorted(range(len(parts)), key=lambda place: (-hits[place], place))[:count]
    chosen = sorted(place for place in best if hits[place]) or best[:1]
    return [parts[place] for place in chosen]
