"""The page's HTML: answers with their marks, sources, one row of the catalog.

All text is escaped here: titles are written by strangers and answers by models, and both may hold HTML. `w` are the
page's strings in one language (strings.yaml).
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from functools import cache
from urllib.parse import quote

from ftlib.data.lexical import FUNCTION_WORDS, words
from ftlib.prompts.templates import PREFIX, strip_prefix
from ftlib.retrieval.attribution import Marked
from ftlib.retrieval.bm25_index import Source
from ftlib.runtime.yaml_files import packaged

Words = Mapping[str, str]
_PIECE = re.compile(r"\w[\w'’.,/-]*\w|\w|\W+")

CSS = """
.gradio-container { max-width: 68rem !important; margin: 0 auto !important }
#left, #right, #said, #thanks, #sources, #left > *, #right > *, #said > *, #thanks > *, #sources > * { padding: 0 !important }
#said:not(:has(p)), #thanks:not(:has(p)), #left:not(:has(section)), #right:not(:has(section)) { display: none }
.ft-answer { border: 1px solid var(--border-color-primary); border-radius: 8px; padding: .8em 1em; min-height: 9em }
.ft-answer h2, .ft-sources h2 { margin: 0 0 .2em; font-size: 1.05em; font-weight: 600 }
.ft-note, .ft-sources small { font-size: .85em; opacity: .8 }
.ft-note { min-height: 1.4em; margin: 0 }
.ft-text { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5em 0 0; line-height: 1.6 }
.ft-text u { text-decoration: underline 2px #b7791f; text-underline-offset: 3px }
.ft-tick { font-size: .75em; font-weight: 700; border: 1px solid; border-radius: 1em; padding: 0 .45em; margin-left: .35em }
.ft-tick { white-space: nowrap; vertical-align: 2px }
.ft-yes { color: #15803d } .ft-no { color: #92400e }
.dark .ft-yes { color: #4ade80 } .dark .ft-no { color: #fbbf24 }
.ft-sources ol { margin: .3em 0 0; padding-left: 1.6em; list-style: decimal }
.ft-sources li { margin: .6em 0; overflow-wrap: anywhere }
.ft-sources a { text-decoration: underline }
.ft-sources blockquote { margin: .2em 0 0; padding-left: .8em; border-left: 3px solid var(--border-color-primary) }
.ft-said { border-left: 4px solid #2563eb; padding: .4em .8em; margin: 0; overflow-wrap: anywhere }
.ft-said[role=alert] { border-color: #dc2626 }
.ft-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
:is(button, a, input, textarea):focus-visible { outline: 3px solid #2563eb; outline-offset: 2px }
"""

ROW = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 42em; margin: 2em auto; padding: 0 1em; overflow-wrap: anywhere }}
p.text {{ white-space: pre-wrap }}
</style></head><body><main><h1>{title}</h1><p><small>{about}</small></p><p class="text">{text}</p>
<p><a href="../../">{back}</a></p></main></body></html>"""


@cache
def wordings() -> dict[str, Words]:
    """Return {language: strings} of strings.yaml."""
    return packaged("ftlib.app", "strings.yaml")


def language_of(accepted: str | None) -> str:
    """Return the page's language for an Accept-Language header: 'pt' if it comes first, else 'en'."""
    return "pt" if (accepted or "").strip().lower().startswith("pt") else "en"


def answer(
    name: str,
    text: str,
    note: str,
    w: Words,
    other: str | None = None,
    marked: Sequence[Marked] = (),
    numbers=None,
    prefix: str = PREFIX,
):
    """Render one answer.

    numbers: {uid: number of the source in the list}. prefix: `prompt.prefix`.
    """
    missing = set() if other is None else set(words(text)) - set(words(other)) - FUNCTION_WORDS
    if marked:
        body = " ".join(_sentence(each, missing, w, numbers or {}) for each in marked)
        if strip_prefix(text, prefix) != text.strip():
            body = f"{html.escape(prefix.strip())} {body}"
    else:
        body = _words(text.strip(), missing)
    name, note = html.escape(name), html.escape(note)
    return (
        f'<section class="ft-answer" aria-label="{name}"><h2>{name}</h2><p class="ft-note">{note}</p>'
        f'<p class="ft-text">{body}</p></section>'
    )


def _sentence(each: Marked, missing: set[str], w: Words, numbers: Mapping[str, int]) -> str:
    note = w["borne_out"].format(number=numbers.get(each.uid, "")) if each.supported else w["not_borne_out"]
    sign, kind = (f"✓{numbers.get(each.uid, '')}", "yes") if each.supported else ("?", "no")
    note = html.escape(note, quote=True)
    return (
        f'{_words(each.text, missing)}<span class="ft-tick ft-{kind}" title="{note}"><span aria-hidden="true">{sign}</span>'
        f'<span class="ft-hidden">({note})</span></span>'
    )


def _words(text: str, missing: set[str]) -> str:
    """Escape a text; words of `missing` are underlined."""
    pieces = []
    for piece in _PIECE.findall(text):
        escaped = html.escape(piece)
        pieces.append(f"<u>{escaped}</u>" if missing & set(words(piece)) else escaped)
    return "".join(pieces)


def sources(rows: Sequence[Source] | None, w: Words) -> str:
    """Render the rows that support the answers, each with a link that opens it. None: there is no index."""
    if not rows:
        text = html.escape(w["no_index"] if rows is None else w["no_sources"])
        return f'<section class="ft-sources"><h2>{html.escape(w["sources"])}</h2><p>{text}</p></section>'
    items = []
    for source in rows:
        split = w["trained"] if source.split == "train" else w["not_trained"].format(split=source.split)
        link = f"row/{quote(source.split)}/{source.row_idx}"
        quotes = "".join(f"<blockquote>{html.escape(each)}</blockquote>" for each in source.sentences)
        items.append(
            f'<li><a href="{link}" target="_blank" rel="noopener">{html.escape(source.uid)}'
            f'<span class="ft-hidden"> ({html.escape(w["new_tab"])})</span></a> {html.escape(source.title)} '
            f"<small>({html.escape(w['score'])} {source.score:.2f}; {html.escape(split)})</small>{quotes}</li>"
        )
    return f'<section class="ft-sources"><h2>{html.escape(w["sources"])}</h2><ol>{"".join(items)}</ol></section>'


def message(text: str, role: str = "alert") -> str:
    """Render a message for screen readers: role `alert` interrupts, `status` does not; '' renders nothing."""
    return f'<p class="ft-said" role="{role}">{html.escape(text)}</p>' if text else ""


def row_page(row: dict | None, split: str, lang: str) -> str:
    """Render a page with one row of the catalog; None: the row does not exist."""
    w = wordings()[lang]
    if row is None:
        return ROW.format(lang=lang, title=html.escape(w["no_row"]), about="", text="", back=html.escape(w["back"]))
    about = w["trained"] if split == "train" else w["not_trained"].format(split=split)
    return ROW.format(
        lang=lang,
        title=html.escape(row["title"]),
        about=html.escape(f"{row['uid']}, {about}"),
        text=html.escape(row["content"]),
        back=html.escape(w["back"]),
    )
