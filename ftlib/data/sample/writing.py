"""Write descriptions from templates, sentence by sentence, until a drawn length is reached.

`write_text(rng, slots, fields)` returns a description. A slot has several paraphrases of a sentence; each is a template whose
fields in braces come from the product's facts. A template with a missing fact is never chosen, so no text contains more than
its title implies. The order of the slots is fixed; which of them are used depends on the length, facts first.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import NamedTuple

# Deciles of the target length in characters: long-tailed as in the real file, at about half the length.
LENGTHS = (60, 100, 145, 190, 230, 270, 325, 400, 510, 720, 1100)

# Slots with facts are chosen first, the others only if there is room.
FACT_SLOTS = {"material", "size", "option", "count", "plot", "topic", "number", "series", "songs", "band", "pressing"}

# Slots that require another one ("it also has ...").
FOLLOWS = {"has2": "has", "plot2": "plot", "plot3": "plot2", "plot4": "plot3", "topic2": "topic", "tracks2": "tracks"}

# Slots that long texts may use twice, with different sentences.
TWICE = {"who", "care", "mood", "praise", "style", "series", "author"}

Fields = dict[str, str]
Slots = dict[str, tuple[str, ...]]


class Product(NamedTuple):
    """A product without noise: its kind, its title, and a function that draws a description."""

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
    """Return the text with its first letter capitalized."""
    return text[:1].upper() + text[1:]


def title_case(text: str) -> str:
    """Return the text in title case (str.title would write Chef'S)."""
    return " ".join(word if word in ("of", "and", "for") else capital(word) for word in text.split())


def listing(parts: list[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def some(rng: random.Random, parts: tuple[str, ...], least: int) -> list[str]:
    """Sample at least `least` of the parts, in random order."""
    return rng.sample(parts, rng.randint(least, len(parts)))


# ----------------------------------------------------------------------------------------------------- descriptions


def fill(rng: random.Random, templates: tuple[str, ...], fields: Fields, used: set[str]) -> str:
    """Fill in a random template that is unused and has no missing field; return "" if there is none."""
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
    """Return the slot, and a second one with the same sentences if it may be used twice."""
    return [(name, pool), (f"{name}_again", pool)] if name in TWICE else [(name, pool)]


def write_text(rng: random.Random, slots: Slots, fields: Fields) -> str:
    """Write a description: the opening and further slots up to a drawn length, in the order of `slots`."""
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
