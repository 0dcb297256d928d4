"""Find numbers that an answer takes from the title and gives another meaning: the blind spot of `unsupported`.

`data.lexical.unsupported` compares numbers only. "Zorblax 9000 toaster" supports every 9000 of an answer, also that of
"9000 inches". Here a number is compared together with the word behind it.
"""

from __future__ import annotations

import re

from ftlib.data.lexical import numbers

_PAIR = re.compile(r"(?<![\w.])(\d[\d.,/]*\d|\d)[\s-]*([^\W\d_]+)")


def number_pairs(text: str) -> dict[tuple[str, str], str]:
    """Return {(number, word behind it in lower case and without a plural s): the word as written}."""
    return {
        (value, _singular(match[2].lower())): match[2] for match in _PAIR.finditer(text) for value in numbers(match[1])
    }


def moved_numbers(answer: str, title: str) -> set[str]:
    """Return 'number word' for the pairs of the answer whose number is in the title, but beside another word."""
    given, known = number_pairs(title), numbers(title)
    return {
        f"{pair[0]} {word}" for pair, word in number_pairs(answer).items() if pair not in given and pair[0] in known
    }


def _singular(word: str) -> str:
    word = word[:-2] if word.endswith(("ches", "shes", "xes")) else word
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
