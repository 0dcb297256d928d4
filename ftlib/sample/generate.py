"""Make up a product catalogue in the schema of AmazonTitles-1.3MM's `trn.json`, dirt included.

Each row is a JSON object: `uid`, `title`, `content`, `target_ind`, `target_rel`. The real texts have no licence, so the
course cannot ship them; this catalogue stands in for them. Two steps make a row:

1. A clean product (`clean_products`): facts are drawn, the title names them, and the description restates them in
   sentences picked from `words.py`. A description claims no figure that its title lacks, so a model can learn to keep
   to the title.
2. Dirt (`make_rows`): empty contents, entities, tags, boilerplate, repeats, odd white space, at rates that were
   measured on 16,082 real rows, so that the cleaning step has something to clean.

Rows lie grouped by kind of goods, books first, as the real file lies in ASIN order: its head is no sample of it.
Descriptions are shorter than the real ones on purpose (mean about 350 characters, the real ones 604), so that a run on
a CPU is quick. Everything is drawn from seeded generators: same seed and n, same rows, on each machine.

Run it with `ftlib sample --rows 5000 --out my.jsonl.gz`.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ftlib.sample import words

# Shares of all rows. Real: 25.6 % empty in the 16,082 rows at hand, up to 39 % elsewhere in the real file.
EMPTY = 0.30
NO_KEY = 0.002  # Rare in the real file, but one such row stops a loader that does not expect it.
NULL = 0.002
ADULT = 0.003  # Not measured (nobody labelled the real rows): just enough that a filter finds some.

# Shares of the rows that have a content. Behind each: what was measured on the real rows.
SAME_AS_TITLE = 0.005  # 0.2-0.4 % in the raw parts (2.1 % in the part that others had cleaned).
TOO_SHORT = 0.015  # 2.8 % in all parts, 0.5-1.8 % in the books.
EDITION = 0.035  # 8.0 % repeat another row's content; the gift cards add to this share.
SECOND_TEXT = 0.012  # 1.4 % have the title of another row but another content.
EXACT_REPEAT = 0.003  # 0.35 % repeat both.
ENTITIES = 0.07  # 7.9 %; the copyright lines of the books bring some more.
DOUBLE_ESCAPED = 0.08  # Of the contents with entities: now and then.
TAGS = 0.025  # 0.8 % in all parts, 1.7 % in the raw 2014 and 2018 parts; more here, so that small samples have some.
DOUBLE_SPACES = 0.065  # 7.0 %
NEWLINES = 0.009  # 1.4 %, of which the loose ends are a part.
TABS = 0.003  # 0.14 %; more here, so that small samples have some.
HARD_SPACES = 0.006  # 0.3 %, as &nbsp; or &#160; or bare.
LOOSE_ENDS = 0.017  # 1.7 % begin or end with white space.
DECOMPOSED = 0.3  # Of the rows with accents; not seen in the real rows at hand, which are nearly all ASCII.

# Shares of the book rows that have a content (390 rows of the real file's head): 25.9 % and 17.2 %.
REFERS_TO = 0.24
COPYRIGHT = 0.16

# Shares of all titles: 4.0 % with entities (a share of those that have a character to escape), 6.3 % with loose ends,
# 0.7 % with double spaces, 0.08 % shorter than 3 characters (here somewhat more, so that small samples have some).
TITLE_ENTITIES = 0.25
TITLE_LOOSE_ENDS = 0.06
TITLE_DOUBLE_SPACES = 0.007
TITLE_TOO_SHORT = 0.0015

# Deciles of the length that a description aims at: long-tailed as in the real file, at about half the size.
LENGTHS = (60, 100, 145, 190, 230, 270, 325, 400, 510, 720, 1100)

# The facts of a product are told first, the rest only if there is room.
FACT_SLOTS = {"material", "size", "option", "count", "plot", "topic", "number", "series", "songs", "band", "pressing"}

# Slots that make no sense without another one ("it also has ...").
FOLLOWS = {"has2": "has", "plot2": "plot", "plot3": "plot2", "plot4": "plot3", "topic2": "topic", "tracks2": "tracks"}

# Slots that long texts use twice, with another sentence.
TWICE = {"who", "care", "mood", "praise", "style", "series", "author"}

NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()

Fields = dict[str, str]
Slots = dict[str, tuple[str, ...]]


class Product(NamedTuple):
    """A clean product: its kind, its title, and a function that writes a description of it (a new one each time)."""

    kind: str
    title: str
    describe: Callable[[random.Random], str]


# -------------------------------------------------------------------------------------------------------- language


def article(phrase: str) -> str:
    """Return the phrase with "a" or "an" before it: a USB-C cable, an 8-inch pan, an O-ring."""
    number = re.match(r"\d+", phrase)
    if number:
        an = number[0].startswith("8") or number[0] in ("11", "18")
    else:
        an = phrase[0].lower() in "aeiou" and not phrase.startswith("USB")
    return f"{'an' if an else 'a'} {phrase}"


def plural(noun: str) -> str:
    """Return the plural of a noun: knives, toothbrushes, batteries, bowls."""
    if noun.endswith("knife"):
        return noun[:-2] + "ves"
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def capital(text: str) -> str:
    """Return the text with its first letter as a capital, the others as they are."""
    return text[:1].upper() + text[1:]


def title_case(text: str) -> str:
    """Return the text with capitals as in a title (str.title would write Chef'S)."""
    return " ".join(word if word in ("of", "and", "for") else capital(word) for word in text.split())


def listing(parts: list[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def some(rng: random.Random, parts: tuple[str, ...], least: int) -> list[str]:
    """Return at least `least` of the parts, in random order."""
    return rng.sample(parts, rng.randint(least, len(parts)))


# ----------------------------------------------------------------------------------------------------- descriptions


def fill(rng: random.Random, templates: tuple[str, ...], fields: Fields, used: set[str]) -> str:
    """Return one template with its fields filled in, or "" if none fits: never used before, no field missing."""
    fitting = [
        template
        for template in templates
        if template not in used and all(name in fields for name in re.findall(r"{(\w+)}", template))
    ]
    if not fitting:
        return ""
    template = rng.choice(fitting)
    used.add(template)
    return capital(template.format_map(fields))


def twice(name: str, pool: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the slot, and behind it a second one with the same sentences if long texts may use it twice."""
    return [(name, pool), (f"{name}_again", pool)] if name in TWICE else [(name, pool)]


def write_text(rng: random.Random, slots: Slots, fields: Fields) -> str:
    """Return a description: the opening, then slots until a drawn length is reached, put in the order of `slots`."""
    decile = rng.randrange(len(LENGTHS) - 1)
    target = rng.randint(LENGTHS[decile], LENGTHS[decile + 1])
    slots = {key: pool for name, pool in slots.items() for key, pool in twice(name, pool)}
    opening, *others = slots
    rank = {name: rng.random() * (0.4 if name in FACT_SLOTS else 1.0) for name in others}
    rank |= {name: rng.uniform(1.0, 1.2) for name in others if name.endswith("_again")}
    for later, earlier in FOLLOWS.items():
        if later in rank:
            rank[later] = max(rank[later], rank[earlier] + 0.001)
    others.sort(key=rank.__getitem__)
    used: set[str] = set()
    sentences: Fields = {}
    length = 0
    for name in [opening, *others]:
        sentences[name] = fill(rng, slots[name], fields, used)
        length += len(sentences[name])
        if length >= target:
            break
    return " ".join(sentences[name] for name in slots if sentences.get(name))


# ------------------------------------------------------------------------------------------------------------ goods


def draw_goods(rng: random.Random, kind: str) -> Product:
    """Draw the facts of an article; those that are drawn stand in the title, the others are not mentioned at all."""
    table = words.GOODS[kind]
    thing = rng.choice(table.things)
    facts = {"brand": rng.choice(list(table.brands))}
    drawn = {
        "model": (0.75, words.MODELS),
        "material": (0.8, words.split(thing.made)),
        "size": (0.85, words.split(thing.sizes)),
        "color": (0.7, words.split(table.colors)),
        "count": (0.45, words.split(thing.packs)),
    }
    for name, (probability, choices) in drawn.items():
        if choices and rng.random() < probability:
            facts[name] = rng.choice(choices)
    if "model" in facts and rng.random() < 0.5:
        facts["model"] += f" {rng.randrange(100, 1000)}"
    return Product(kind, goods_title(rng, thing, facts), partial(goods_text, table, thing, facts))


def goods_title(rng: random.Random, thing: words.Thing, facts: Fields) -> str:
    """Return a title that names all facts, in one of the orders that real titles have."""
    parts = {name: title_case(value) for name, value in facts.items()} | {"name": title_case(thing.name)}
    if "size" in facts:
        number, unit = facts["size"].rsplit(" ", 1)
        parts["size"] = rng.choice(words.UNITS[unit][0]).format(n=number)
        if thing.unit not in ("", "pair"):
            parts["amount"] = f"{parts.pop('size')} {thing.unit.title()}"
    if "count" in facts:
        parts["count"] = rng.choice(("Pack of {}", "{}-Pack", "Set of {}")).format(facts["count"])
    head, tail, joint = rng.choice(
        (
            ("brand model size material name", "amount color count", ", "),
            ("brand material name", "size amount color count model", ", "),
            ("brand name", "model material size amount color count", " - "),
            ("size material name", "amount color count by", ", "),
            ("brand model color material name", "size amount count", ", "),
            ("brand size color name", "material amount model count", ", "),
        )
    )
    parts["by"] = f"by {parts['brand']} {parts.get('model', '')}".strip()
    tail_parts = [parts[name] for name in tail.split() if name in parts]
    return joint.join([" ".join(parts[name] for name in head.split() if name in parts), ", ".join(tail_parts)]).rstrip(
        joint
    )


def goods_text(table: words.Kind, thing: words.Thing, facts: Fields, rng: random.Random) -> str:
    """Write a description of an article from its facts."""
    tagline, promise = table.brands[facts["brand"]]
    uses = some(rng, words.split(thing.uses), least=3)
    details = some(rng, words.split(thing.has), least=3)
    cut, cut_details = rng.randint(1, 2), rng.randint(1, 2)
    fields = {key: facts[key] for key in ("brand", "model", "color", "count") if key in facts}
    fields |= {
        "tagline": tagline,
        "promise": promise,
        "room": table.room,
        "people": table.people,
        "option": table.option,
        "Option": capital(table.option),
        "uses": listing(uses[:cut]),
        "more_uses": listing(uses[cut:]),
        "has": listing(details[:cut_details]),
        "has2": listing(details[cut_details:]),
        "box": listing(some(rng, words.split(thing.box), least=1)),
    }
    if "model" in facts:
        fields["maker"] = f"{facts['brand']} {facts['model']}"
    if "color" in facts:
        fields["Color"] = capital(facts["color"])
    fields |= material_fields(rng, facts) | size_fields(rng, table, thing, facts) | name_fields(rng, thing, facts)
    slots = words.GOODS_SLOTS | {
        "option": words.OPTION_SENTENCES[table.option],
        "who": table.who,
        "care": table.care,
        "close": table.close,
    }
    return write_text(rng, slots, fields)


def material_fields(rng: random.Random, facts: Fields) -> Fields:
    """Return what the templates say of the material, nothing if the title has none."""
    if "material" not in facts:
        return {}
    material = facts["material"]
    benefit = rng.choice(words.MATERIALS[material])
    if material in words.AS_SUBJECT:
        return {"Why_material": words.AS_SUBJECT[material], "benefit": benefit}
    return {"material": material, "Material": capital(material), "it_material": "it", "It_material": "It",
            "benefit": benefit}  # fmt: skip


def size_fields(rng: random.Random, table: words.Kind, thing: words.Thing, facts: Fields) -> Fields:
    """Return what the templates say of the size, nothing if the title has none."""
    if "size" not in facts:
        return {}
    number, unit = facts["size"].rsplit(" ", 1)
    size = words.UNITS[unit][1].format(n=number)
    dim = rng.choice(words.split(thing.dim)).format(size=size)
    return {"size": size, "dim": dim, "fit": rng.choice(words.split(table.fits))}


def name_fields(rng: random.Random, thing: words.Thing, facts: Fields) -> Fields:
    """Return the names of the article with some of its facts as adjectives, and the pronouns and verbs that agree."""
    container = thing.unit if thing.unit != "pair" else ""
    count = facts.get("count", "")
    many = thing.unit == "pair" or (count != "" and not container)
    size = ""
    if "size" in facts and len(count) < 2 and rng.random() < 0.6:  # Not "a pack of 25 60 mm bolts".
        number, unit = facts["size"].rsplit(" ", 1)
        size = words.UNITS[unit][2].format(n=number)
    adjectives = [facts[key] for key in ("color", "material") if key in facts and rng.random() < 0.5]
    base = plural(thing.name) if many and thing.unit != "pair" else thing.name
    name = " ".join([*adjectives, base])
    full = " ".join(part for part in (size, name) if part)
    number_word = NUMBER_WORDS[int(count)] if count and int(count) < len(NUMBER_WORDS) else count
    if container:
        holder = " ".join(part for part in (size, plural(container) if count else container) if part)
        a_name = f"a pack of {number_word} {holder} of {name}" if count else f"{article(holder)} of {name}"
        this_name = f"this {name}"
    elif thing.unit == "pair":
        a_name = f"a pack of {number_word} pairs of {full}" if count else f"a pair of {full}"
        this_name = f"these {full}"
    else:
        a_name = f"a pack of {number_word} {full}" if count else article(full)
        this_name = f"these {full}" if many else f"this {full}"
    each = f"{'each' if count else 'the'} {thing.unit}" if thing.unit else ("each one" if count else "it")
    of_many = {"It": "They", "it": "they", "them": "them", "its": "their", "are": "are", "have": "have", "s": ""}
    of_one = {"It": "It", "it": "it", "them": "it", "its": "its", "are": "is", "have": "has", "s": "s"}
    counted = f"{plural(thing.unit)} of {thing.name}" if thing.unit else plural(thing.name)
    names = {"a_name": a_name, "A_name": capital(a_name), "This_name": capital(this_name), "this_name": this_name}
    return names | {"each": each, "Each": capital(each), "plural": counted} | (of_many if many else of_one)


# -------------------------------------------------------------------------------------------- books, music, gift cards


def draw_book(rng: random.Random, kind: str = "books") -> Product:
    """Draw a novel or picture book (two in three) or a book of advice."""
    return draw_fiction(rng, kind) if rng.random() < 0.67 else draw_nonfiction(rng, kind)


def draw_fiction(rng: random.Random, kind: str) -> Product:
    """Draw a book of a series. The title names the series, the hero or a place, which point to author and plot."""
    genre, series, author, hero, he, job, home, places = rng.choice(words.SERIES)
    thing = f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.OBJECTS)}"
    place = rng.choice(places)
    book = str(rng.randint(1, 12))
    short, rest, has_book = rng.choice(
        (
            (f"The {thing} of {home}", f" ({series}, Book {book})", True),
            (f"The {thing}", f": {capital(article(title_case(hero)))} Story ({series}, Book {book})", True),
            (f"{hero} and the {thing}", f" ({series} #{book})", True),
            (f"{hero} and the {thing} of {place}", "", False),
            (f"The {thing} at {place}", f" ({series})", False),
        )
    )
    pronouns = ("he", "him", "his") if he == "he" else ("she", "her", "her")
    fields = {
        "title_short": short, "genre": genre, "author": author, "hero": hero, "job": job, "home": home, "place": place,
        "thing": thing.lower(), "a_thing": article(thing.lower()), "series": series, "reader": words.READERS[genre],
        "paper": home.removeprefix("the "),
        "he": pronouns[0], "him": pronouns[1], "his": pronouns[2], "He": capital(pronouns[0]),
    }  # fmt: skip
    if has_book:
        fields |= {"book": book, "place": home}
    plots = {name: words.PLOTS[genre] for name in ("plot", "plot2", "plot3", "plot4")}
    plots["plot"] = tuple(text for text in plots["plot"] if "{hero}" in text)  # The hero is named before "she" is said.
    return Product(kind, short + rest, partial(describe_with, words.FICTION_SLOTS | plots, fields))


def draw_nonfiction(rng: random.Random, kind: str) -> Product:
    """Draw a book of advice: subject, approach, topics and the number of lessons stand in the title."""
    subject, author, job, topics = rng.choice(words.SUBJECTS)
    approach = rng.choice(words.APPROACHES)
    form, readers, unit = rng.choice(words.FORMS)
    a, b, c = rng.sample(topics, 3)
    number = str(rng.randrange(10, 100))
    title = form.format(
        approach=approach, subject=subject, N=number, A=title_case(a), B=title_case(b), C=title_case(c)
    )
    proper = subject.startswith("Indian")
    fields = {
        "title_short": title.split(":")[0], "subject_low": "Indian cooking" if proper else subject.lower(),
        "approach_low": approach.lower(), "an_approach": article(approach.lower()),
        "author": author, "job": job, "a": a, "b": b, "readers": readers,
    }  # fmt: skip
    if "{C}" in form:
        fields["c"] = c
    if "{N}" in form:
        fields |= {"n": number, "unit": unit}
    return Product(kind, title, partial(describe_with, words.NONFICTION_SLOTS, fields))


def draw_music(rng: random.Random, kind: str = "music") -> Product:
    """Draw an album: artist, album, pressing and perhaps the number of songs stand in the title."""
    artist, style, lineup, label = rng.choice(words.ARTISTS)
    adjective, noun = rng.choice(words.ADJECTIVES), rng.choice(words.ALBUM_NOUNS)
    pressing, pressing_text = rng.choice(words.PRESSINGS)
    number = str(rng.randrange(8, 25))
    album = rng.choice((f"{adjective} {noun}", f"Songs for {adjective} {noun}", f"{number} {adjective} {noun}"))
    extra = f" [{pressing}]" if pressing else ""
    layout = rng.choice(("{artist} - {album}{extra}", "{album} by {artist}{extra}", "{album}{extra} ({artist})"))
    title = layout.format(artist=artist, album=album, extra=extra)
    tracks = rng.sample(words.OBJECTS, 3)
    fields = {
        "album": album, "artist": artist, "style": style, "a_style": article(style),
        "Style": capital(style), "lineup": lineup, "label": label,
        "theme": f"{adjective.lower()} {noun.lower()}", "track1": f"{adjective} {tracks[0]}",
        "track2": f"{noun} of {rng.choice(words.ADJECTIVES)}", "track3": f"The {tracks[2]} Song",
    }  # fmt: skip
    if album.startswith(number):
        fields["n"] = number
    if pressing:
        fields |= {"pressing": pressing, "pressing_text": pressing_text}
    return Product(kind, title, partial(describe_with, words.MUSIC_SLOTS, fields))


def draw_gift_card(rng: random.Random, kind: str = "gift cards") -> Product:
    """Draw a gift card; its description is one of the store's two, so that many repeat."""
    store = rng.choice(list(words.STORES))
    title = f"{store} {rng.choice(words.OCCASIONS)} {rng.choice(words.CARD_FORMS)}"
    return Product(kind, title, partial(describe_with, {"open": words.STORES[store]}, {}))


def draw_adult(rng: random.Random, kind: str) -> Product:
    """Draw an item that a filter must find: named plainly, described tamely."""
    title, text = rng.choice(words.ADULT)
    n = rng.randint(2, 60)
    title = title.format(adjective=rng.choice(words.ADJECTIVES), n=n)
    return Product(kind, title, partial(describe_with, {"open": (text,)}, {"n": str(n)}))


def describe_with(slots: Slots, fields: Fields, rng: random.Random) -> str:
    """Write a description from ready fields."""
    return write_text(rng, slots, fields)


DRAW = {"books": draw_book, "music": draw_music, "gift cards": draw_gift_card}


# --------------------------------------------------------------------------------------------------- clean catalogue


def kind_counts(n: int) -> dict[str, int]:
    """Return how many of n rows each kind has: its share, and the rows left over go to the first kinds."""
    total = sum(words.SHARES.values())
    counts = {kind: n * share // total for kind, share in words.SHARES.items()}
    for kind in list(counts)[: n - sum(counts.values())]:
        counts[kind] += 1
    return counts


def clean_products(n: int, seed: int = 42) -> Iterator[Product]:
    """Yield n products without dirt, grouped by kind; all titles differ."""
    rng = random.Random(seed)
    seen: set[str] = set()
    for kind, count in kind_counts(n).items():
        draw = DRAW.get(kind, draw_goods)
        for _ in range(count):
            yield new_product(rng, draw_adult if rng.random() < ADULT else draw, kind, seen)


def new_product(rng: random.Random, draw: Callable[..., Product], kind: str, seen: set[str]) -> Product:
    """Draw until the title is new; a kind that runs out of titles gets a style number, so that any n works."""
    for _ in range(20):
        product = draw(rng, kind)
        if product.title.lower() not in seen:
            break
    else:
        product = product._replace(title=f"{product.title}, Style {len(seen)}")
    seen.add(product.title.lower())
    return product


# -------------------------------------------------------------------------------------------------------------- dirt

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
# Written as in the real file, where many stand right behind the last full stop and lost the blanks around the edition.
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


def pick(rng: random.Random, weighted: tuple[tuple[str, int], ...]) -> str:
    """Return one of the texts by weight."""
    texts, weights = zip(*weighted, strict=True)
    return rng.choices(texts, weights)[0]


def add_boilerplate(rng: random.Random, text: str) -> str:
    """Put the lines of the book trade behind some descriptions."""
    if rng.random() < COPYRIGHT:
        text += pick(rng, COPYRIGHT_FORMS).format(year=rng.randint(1985, 2006))
    if rng.random() < REFERS_TO:
        text += pick(rng, REFERS_FORMS).format(edition=rng.choice(BOOK_EDITIONS))
    return text


def add_entities(rng: random.Random, text: str) -> str:
    """Escape characters as HTML does, now and then twice; a text without such characters gets an &amp;."""
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
    """Put odd white space into some texts."""
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


def dirty_content(rng: random.Random, product: Product, title: str) -> str:
    """Write a description and soil it."""
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


def dirty_title(rng: random.Random, title: str) -> str:
    """Soil some titles."""
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
    """Return a row that repeats the one before in part (an edition, another text, the same again), mostly None."""
    fate = rng.random()
    if fate < EDITION:
        return title.strip() + rng.choice(EDITIONS.get(before.kind, OTHER_EDITIONS)), content
    if fate < EDITION + SECOND_TEXT:
        return title, before.describe(rng)
    if fate < EDITION + SECOND_TEXT + EXACT_REPEAT:
        return title, content
    return None


# -------------------------------------------------------------------------------------------------------------- rows


def make_uid(rng: random.Random, index: int, kind: str) -> str:
    """Return an id that looks like an ASIN, rises with the index, and belongs to no real article.

    Books get ten digits, as ISBNs; the last one is never the right check digit, so no real book has this number.
    Others begin with B0Z, a range that was not in use when the real data was collected.
    """
    if kind == "books":
        digits = f"{2_000_000 + index * 11 + rng.randrange(11):09d}"
        check = sum((10 - place) * int(digit) for place, digit in enumerate(digits)) % 11
        right = (11 - check) % 11
        return digits + str((right + 1 + rng.randrange(8)) % 10 if right < 10 else rng.randrange(10))
    number, digits = 46_656 + index * 36 + rng.randrange(36), ""
    for _ in range(7):
        number, rest = divmod(number, 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest] + digits
    return "B0Z" + digits


def make_targets(rng: random.Random, n: int) -> tuple[list[int], list[float]]:
    """Return made-up labels (which articles are bought together), which this course does not use."""
    indices = sorted({rng.randrange(n) for _ in range(rng.randrange(5))})
    return indices, [1.0] * len(indices)


def make_rows(n: int, seed: int = 42) -> Iterator[dict]:
    """Yield n rows of the catalogue one by one. Same n and seed, same rows."""
    rng = random.Random(f"dirt {seed}")
    before: tuple[Product, str, str] | None = None
    for index, product in enumerate(clean_products(n, seed)):
        title, fate, repeat = product.title, rng.random(), None
        row: dict = {"uid": make_uid(rng, index, product.kind), "title": title}
        if fate >= EMPTY + NO_KEY + NULL:
            repeat = echo(rng, *before) if before and before[0].kind == product.kind else None
            title = dirty_title(rng, title)
            title, content = repeat or (title, dirty_content(rng, product, title))
            before = None if repeat else (product, title, content)
            if not (title + content).isascii() and rng.random() < DECOMPOSED:
                title, content = unicodedata.normalize("NFD", title), unicodedata.normalize("NFD", content)
            row |= {"title": title, "content": content}
        elif fate >= NO_KEY:
            row |= {"title": dirty_title(rng, title), "content": None if fate < NO_KEY + NULL else ""}
        row["target_ind"], row["target_rel"] = make_targets(rng, n)
        yield row


def write_sample(path: str | Path, n: int = 3000, seed: int = 42) -> None:
    """Write n rows to a .jsonl or .jsonl.gz file, one JSON object a line.

    The rows are the same on each machine. A .gz file holds neither time nor name, so its bytes are the same too
    wherever Python uses the same zlib; another zlib may pack the same rows into other bytes.
    """
    path = Path(path)
    with open(path, "wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as packed:
                write_lines(packed, n, seed)
        else:
            write_lines(raw, n, seed)


def write_lines(file, n: int, seed: int) -> None:
    """Write the rows as UTF-8 lines to an open binary file."""
    for row in make_rows(n, seed):
        file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
