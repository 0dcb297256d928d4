"""Clean many texts at once, with the same result as `ftlib.data.cleaning` and several times as fast.

A file of two million rows has a gigabyte of text, most of which no step changes. So numpy scans the bytes of many texts together,
and a step is called only for the texts that it may change. A test compares the result with `cleaning`, which defines it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from ftlib.data.cleaning import BOILERPLATE, PLAIN, STEPS, Change, Steps, odd_characters, whitespace

# Texts are joined into one byte string with _END before, between and after them; this byte does not occur in UTF-8.
_END = b"\xff"
_BITS = {step: 1 << index for index, step in enumerate(STEPS)}
_ODD = _BITS["unicode"] | _BITS["whitespace"]  # a byte outside printable ASCII may belong to white space
# Tables for bytes.translate: byte -> bits of the steps it requires; white space -> blank; non-word byte -> blank.
_STEPS_OF_BYTE = bytes(
    {"&": _BITS["unescape"], "<": _BITS["tags"], chr(_END[0]): 0}.get(chr(code), 0 if code in PLAIN else _ODD)
    for code in range(256)
)
_SPACES = bytes(ord(" ") if code < 128 and chr(code).isspace() else code for code in range(256))
_WORDS = bytes(
    code if code > 127 or chr(code).isalnum() or chr(code) == "_" else ord(" ") for code in range(256)
).lower()


class Cleaned(NamedTuple):
    """The cleaned texts, their `normalize` keys in UTF-8, and all changes, in the order of the texts."""

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
    return Cleaned(cleaned, keys, [change for _, change in sorted(changes, key=lambda pair: pair[0])])


def _steps_needed(joined: bytes, words: bytes) -> np.ndarray:
    """Return for each text the _BITS of the steps that may change it.

    Args:
        joined: the texts, see `_joined`.
        words: the same with one blank between words.

    Returns:
        uint8, (texts,). A step whose bit is not set leaves the text unchanged.
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
    """Return the offsets of the phrases of BOILERPLATE; a regular expression takes twice as long."""
    offsets = []
    for phrase in (text.encode() for text, _ in BOILERPLATE):
        offset = words.find(phrase)
        while offset >= 0:
            offsets.append(offset)
            offset = words.find(phrase, offset + 1)
    return offsets


def _keys_beyond_ascii(cleaned: list[str]) -> Iterable[tuple[int, bytes]]:
    """Return (index, `normalize` key) of the non-ASCII texts, which the byte tables cannot fold."""
    indices = [index for index, text in enumerate(cleaned) if not text.isascii()]
    folded = [_blanked(cleaned[index].casefold(), lambda sign: not sign.isalnum()) for index in indices]
    return zip(indices, _apart(_collapsed(_joined(folded).translate(_WORDS))), strict=True)


def _apply(step: Callable[[str], str], texts: list[str]) -> Iterable[str]:
    """Apply a step to texts; `whitespace`, which most texts need, is vectorized."""
    if step is not whitespace:
        return map(step, texts)
    plain = [text if text.isascii() else _blanked(text, str.isspace) for text in texts]
    return (text.decode() for text in _apart(_collapsed(_joined(plain).translate(_SPACES))))


def _joined(texts: list[str]) -> bytes:
    """Join texts in UTF-8, with _END before, between and after them."""
    return _END.join([b"", *[text.encode() for text in texts], b""])


def _collapsed(joined: bytes) -> bytes:
    """Collapse runs of spaces to one, and remove spaces at the start of each text."""
    codes = np.frombuffer(joined, np.uint8)
    space = codes == ord(" ")
    mask = np.ones(len(codes), bool)
    mask[1:] = ~(space[1:] & (space | (codes == ord(_END)))[:-1])
    return codes[mask].tobytes()


def _apart(joined: bytes) -> list[bytes]:
    """Split joined texts, and strip spaces at the end of each."""
    return [text.rstrip() for text in joined.split(_END)[1:-1]]


def _blanked(text: str, which: Callable[[str], bool]) -> str:
    """Replace each non-ASCII character for which `which` returns True by a space."""
    for character in odd_characters(text):
        if not character.isascii() and which(character):
            text = text.replace(character, " ")
    return text
