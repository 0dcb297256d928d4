"""Find English that is left in a text which should be Portuguese."""

import re

# None of these is a Portuguese word; "a", "as", "do", "for" and "no" are, so they say nothing.
ENGLISH = (
    "the of with and is are was were not must this that than from but only where which its it their they has have "
    "be been by or if when each every both same other yours write run"
).split()
CODE = re.compile(r"`[^`\n]*`|'[^'\n]*'|\"[^\"\n]*\"|\w+\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)|\S*[_=.]\w\S*")


def english_words(text: str) -> list[str]:
    """Return the English function words outside of code, calls and quoted texts, with what surrounds each."""
    text = CODE.sub(" ", text)
    pattern = rf"(?<![\w.-])(?:{'|'.join(ENGLISH)})(?![\w.-]?\w)"
    return [text[max(match.start() - 20, 0) : match.end() + 20] for match in re.finditer(pattern, text, re.IGNORECASE)]
