"""Clean hundreds of texts at once: the result of `ftlib.data.cleaning`, several times as fast.

A file of two million rows has a gigabyte of text, most of it clean. So numpy scans the bytes of many texts together, and a step
is called only for the texts that it may change. A test compares the result with `cleaning`, which defines it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from ftlib.data.cleaning import BOILERPLATE, PLAIN, STEPS, Change, Steps, odd_characters, whitespace

# Texts are joined into one byte string, with _END before, between and behind them: no UTF-8 text holds this byte.
_END = b"\xff"
_BITS = {step: 1 << number for number, step in enumerate(STEPS)}
_ODD = _BITS["unicode"] | _BITS["whitespace"]  # what is not printable ASCII may be white space too
# Tables for bytes.translate: byte -> the steps that it calls for; white space -> blank; not part of a word -> blank.
_STEPS_OF_BYTE = bytes(
    {"&": _BITS["unescape"], "<": _BITS["tags"], chr(_END[0]): 0}.get(chr(code), 0 if code in PLAIN else _ODD)
    for code in range(256)
)
_SPACES = bytes(ord(" ") if code < 128 and chr(code).isspace() else code for code in range(256))
_WORDS = bytes(
    code if code > 127 or chr(code).isalnum() or chr(code) == "_" else ord(" ") for code in range(256)
).lower()


class Cleaned(NamedTuple):
    """The cleaned texts, `normalize` of each in UTF-8, and what each step changed, in the order of the texts."""

    texts: list[str]
    keys: list[bytes]
    changes: list[Change]


def clean_texts(texts: list[str], steps: Steps) -> Cleaned:
    """Clean texts as `cleaning.clean_text` does."""
    cleaned, keys = list(texts), [b""] * len(texts)
    changes: list[tuple[int, Change]] = []
    active = np.arange(len(texts))  # indices of the texts that may change in this round
    while len(active):
        joined = _joined([cleaned[index] for index in active])
        words = _collapsed(joined.translate(_WORDS))
        needed = _steps_needed(joined, words)
        for index, key in zip(active.tolist(), _apart(words), strict=True):
            keys[index] = key
        touched: set[int] = set()
        for name, step in steps:
            indices = sorted(touched.union(active[(needed & _BITS[name]).nonzero()].tolist()))
            before = [cleaned[index] for index in indices]
            for index, old, new in zip(indices, before, _apply(step, before), strict=True):
                if new != old:
                    changes.append((index, Change(name, old, new)))
                    cleaned[index] = new
                    touched.add(index)
        active = np.array(sorted(touched), np.int64)
    for index, key in _keys_beyond_ascii(cleaned):
        keys[index] = key
    return Cleaned(cleaned, keys, [change for _, change in sorted(changes, key=lambda each: each[0])])


def _steps_needed(joined: bytes, words: bytes) -> np.ndarray:
    """Return for each text the _BITS of the steps that may change it, uint8 of shape (texts,).

    joined: the texts; words: the same with one blank between words. A step whose bit is not set leaves the text unchanged.
    """
    codes = np.frombuffer(joined, np.uint8)
    marks = np.frombuffer(joined.translate(_STEPS_OF_BYTE), np.uint8).copy()
    blank, end = codes == ord(" "), codes == ord(_END)
    bit = np.uint8(_BITS["whitespace"])
    marks[1:] |= (blank[1:] & (blank | end)[:-1]) * bit  # two blanks, or one at the beginning
    marks[:-1] |= (blank[:-1] & end[1:]) * bit  # or one at the end
    needed = np.bitwise_or.reduceat(marks, np.flatnonzero(end))[:-1]
    starts = np.flatnonzero(np.frombuffer(words, np.uint8) == ord(_END))
    needed[np.searchsorted(starts, _boilerplate_offsets(words)) - 1] |= _BITS["boilerplate"]
    return needed


def _boilerplate_offsets(words: bytes) -> list[int]:
    """Return where phrases of BOILERPLATE begin; a regular expression takes twice as long."""
    offsets = []
    for phrase in (text.encode() for text, _ in BOILERPLATE):
        offset = words.find(phrase)
        while offset >= 0:
            offsets.append(offset)
            offset = words.find(phrase, offset + 1)
    return offsets


def _keys_beyond_ascii(cleaned: list[str]) -> Iterable[tuple[int, bytes]]:
    """Return (index, `normalize` of the text) of the texts that the byte tables cannot fold."""
    indices = [index for index, text in enumerate(cleaned) if not text.isascii()]
    folded = [_blanked(cleaned[index].casefold(), lambda sign: not sign.isalnum()) for index in indices]
    return zip(indices, _apart(_collapsed(_joined(folded).translate(_WORDS))), strict=True)


def _apply(step: Callable[[str], str], texts: list[str]) -> Iterable[str]:
    """The step's result for each text. White space is the one step that most texts need, so it is done to all at once."""
    if step is not whitespace:
        return map(step, texts)
    plain = [text if text.isascii() else _blanked(text, str.isspace) for text in texts]
    return (text.decode() for text in _apart(_collapsed(_joined(plain).translate(_SPACES))))


def _joined(texts: list[str]) -> bytes:
    """All texts in UTF-8, an _END before, between and behind them."""
    return _END.join([b"", *[text.encode() for text in texts], b""])


def _collapsed(joined: bytes) -> bytes:
    """One space for several, and none at the beginnings."""
    codes = np.frombuffer(joined, np.uint8)
    space = codes == ord(" ")
    kept = np.ones(len(codes), bool)
    kept[1:] = ~(space[1:] & (space | (codes == ord(_END)))[:-1])
    return codes[kept].tobytes()


def _apart(joined: bytes) -> list[bytes]:
    """The texts, with no space at their ends."""
    return [text.rstrip() for text in joined.split(_END)[1:-1]]


def _blanked(text: str, which: Callable[[str], bool]) -> str:
    """The text with a space for each character beyond ASCII for which `which` is true."""
    for character in odd_characters(text):
        if not character.isascii() and which(character):
            text = text.replace(character, " ")
    return text
