"""Clean a title or a description: each step is one function from text to text, and each can be switched off.

Why in this order: entities first (an unescaped `&lt;b&gt;` becomes a tag, which the next step removes), then tags, Unicode,
boilerplate and last the white space that the others leave. Nothing is lower-cased, no accent or name is touched.
How: `clean_text(text, steps_of(cfg.data.clean))`; `data.clean.tags=false` switches one step off.
`ftlib.data.cleaning_vectorized` does the same to hundreds of texts at once, several times as fast.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

# A tag begins with a letter, a slash or an exclamation mark, so "5 < 6 > 4" and "<3" stay as they are.
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->|<![A-Za-z][^<>]*>", re.DOTALL)
_BLOCK_TAG = re.compile(r"</?(?:p|br|div|li|ul|ol|tr|td|th|table|h[1-6]|hr)\b[^<>]*>", re.IGNORECASE)
# "--This text refers to the Hardcover edition.", in the file mostly run together ("theHardcoveredition."), and "--This
# text refers to an out of print or unavailable edition of this title." The dashes tell it from a sentence of the text.
_REFERS = re.compile(r"--\s*This text refers to (?:the|an?)[^.]{0,120}?edition(?: of this title)?\s*\.?", re.IGNORECASE)
# "Copyright 2004 Reed Business Information, Inc.", "Copyright © Reed Business Information, a division of Reed Elsevier Inc.
# All rights reserved.", the same of Cahners Business Information, and of the American Library Association (Booklist). It
# begins with "Copyright", "©" or "(c)": written as a set of first characters, the search for it is several times as fast.
_PUBLISHER = re.compile(
    r"[Cc©(](?:(?<=[Cc])opyright|(?<=©)|(?<=\()c\))\s*(?:©|\(c\))?\s*(?:\d{4})?\s*"
    r"(?:(?:Reed|Cahners) Business Information(?:,? a division of Reed Elsevier)?(?:,?\s*Inc\b)?"
    r"|American Library Association)\.?(?:\s*All rights reserved\.?)?",
    re.IGNORECASE,
)
# Control, format, private use, surrogate: the same in every version of Unicode, so on every machine.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs"})
BOILERPLATE = (("text refers to", _REFERS), ("business information", _PUBLISHER), ("library association", _PUBLISHER))
BEFORE, BEHIND = 60, 300  # so many characters before and from these words on a line of boilerplate has at most
PLAIN = bytes(range(ord(" "), ord("~") + 1))


def unescape(text: str) -> str:
    """HTML entities to characters, until nothing changes (`&amp;#8217;` is escaped twice)."""
    while "&" in text:
        once = html.unescape(text)
        if once == text:
            break
        text = once
    return text


def tags(text: str) -> str:
    """HTML tags out. A block tag leaves a space (words must not run together), an inline one (`<b>`) leaves nothing."""
    if "<" not in text:
        return text
    return _TAG.sub("", _BLOCK_TAG.sub(" ", text))


def unicode(text: str) -> str:
    """Unicode NFC: letter and accent become one character. Zero-width, control and private characters go."""
    if text.isascii() and text.isprintable():
        return text
    for odd in odd_characters(text):
        if unicodedata.category(odd) in _INVISIBLE and not odd.isspace():
            text = text.replace(odd, "")
    return unicodedata.normalize("NFC", text)


def odd_characters(text: str) -> set[str]:
    """The characters of a text that are not printable ASCII; the others are taken out as bytes, which is quick."""
    return set(text.encode().translate(None, PLAIN).decode())


def boilerplate(text: str) -> str:
    """Remove lines of the retailer: the edition that a review refers to, and its publisher's copyright.

    A space replaces them and the white space before them, because the text that follows is often run together with them.
    """
    original, original_lower = text, text.lower()
    for phrase, pattern in BOILERPLATE:
        if phrase not in original_lower:
            continue
        lower, pieces, end = original_lower if text is original else text.lower(), [], 0
        offset = lower.find(phrase)
        while offset >= 0:  # searching near the phrase only is several times as fast as over the whole text
            if line := pattern.search(text, max(end, offset - BEFORE), offset + BEHIND):
                pieces.append(text[end : line.start()].rstrip())
                end = line.end()
            offset = lower.find(phrase, max(end, offset + 1))
        text = " ".join([*pieces, text[end:]]).strip()
    return text


def whitespace(text: str) -> str:
    """Every run of white space (line ends and non-breaking spaces too) becomes one space; none at the ends."""
    return " ".join(text.split())


STEPS: dict[str, Callable[[str], str]] = {
    "unescape": unescape,
    "tags": tags,
    "unicode": unicode,
    "boilerplate": boilerplate,
    "whitespace": whitespace,
}


Steps = list[tuple[str, Callable[[str], str]]]  # (name, function) in the order of STEPS


def steps_of(switches) -> Steps:
    """The steps that a `CleanConfig` leaves on, in order."""
    return [(name, step) for name, step in STEPS.items() if getattr(switches, name)]


class Change(NamedTuple):
    """What one cleaning step did to a text."""

    step: str
    before: str
    after: str


def clean_text(text: str, steps: Steps) -> str:
    """Run the steps until nothing changes (`&am<b>p;` without its tag is an entity)."""
    changes = changes_of(text, steps)
    return changes[-1].after if changes else text


def changes_of(text: str, steps: Steps) -> list[Change]:
    """Return what each step does to a text, in order, until nothing changes."""
    changes, before = [], None
    while text != before:
        before = text
        for name, step in steps:
            after = step(text)
            if after != text:
                changes.append(Change(name, text, after))
                text = after
    return changes


def normalize(text: str) -> str:
    """The key by which two texts count as the same: case, punctuation and spacing do not matter."""
    return " ".join(re.findall(r"\w+", text.casefold()))


# Words that mark adult items in titles; a filter for a classroom, not a classifier. It misses some and may hit a harmless one.
_ADULT = re.compile(
    r"\b(?:adults? only|erotic\w*|xxx|porn\w*|vibrators?|dildos?|sex toys?|lingerie|nudes|bdsm|fetish\w*|kama ?sutra)\b",
    re.IGNORECASE,
)


def looks_adult(title: str, content: str) -> bool:
    """True if the title or the first 300 characters of the description hold a word of the adult list."""
    return bool(_ADULT.search(title) or _ADULT.search(content[:300]))
