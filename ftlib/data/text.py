"""Split texts into search terms and sentences, for retrieval and attribution.

Search terms are folded as users type them, without accents and capitals: `fold("Café Noir, 5 l")` returns ["cafe", "noir", "5",
"l"]. `data.lexical` splits differently: it normalizes numbers (1,000 is 1000) in order to compare them.
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
    """Return the lower-case words and numbers of a text without accents, single characters included."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _TOKEN.findall(text.lower())


def plain(text: str) -> str:
    """Remove control and format characters, which could manipulate a terminal; keep line ends and tabs."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf"))


def sentences(text: str) -> list[str]:
    """Split a text into sentences: after . ! ? before a capital or a digit, and at line ends.

    Abbreviations ("Dr.") and initials do not end a sentence.
    """
    results: list[str] = []
    for piece in filter(None, map(str.strip, _SENTENCE.split(text))):
        if results and _ABBREVIATED.search(results[-1]):
            results[-1] += f" {piece}"
        else:
            results.append(piece)
    return results


def adjacent_pairs(words: Sequence[str]) -> set[tuple[str, str]]:
    """Return the pairs of adjacent words, to rank titles with the same words by their order."""
    return {*zip(words, words[1:], strict=False)}


def question_words(question: str) -> list[str]:
    """Return the content words of a question, without function words and the words of QUESTIONS."""
    return [word for word in dict.fromkeys(fold(question)) if word not in _QUESTION_STOP_WORDS]


# Function words of questions.
ENGLISH = frozenset(
    "a an and any are can do does for from has have how i in is it its many me much my of on one or should tell that the there "
    "they this to use used was what when where which who why will with would you".split()
)
PORTUGUESE = frozenset(
    "a as com da de do e ela ele em essa esse esta este eu isso isto na no o os ou para por qual quais quando "
    "que quem se serve tem um uma é são como posso pode há".split()
)
_QUESTION_STOP_WORDS = {word for question in QUESTIONS.values() for word in fold(question)} | ENGLISH | PORTUGUESE


def best_sentences(text: str, words: Collection[str], count: int = 2) -> list[str]:
    """Return the `count` sentences with most of the words, in the text's order; else the first sentence."""
    candidates = sentences(text)
    hits = [len({*words} & {*fold(sentence)}) for sentence in candidates]
    best = sorted(range(len(candidates)), key=lambda index: (-hits[index], index))[:count]
    chosen = sorted(index for index in best if hits[index]) or best[:1]
    return [candidates[index] for index in chosen]
