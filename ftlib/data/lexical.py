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
    |(?<=\d)[^\W\d_]+                                # letters after a number: the x of 10x12, the gb of 8GB
    |[^\W\d_][^\W_]*(?:'[^\W\d_]+|(?<=\d)\.\d+)*        # a word, including digits inside it: mp3, usb3.0""",
    re.VERBOSE,
)


_DIGITS_IN_CODE = re.compile(r"\d+(?:\.\d+)?")


_VULGAR = re.compile("[¼-¾⅐-⅞↉]")  # fractions that are one character, such as ½


# of inches, cups and spoons; with any other denominator (24/7, 9/11) the text is two numbers
_DENOMINATORS = frozenset({2, 3, 4, 5, 6, 8, 10, 12, 16, 32, 64})


FUNCTION_WORDS = frozenset(
    "a an and are as at be by for from in into is it its no not of off on or our out so that the their this to up was"
    " we were with without you your".split()
)


def words(text: str) -> list[str]:
    """Split a text into lower-case words and normalized numbers: 1,000 -> 1000, 0.50 and ½ -> 0.5."""
    results: list[str] = []
    for match in _matches(text):
        results += _readings(match[0])[0] if match["number"] else [match[0]]
    return results


def numbers(text: str) -> set[str]:
    """Return the distinct numbers of a text, normalized as in `words`.

    "1,000", "1.000" and "1.234,50" have thousands separators, "1,5" is 1.5, "1/2" and "½" are 0.5, "1 1/2" is 1.5. "8GB" and
    "10x12" contain the numbers 8, 10 and 12; "MP3" and "two" contain none. "24/7" is 24 and 7.
    """
    return {number for match in _matches(text) if match["number"] for number in _readings(match[0])[0]}


def given_numbers(text: str) -> set[str]:
    """Return all numbers that a text supports: each number in every reading, and those inside codes.

    "1.250" supports 1250 and 1.25, "1/2" supports 0.5, 1 and 2, "XJ9000" supports 9000.
    """
    results: set[str] = set()
    for match in _matches(text):
        readings = _readings(match[0]) if match["number"] else [tuple(map(_decimal, _DIGITS_IN_CODE.findall(match[0])))]
        results.update(*readings)
    return results


def unsupported(answer: str, source: str) -> set[str]:
    """Return the numbers of `answer` that `source` does not contain in any reading of either."""
    given: set[str] = given_numbers(source)
    missing: set[str] = set()
    for match in _matches(answer):
        readings = _readings(match[0]) if match["number"] else []
        if readings and not any(given.issuperset(reading) for reading in readings):
            missing.update(number for number in readings[0] if number not in given)
    return missing


def _matches(text: str) -> Iterator[re.Match]:
    """Yield the words and numbers of a text; ½ and other one-character fractions become 1/2 first (NFKC)."""
    text = _VULGAR.sub(lambda match: f" {unicodedata.normalize('NFKC', match[0])} ", text.lower().replace("’", "'"))
    for match in _WORD.finditer(text.replace("⁄", "/")):
        if "/" in match[0] and not _is_fraction(match[0]):
            yield from _WORD.finditer(match[0].replace("/", " "))
        else:
            yield match


def _is_fraction(text: str) -> bool:
    numerator, denominator = map(int, re.split("[ -]", text)[-1].split("/"))
    return denominator in _DENOMINATORS and 0 < numerator < denominator


@lru_cache(maxsize=2**16)
def _readings(text: str) -> list[tuple[str, ...]]:
    """Return the readings of a number, most likely first; each is a tuple of normalized numbers.

    A single dot before three digits is a thousands separator if the last digit is 0, because decimal fractions rarely end in 0.
    """
    if "/" in text:
        *integers, fraction = re.split("[ -]", text)
        numerator, denominator = fraction.split("/")
        value = sum(map(int, integers)) + int(numerator) / int(denominator)
        parts = [*integers, str(int(numerator)), str(int(denominator))]
        return [(_decimal(f"{value:.6f}"),), tuple(map(_decimal, parts))]
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
    integer, _, fraction = number.partition(".")
    integer, fraction = integer.lstrip("0") or "0", fraction.rstrip("0")
    return f"{integer}.{fraction}" if fraction else integer
