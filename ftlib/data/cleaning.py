"""Clean a title or a description: each step is a function from text to text and has a switch.

The order matters: entities first (an unescaped `&lt;b&gt;` becomes a tag, which the next step removes), then tags, Unicode,
boilerplate, and last the white space that the other steps leave. Case, accents and names stay.
`clean_text(text, steps_of(cfg.data.clean))` runs the steps; `data.clean.tags=false` switches one off.
`ftlib.data.cleaning_vectorized` produces the same result for many texts at once, several times as fast.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

# A tag begins with a letter, a slash or an exclamation mark, so "5 < 6 > 4" and "<3" are unchanged.
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->|<![A-Za-z][^<>]*>", re.DOTALL)
_BLOCK_TAG = re.compile(r"</?(?:p|br|div|li|ul|ol|tr|td|th|table|h[1-6]|hr)\b[^<>]*>", re.IGNORECASE)
# "--This text refers to the Hardcover edition.", mostly without spaces ("theHardcoveredition."), and "--This text refers to
# an out of print or unavailable edition of this title." The dashes distinguish it from a sentence of the description.
_REFERS = re.compile(r"--\s*This text refers to (?:the|an?)[^.]{0,120}?edition(?: of this title)?\s*\.?", re.IGNORECASE)
# "Copyright 2004 Reed Business Information, Inc.", "Copyright © Reed Business Information, a division of Reed Elsevier Inc.
# All rights reserved.", the same of Cahners Business Information, and of the American Library Association (Booklist). It
# begins with "Copyright", "©" or "(c)"; a character class for the first character makes the search several times as fast.
_PUBLISHER = re.compile(
    r"[Cc©(](?:(?<=[Cc])opyright|(?<=©)|(?<=\()c\))\s*(?:©|\(c\))?\s*(?:\d{4})?\s*"
    r"(?:(?:Reed|Cahners) Business Information(?:,? a division of Reed Elsevier)?(?:,?\s*Inc\b)?"
    r"|American Library Association)\.?(?:\s*All rights reserved\.?)?",
    re.IGNORECASE,
)
# Control, format, private use, surrogate: categories that do not differ between versions of Unicode.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs"})
BOILERPLATE = (("text refers to", _REFERS), ("business information", _PUBLISHER), ("library association", _PUBLISHER))
BEFORE, BEHIND = 60, 300  # maximum characters of a boilerplate line before the phrase, and from its start on
PLAIN = bytes(range(ord(" "), ord("~") + 1))  # printable ASCII


def unescape(text: str) -> str:
    """Replace HTML entities by characters until nothing changes (`&amp;#8217;` is escaped twice)."""
    while "&" in text:
        once = html.unescape(text)
        if once == text:
            break
        text = once
    return text


def tags(text: str) -> str:
    """Remove HTML tags; a block tag becomes a space, so that words do not run together."""
    if "<" not in text:
        return text
    return _TAG.sub("", _BLOCK_TAG.sub(" ", text))


def unicode(text: str) -> str:
    """Normalize to Unicode NFC and remove zero-width, control and private-use characters."""
    if text.isascii() and text.isprintable():
        return text
    for character in odd_characters(text):
        if unicodedata.category(character) in _INVISIBLE and not character.isspace():
            text = text.replace(character, "")
    return unicodedata.normalize("NFC", text)


def odd_characters(text: str) -> set[str]:
    """Return the characters that are not printable ASCII; `bytes.translate` makes this fast."""
    return set(text.encode().translate(None, PLAIN).decode())


def boilerplate(text: str) -> str:
    """Remove the retailer's notes on the reviewed edition and the publisher's copyright lines.

    Each is replaced by a space, together with the white space before it, because the text that follows often has none.
    """
    original, original_lower = text, text.lower()
    for phrase, pattern in BOILERPLATE:
        if phrase not in original_lower:
            continue
        lower, pieces, end = original_lower if text is original else text.lower(), [], 0
        offset = lower.find(phrase)
        while offset >= 0:  # searching near the phrase is several times as fast as searching the whole text
            if line := pattern.search(text, max(end, offset - BEFORE), offset + BEHIND):
                pieces.append(text[end : line.start()].rstrip())
                end = line.end()
            offset = lower.find(phrase, max(end, offset + 1))
        text = " ".join([*pieces, text[end:]]).strip()
    return text


def whitespace(text: str) -> str:
    """Collapse white space (line ends and non-breaking spaces included) and strip it at the ends."""
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
    """Return the enabled steps of a `CleanConfig`, in order."""
    return [(name, step) for name, step in STEPS.items() if getattr(switches, name)]


class Change(NamedTuple):
    """The effect of one cleaning step on a text."""

    step: str
    before: str
    after: str


def clean_text(text: str, steps: Steps) -> str:
    """Run the steps repeatedly until nothing changes (`&am<b>p;` without its tag is an entity)."""
    changes = changes_of(text, steps)
    return changes[-1].after if changes else text


def changes_of(text: str, steps: Steps) -> list[Change]:
    """Return the changes that the steps make to a text, in order, until nothing changes."""
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
    """Return the key by which two texts are compared, without case, punctuation and spacing."""
    return " ".join(re.findall(r"\w+", text.casefold()))


# Words that mark adult items in titles. A word list for classrooms, not a classifier: expect misses and false positives.
_ADULT = re.compile(
    r"\b(?:adults? only|erotic\w*|xxx|porn\w*|vibrators?|dildos?|sex toys?|lingerie|nudes|bdsm|fetish\w*|kama ?sutra)\b",
    re.IGNORECASE,
)


def looks_adult(title: str, content: str) -> bool:
    """Return whether the title or the first 300 characters of the description match the adult list."""
    return bool(_ADULT.search(title) or _ADULT.search(content[:300]))
