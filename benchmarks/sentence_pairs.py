"""Generate pairs of a row and a sentence, labeled by construction as supported or not.

`make_pairs(n, seed)` yields n pairs, half of them supported. A supported sentence paraphrases a fact of the row: words/*.yaml
have several sentences for each fact; the row's description has one of them, the pair another. A refuted sentence is such a
paraphrase with one number, color or material replaced by another that the same article could have; these are the hard cases.
`make_strangers` yields sentences about another article, `make_inventions` correct names with another article's purpose.
`benchmarks/support_pairs.py` evaluates `ftlib.retrieval.attribution` on them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from ftlib.data.sample import words
from ftlib.data.sample.generate import DRAW, SHARES
from ftlib.data.sample.goods import draw_facts, draw_goods, goods_fields, goods_title
from ftlib.data.sample.writing import fill, listing, some, write_text
from ftlib.data.text import sentences

KINDS = [kind for kind in SHARES if kind not in DRAW]  # goods: their facts are numbers, colors and materials
ASPECTS = {"size": "number", "count": "number", "option": "color", "material": "material"}  # {slot: what is changed}


class Pair(NamedTuple):
    """A row (title, content) and a sentence; `changed` is None if it is supported, else what was changed."""

    title: str
    content: str
    sentence: str
    changed: str | None


def make_pairs(count: int, seed: int) -> Iterator[Pair]:
    """Yield `count` pairs, alternately supported and refuted, with the ASPECTS in turn."""
    rng = random.Random(seed)
    aspects = list(ASPECTS)
    for index in range(count):
        pair = None
        while pair is None:
            pair = draw_pair(rng, aspects[index // 2 % len(aspects)], refuted=bool(index % 2))
        yield pair


def make_strangers(count: int, seed: int) -> Iterator[Pair]:
    """Yield `count` pairs whose sentence is from another article's description."""
    rng = random.Random(f"strangers {seed}")
    while count:
        row, other = (draw_goods(rng, rng.choice(KINDS)) for _ in range(2))
        sentence = rng.choice(sentences(other.describe(rng)))
        if row.title.split()[0] not in sentence:  # articles of one brand share sentences
            count -= 1
            yield Pair(row.title, row.describe(rng), sentence, "article")


def make_inventions(count: int, seed: int) -> Iterator[Pair]:
    """Yield `count` pairs whose sentence names the article, but a use of another article only."""
    rng = random.Random(f"inventions {seed}")
    while count:
        department, other = (words.department(rng.choice(KINDS)) for _ in range(2))
        thing, facts = draw_facts(rng, department)
        fields, slots = goods_fields(department, thing, facts, rng)
        content, uses = write_text(rng, slots, fields), some(rng, rng.choice(other.things).uses, least=2)[:2]
        if not any(use in content for use in uses):
            count -= 1
            invented = fill(rng, slots["open"], fields | {"uses": listing(uses)}, set())
            yield Pair(goods_title(rng, thing, facts), content, invented, "use")


def draw_pair(rng: random.Random, slot: str, refuted: bool) -> Pair | None:
    """Draw an article and a pair about the fact of a slot.

    Returns None if the article has no such fact, or no second sentence for it.
    """
    department = words.department(rng.choice(KINDS))
    thing, facts = draw_facts(rng, department)
    fact = {"option": "color"}.get(slot, slot)
    if fact not in facts or (slot == "option" and department.option != "color"):
        return None
    others = {"size": thing.sizes, "count": thing.packs, "color": department.colors, "material": thing.made}[fact]
    fields, slots = goods_fields(department, thing, facts, rng)
    used: set[str] = set()
    sentence = fill(rng, slots[slot], fields, used)
    other_facts = write_text(rng, {name: pool for name, pool in slots.items() if name != slot}, fields)
    paraphrase = fill(rng, slots[slot], fields, used)
    value, other = facts[fact], rng.choice([choice for choice in others if choice != facts[fact]] or [""])
    if slot == "size":
        value, other = value.rsplit(" ", 1)[0], other.rsplit(" ", 1)[0]
    title, content = goods_title(rng, thing, facts), f"{other_facts} {paraphrase}"
    if not paraphrase or not re.search(rf"\b{value}\b", sentence, re.IGNORECASE):
        return None
    if not refuted:
        return Pair(title, content, sentence, None)
    if not other or re.search(rf"\b{other}\b", f"{title}. {content}", re.IGNORECASE):
        return None
    return Pair(title, content, re.sub(rf"\b{value}\b", other, sentence, flags=re.IGNORECASE), ASPECTS[slot])
