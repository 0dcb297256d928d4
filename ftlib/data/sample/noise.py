"""Add the noise of the real file to clean products: entities, tags, boilerplate, repeats.

`noisy_title` and `noisy_content` write a product's title and description with noise; `echo` repeats parts of the previous
row. The rates come first, with the value measured on 16,082 real rows as comment; where a rate is higher on purpose, the
comment gives the reason. generate.py calls these functions for each row that has a description.
"""

from __future__ import annotations

import random
import re

from ftlib.data.sample.writing import Product

# ---------------------------------------------------------------------------------------------------------------- rates

# Shares of all rows. Real: 25.6 % empty in the 16,082 rows, up to 39 % elsewhere in the real file.
EMPTY = 0.30
NO_KEY = 0.002  # Rare in the real file, but one such row stops a loader that does not expect it.
NULL = 0.002
ADULT = 0.003  # Not measured (the real rows are not labeled): enough to test the filter.

# Shares of the rows that have a description. Comments: measured on the real rows.
SAME_AS_TITLE = 0.005  # 0.2-0.4 % in the raw parts (2.1 % in the part that others had cleaned).
TOO_SHORT = 0.015  # 2.8 % in all parts, 0.5-1.8 % in the books.
EDITION = 0.035  # 8.0 % repeat another row's content; the gift cards add to this share.
SECOND_TEXT = 0.012  # 1.4 % have the title of another row but another content.
EXACT_REPEAT = 0.003  # 0.35 % repeat both.
ENTITIES = 0.07  # 7.9 %; the copyright lines of the books bring some more.
DOUBLE_ESCAPED = 0.08  # Of the contents with entities: now and then.
TAGS = 0.025  # 0.8 % in all parts, 1.7 % in the raw 2014 and 2018 parts; higher, so that small samples have some.
DOUBLE_SPACES = 0.065  # 7.0 %
NEWLINES = 0.009  # 1.4 %, including the loose ends.
TABS = 0.003  # 0.14 %; higher, so that small samples have some.
HARD_SPACES = 0.006  # 0.3 %, as &nbsp; or &#160; or U+00A0.
LOOSE_ENDS = 0.017  # 1.7 % begin or end with white space.
DECOMPOSED = 0.3  # Of the rows with accents; none in the real rows, which are nearly all ASCII.

# Shares of the book rows that have a description (390 rows of the real file's head): 25.9 % and 17.2 %.
REFERS_TO = 0.24
COPYRIGHT = 0.16

# Shares of all titles: 4.0 % with entities (a share of those that have a character to escape), 6.3 % with loose ends,
# 0.7 % with double spaces, 0.08 % shorter than 3 characters (higher, so that small samples have some).
TITLE_ENTITIES = 0.25
TITLE_LOOSE_ENDS = 0.06
TITLE_DOUBLE_SPACES = 0.007
TITLE_TOO_SHORT = 0.0015

# ------------------------------------------------------------------------------------------------------ texts of noise

EDITIONS = {
    "books": (" (Hardcover)", " (Paperback)", " (Large Print)", " [Kindle Edition]"),
    "music": (" (Import)", " (Audio CD)"),
}
OTHER_EDITIONS = (" (New Packaging)", " (Bulk)", " - Newest Version")
SHORT_TEXTS = ("New", "Brand new.", "See title", "As pictured.", "n/a", "Great gift!", "1 each", "Imported", "-")
SHORT_TITLES = ("4", "X", "Up", "Go", "II", "A1")
ENTITY_FORMS = {
    "'": ("&#8217;", "&#39;", "&#x2019;", "&#x92;", "&rsquo;"),
    '"': ("&quot;", "&quot;", "&quot;", "&#34;"),
    "&": ("&amp;",),
    " - ": (" &mdash; ", " &#8211; ", "&#8212;"),
    "é": ("&eacute;", "&#xE9;"),
    "è": ("&egrave;",),
    "ë": ("&euml;",),
}
# As in the real file, where many follow the last full stop without a space and lack the spaces around the edition.
REFERS_FORMS = (
    ("--This text refers to an out of print or unavailable edition of this title.", 50),
    ("--This text refers to the{edition}edition.", 20),
    ("--This text refers to an alternate{edition}edition.", 12),
    ("--This text refers to the {edition} edition.", 18),
)
BOOK_EDITIONS = ("Hardcover", "Hardcover", "Paperback", "Paperback", "Kindle", "Audio Cassette", "Library Binding")
COPYRIGHT_FORMS = (
    ("Copyright {year} Reed Business Information, Inc.", 68),
    ("Copyright &copy; Reed Business Information, a division of Reed Elsevier Inc. All rights reserved.", 22),
    ("Copyright {year} Cahners Business Information, Inc.", 6),
    ("Copyright &#169; American Library Association. All rights reserved", 4),
)

# ------------------------------------------------------------------------------------------------------------ functions


def pick(rng: random.Random, weighted: tuple[tuple[str, int], ...]) -> str:
    """Choose one of the texts by weight."""
    texts, weights = zip(*weighted, strict=True)
    return rng.choices(texts, weights)[0]


def add_boilerplate(rng: random.Random, text: str) -> str:
    """Append copyright and edition lines to some descriptions."""
    if rng.random() < COPYRIGHT:
        text += pick(rng, COPYRIGHT_FORMS).format(year=rng.randint(1985, 2006))
    if rng.random() < REFERS_TO:
        text += pick(rng, REFERS_FORMS).format(edition=rng.choice(BOOK_EDITIONS))
    return text


def add_entities(rng: random.Random, text: str) -> str:
    """Escape characters as HTML entities, sometimes twice; in other texts replace an "and" by &amp;."""
    escaped = text
    for plain in ("&", "'", '"', " - ", "é", "è", "ë"):  # The ampersand first, or it would escape the others' entities.
        escaped = escaped.replace(plain, rng.choice(ENTITY_FORMS[plain]))
    if escaped == text:
        escaped = text.replace(" and ", " &amp; ", 1)
    if rng.random() < DOUBLE_ESCAPED:
        escaped = escaped.replace("&", "&amp;")
    return escaped


def add_tags(rng: random.Random, text: str) -> str:
    """Wrap the sentences in HTML: paragraphs, line breaks, a list, or one bold sentence."""
    first, *rest = re.split(r"(?<=[.?!]) ", text)
    style = rng.randrange(4)
    if style == 0:
        return "".join(f"<p>{sentence}</p>" for sentence in [first, *rest])
    if style == 1:
        return rng.choice(("<br />", "<br>", "<BR>")).join([first, *rest])
    if style == 2 and rest:
        return f"{first}<ul>{''.join(f'<li>{sentence}</li>' for sentence in rest)}</ul>"
    return " ".join([f"<b>{first}</b>", *rest])


def add_white_space(rng: random.Random, text: str) -> str:
    """Insert odd white space into some texts."""
    if rng.random() < DOUBLE_SPACES:
        text = text.replace(". ", ".  ") if ". " in text else text.replace(" ", "  ", 1)
    for probability, blank in (
        (NEWLINES, "\n"),
        (TABS, "\t"),
        (HARD_SPACES, rng.choice(("\u00a0", "&nbsp;", "&#160;"))),
    ):
        if rng.random() < probability:
            text = text.replace(". ", f".{blank}") if ". " in text else text.replace(" ", blank, 1)
    if rng.random() < LOOSE_ENDS:
        text = rng.choice((" {}", "{} ", "{}\n")).format(text)
    return text


def noisy_content(rng: random.Random, product: Product, title: str) -> str:
    """Generate a description with noise."""
    fate = rng.random()
    if fate < SAME_AS_TITLE:
        return title
    if fate < SAME_AS_TITLE + TOO_SHORT:
        return rng.choice(SHORT_TEXTS)
    text = product.describe(rng)
    has_entities, has_tags = rng.random() < ENTITIES, rng.random() < TAGS
    if has_entities:
        text = add_entities(rng, text)
    if product.kind == "books":
        text = add_boilerplate(rng, text)
    if has_tags:
        text = add_tags(rng, text)
    return add_white_space(rng, text)


def noisy_title(rng: random.Random, title: str) -> str:
    """Add noise to some titles."""
    if rng.random() < TITLE_TOO_SHORT:
        return rng.choice(SHORT_TITLES)
    if re.search("[&'\"]", title) and rng.random() < TITLE_ENTITIES:
        title = add_entities(rng, title)
    if rng.random() < TITLE_DOUBLE_SPACES:
        title = title.replace(" ", "  ", 1)
    if rng.random() < TITLE_LOOSE_ENDS:
        title = rng.choice((" {}", "{} ")).format(title)
    return title


def echo(rng: random.Random, before: Product, title: str, content: str) -> tuple[str, str] | None:
    """Return a (title, content) that repeats the previous row in part, for some rows; else None.

    The repeat is another edition, another description of the same title, or an exact copy.
    """
    fate = rng.random()
    if fate < EDITION:
        return title.strip() + rng.choice(EDITIONS.get(before.kind, OTHER_EDITIONS)), content
    if fate < EDITION + SECOND_TEXT:
        return title, before.describe(rng)
    if fate < EDITION + SECOND_TEXT + EXACT_REPEAT:
        return title, content
    return None
