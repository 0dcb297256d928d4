"""Split a text into words and numbers, and compare the numbers of two texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_GROUPED = r"\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d{1,3}(?:\.\d{3}){2,}(?![\d.])(?:,\d+)?|\d{1,3}\.\d{3},\d+(?![\d,])"


_FRACTION = r"(?:\d{1,4}[ -])?\d{1,3}/\d{1,3}(?![\d/])"  # 1/2, 1 1/2, 1-1/2: if `_is_fraction`


_WORD = re.compile(
    rf"""(?P<number>(?<![\d/.,]){_FRACTION}|{_GROUPED}|(?<![\d,])\d+,\d{{1,2}}(?![\d,])|\d+(?:\.\d+)?|(?<![\w.])\.\d+)
    |(?<=\d)[^\W\d_]+                                # what follows a number: the x of 10x12, the gb of 8GB
    |[^\W\d_][^\W_]*(?:'[^\W\d_]+|(?<=\d)\.\d+)*        # a word; digits inside it are its own: mp3, usb3.0""",
    re.VERBOSE,
)


_PARTS = re.compile(r"\d+(?:\.\d+)?")


_VULGAR = re.compile("[¼-¾⅐-⅞↉]")  # one character: ½


_DENOMINATORS = frozenset(
    {2, 3, 4, 5, 6, 8, 10, 12, 16, 32, 64}
)  # of inches, cups and spoons; 24/7 and 9/11 are two numbers


FUNCTION_WORDS = frozenset(
    "a an and are as at be by for from in into is it its no not of off on or our out so that the their this to up was"
    " we were with without you your".split()
)


def words(text: str) -> list[str]:
    """The lower-case words and numbers of a text, in order; numbers normalised: 1,000 -> 1000, 0.50 and ½ -> 0.5."""
    found: list[str] = []
    for match in _matches(text):
        found += _readings(match[0])[0] if match["number"] else [match[0]]
    return found


def numbers(text: str) -> set[str]:
    """The different numbers of a text, normalised as in `words`.

    Read as people write them: "1,000", "1.000" and "1.234,50" have thousands, "1,5" is 1.5, "1/2" and "½" are 0.5, "1 1/2" is
    1.5. "8GB" and "10x12" hold the numbers 8, 10 and 12; "MP3" and "two" hold none. "24/7" is read as 24 and 7.
    """
    return {number for match in _matches(text) if match["number"] for number in _readings(match[0])[0]}


def given_numbers(text: str) -> set[str]:
    """All numbers that a text gives to whoever repeats them: each in every way it can be read, and those inside codes.

    "1.250" gives 1250 and 1.25, "1/2" gives 0.5, 1 and 2, "XJ9000" gives 9000.
    """
    found: set[str] = set()
    for match in _matches(text):
        readings = _readings(match[0]) if match["number"] else [tuple(map(_decimal, _PARTS.findall(match[0])))]
        found.update(*readings)
    return found


def unsupported(answer: str, source: str) -> set[str]:
    """The numbers of `answer` that `source` does not give, in no way in which either of them can be read."""
    given: set[str] = given_numbers(source)
    found: set[str] = set()
    for match in _matches(answer):
        readings = _readings(match[0]) if match["number"] else []
        if readings and not any(given.issuperset(reading) for reading in readings):
            found.update(number for number in readings[0] if number not in given)
    return found


def _matches(text: str) -> Iterator[re.Match]:
    """The words and numbers of a text; ½ is written out before, as is every sign that NFKC writes with a fraction slash."""
    text = _VULGAR.sub(lambda found: f" {unicodedata.normalize('NFKC', found[0])} ", text.lower().replace("’", "'"))
    for match in _WORD.finditer(text.replace("⁄", "/")):
        if "/" in match[0] and not _is_fraction(match[0]):
            yield from _WORD.finditer(match[0].replace("/", " "))
        else:
            yield match


def _is_fraction(text: str) -> bool:
    above, below = map(int, re.split("[ -]", text)[-1].split("/"))
    return below in _DENOMINATORS and 0 < above < below


@lru_cache(maxsize=2**16)
def _readings(text: str) -> list[tuple[str, ...]]:
    """What a number can mean, the likeliest first; each reading is the numbers that it consists of, normalised.

    One dot before three digits is a thousand if the last of them is 0: nobody ends a decimal fraction with it.
    """
    if "/" in text:
        *whole, part = re.split("[ -]", text)
        above, below = map(int, part.split("/"))
        value = sum(map(int, whole)) + above / below
        return [(_decimal(f"{value:.6f}"),), tuple(map(_decimal, [*whole, str(above), str(below)]))]
    if "," in text and "." in text:
        thousands, point = (",", ".") if text.rindex(".") > text.rindex(",") else (".", ",")
        return [(_decimal(text.replace(thousands, "").replace(point, ".")),)]
    if text.count(".") > 1:
        return [(_decimal(text.replace(".", "")),)]
    if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", text):
        readings: list[tuple[str, ...]] = [(_decimal(text.replace(".", "")),), (_decimal(text),)]
        return readings if text.endswith("0") else readings[::-1]
    if re.fullmatch(r"\d+,\d{1,2}", text):
        return [(_decimal(text.replace(",", ".")),), tuple(map(_decimal, text.split(",")))]
    return [(_decimal(text.replace(",", "")),)]


def _decimal(number: str) -> str:
    whole, _, fraction = number.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
