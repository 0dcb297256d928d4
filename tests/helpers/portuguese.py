"""Find English that a Portuguese text was left with: function words outside of code, quotations and italics."""

from __future__ import annotations

import re

QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^']*'|\*[^*]*\*|\[[^\]]*\]\([^)]*\)")
ENGLISH = re.compile(r"\b(the|of|with|and|is|are|than|that|from|by|rows?|not|which|this|each)\b", re.IGNORECASE)


def english_words(text: str) -> list[str]:
    """Return the English function words of a text; names in code, quoted texts of rows and links do not count."""
    return ENGLISH.findall(QUOTED.sub(" ", text))


def figure_texts(figure) -> list[str]:
    """Return the alternative text of a figure and everything that is written in it."""
    texts = [figure.alt, *(text.get_text() for text in figure.texts)]
    for name in ("_supxlabel", "_supylabel"):
        texts += [getattr(figure, name).get_text()] if getattr(figure, name, None) else []
    for axes in figure.axes:
        legend = axes.get_legend()
        written = [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label, *(legend.get_texts() if legend else ())]
        texts += [text.get_text() for text in [*written, *axes.get_xticklabels(), *axes.get_yticklabels()]]
    return texts
