"""Draw books, albums, gift cards and a few adult items: facts, a title and a description.

Each function returns a `Product` whose description follows from its title: a novel's title names its series, hero or place,
which determine author and plot; the subtitle of a book of advice has its topics; an album's title names the artist. The words
are in words/titles.yaml, fiction.yaml, nonfiction.yaml, music.yaml, gift_cards.yaml and adult.yaml.
"""

from __future__ import annotations

import random
from functools import partial

from ftlib.data.sample.words import table
from ftlib.data.sample.writing import Product, article, capital, title_case, write_text

PRONOUNS = {
    "he": {"he": "he", "him": "him", "his": "his", "He": "He"},
    "she": {"he": "she", "him": "her", "his": "her", "He": "She"},
}


def draw_book(rng: random.Random, kind: str = "books") -> Product:
    """Draw a novel or picture book (two in three) or a book of advice."""
    return draw_fiction(rng, kind) if rng.random() < 0.67 else draw_nonfiction(rng, kind)


def draw_fiction(rng: random.Random, kind: str) -> Product:
    """Draw a book of a series; its title names the series, the hero or a place."""
    fiction, titles = table("fiction"), table("titles")
    novel = rng.choice(fiction["series"])
    genre, series, hero, home = (novel[key] for key in ("genre", "series", "hero", "home"))
    thing = f"{rng.choice(titles['adjectives'])} {rng.choice(titles['objects'])}"
    place = rng.choice(novel["places"])
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
    fields = {
        "title_short": short,
        "genre": genre,
        "author": novel["author"],
        "hero": hero,
        "job": novel["job"],
        "home": home,
        "place": place,
        "thing": thing.lower(),
        "a_thing": article(thing.lower()),
        "series": series,
        "reader": fiction["readers"][genre],
        "paper": home.removeprefix("the "),
    } | PRONOUNS[novel["pronoun"]]
    if has_book:
        fields |= {"book": book, "place": home}
    plot = fiction["plots"][genre]
    # the first sentence names the hero, later ones may use a pronoun
    plots = {"plot": tuple(text for text in plot if "{hero}" in text), "plot2": plot, "plot3": plot, "plot4": plot}
    return Product(kind, short + rest, partial(write_text, slots=fiction["slots"] | plots, fields=fields))


def draw_nonfiction(rng: random.Random, kind: str) -> Product:
    """Draw a book of advice; its title names subject, approach, topics and the number of lessons."""
    nonfiction = table("nonfiction")
    about = rng.choice(nonfiction["subjects"])
    approach = rng.choice(nonfiction["approaches"])
    form = rng.choice(nonfiction["forms"])
    a, b, c = rng.sample(about["topics"], 3)
    number = str(rng.randrange(10, 100))
    topics = {"A": title_case(a), "B": title_case(b), "C": title_case(c)}
    title = form["title"].format(approach=approach, subject=about["subject"], N=number, **topics)
    fields = {
        "title_short": title.split(":")[0],
        "subject_low": about.get("in_text", about["subject"].lower()),
        "approach_low": approach.lower(),
        "an_approach": article(approach.lower()),
        "author": about["author"],
        "job": about["job"],
        "a": a,
        "b": b,
        "readers": form["readers"],
    }
    if "{C}" in form["title"]:
        fields["c"] = c
    if "{N}" in form["title"]:
        fields |= {"n": number, "unit": form["unit"]}
    return Product(kind, title, partial(write_text, slots=nonfiction["slots"], fields=fields))


def draw_music(rng: random.Random, kind: str = "music") -> Product:
    """Draw an album; its title names artist, album, pressing and perhaps the number of songs."""
    music, titles = table("music"), table("titles")
    act = rng.choice(music["artists"])
    artist, style = act["artist"], act["style"]
    adjective, noun = rng.choice(titles["adjectives"]), rng.choice(music["album_nouns"])
    pressing = rng.choice(list(music["pressings"]))
    number = str(rng.randrange(8, 25))
    album = rng.choice((f"{adjective} {noun}", f"Songs for {adjective} {noun}", f"{number} {adjective} {noun}"))
    extra = f" [{pressing}]" if pressing else ""
    layout = rng.choice(("{artist} - {album}{extra}", "{album} by {artist}{extra}", "{album}{extra} ({artist})"))
    title = layout.format(artist=artist, album=album, extra=extra)
    tracks = rng.sample(titles["objects"], 3)
    fields = {
        "album": album,
        "artist": artist,
        "style": style,
        "a_style": article(style),
        "Style": capital(style),
        "lineup": act["lineup"],
        "label": act["label"],
        "theme": f"{adjective.lower()} {noun.lower()}",
        "track1": f"{adjective} {tracks[0]}",
        "track2": f"{noun} of {rng.choice(titles['adjectives'])}",
        "track3": f"The {tracks[2]} Song",
    }
    if album.startswith(number):
        fields["n"] = number
    if pressing:
        fields |= {"pressing": pressing, "pressing_text": music["pressings"][pressing]}
    return Product(kind, title, partial(write_text, slots=music["slots"], fields=fields))


def draw_gift_card(rng: random.Random, kind: str = "gift cards") -> Product:
    """Draw a gift card; a store has only two descriptions, so many repeat."""
    cards = table("gift_cards")
    store = rng.choice(list(cards["stores"]))
    title = f"{store} {rng.choice(cards['occasions'])} {rng.choice(cards['forms'])}"
    return Product(kind, title, partial(write_text, slots={"open": cards["stores"][store]}, fields={}))


def draw_adult(rng: random.Random, kind: str) -> Product:
    """Draw an item that the adult filter must match by its title."""
    item = rng.choice(table("adult")["items"])
    n = rng.randint(2, 60)
    title = item["title"].format(adjective=rng.choice(table("titles")["adjectives"]), n=n)
    return Product(kind, title, partial(write_text, slots={"open": (item["text"],)}, fields={"n": str(n)}))
