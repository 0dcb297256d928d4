"""Draw articles of the goods departments (kitchen, tools, ...): facts, a title and a description.

`draw_goods(rng, "kitchen")` returns a `Product`. Title and description are written from the same drawn facts and mention no
others, so a model that is trained on these rows learns to stay with the title. The words of the departments are in
words/goods_*.yaml, shared ones in words/goods.yaml.
"""

from __future__ import annotations

import random
from functools import partial

from ftlib.data.sample import words
from ftlib.data.sample.writing import (
    Fields,
    Product,
    Slots,
    article,
    capital,
    listing,
    plural,
    some,
    title_case,
    write_text,
)

NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()

# Word orders of real titles: (fields of the head, fields of the tail, separator).
LAYOUTS = (
    ("brand model size material name", "amount color count", ", "),
    ("brand material name", "size amount color count model", ", "),
    ("brand name", "model material size amount color count", " - "),
    ("size material name", "amount color count by", ", "),
    ("brand model color material name", "size amount count", ", "),
    ("brand size color name", "material amount model count", ", "),
)

# Pronouns and verbs of the templates, for several articles and for one.
OF_MANY = {"It": "They", "it": "they", "them": "them", "its": "their", "are": "are", "have": "have", "s": ""}
OF_ONE = {"It": "It", "it": "it", "them": "it", "its": "its", "are": "is", "have": "has", "s": "s"}


def draw_goods(rng: random.Random, kind: str) -> Product:
    """Draw an article; its title names all drawn facts, and its description no others."""
    department = words.department(kind)
    thing, facts = draw_facts(rng, department)
    return Product(kind, goods_title(rng, thing, facts), partial(goods_text, department, thing, facts))


def draw_facts(rng: random.Random, department: words.Department) -> tuple[words.Thing, Fields]:
    """Draw an article of a department and its facts."""
    thing = rng.choice(department.things)
    facts = {"brand": rng.choice(list(department.brands))}
    drawn = {
        "model": (0.75, words.table("goods")["models"]),
        "material": (0.8, thing.made),
        "size": (0.85, thing.sizes),
        "color": (0.7, department.colors),
        "count": (0.45, thing.packs),
    }
    for name, (probability, choices) in drawn.items():
        if choices and rng.random() < probability:
            facts[name] = rng.choice(choices)
    if "model" in facts and rng.random() < 0.5:
        facts["model"] += f" {rng.randrange(100, 1000)}"
    return thing, facts


def size_forms(size: str) -> tuple[str, dict]:
    """Return the number of a size such as "6 inch" and the written forms of its unit."""
    number, unit = size.rsplit(" ", 1)
    return number, words.table("goods")["units"][unit]


def goods_title(rng: random.Random, thing: words.Thing, facts: Fields) -> str:
    """Return a title that names all facts, in one of the LAYOUTS."""
    parts = {name: title_case(value) for name, value in facts.items()} | {"name": title_case(thing.name)}
    if "size" in facts:
        number, forms = size_forms(facts["size"])
        parts["size"] = rng.choice(forms["title"]).format(n=number)
        if thing.unit not in ("", "pair"):
            parts["amount"] = f"{parts.pop('size')} {thing.unit.title()}"
    if "count" in facts:
        parts["count"] = rng.choice(("Pack of {}", "{}-Pack", "Set of {}")).format(facts["count"])
    head, tail, joint = rng.choice(LAYOUTS)
    parts["by"] = f"by {parts['brand']} {parts.get('model', '')}".strip()
    front = " ".join(parts[name] for name in head.split() if name in parts)
    back = ", ".join(parts[name] for name in tail.split() if name in parts)
    return joint.join([front, back]).rstrip(joint)


def goods_text(department: words.Department, thing: words.Thing, facts: Fields, rng: random.Random) -> str:
    """Write a description of an article from its facts."""
    fields, slots = goods_fields(department, thing, facts, rng)
    return write_text(rng, slots, fields)


def goods_fields(
    department: words.Department, thing: words.Thing, facts: Fields, rng: random.Random
) -> tuple[Fields, Slots]:
    """Draw the fields of a description, and return them with the sentences to choose from."""
    tagline, promise = department.brands[facts["brand"]]
    uses = some(rng, thing.uses, least=3)
    details = some(rng, thing.has, least=3)
    cut, cut_details = rng.randint(1, 2), rng.randint(1, 2)
    fields: Fields = {key: facts[key] for key in ("brand", "model", "color", "count") if key in facts}
    fields |= {
        "tagline": tagline,
        "promise": promise,
        "room": department.room,
        "people": department.people,
        "option": department.option,
        "Option": capital(department.option),
        "uses": listing(uses[:cut]),
        "more_uses": listing(uses[cut:]),
        "has": listing(details[:cut_details]),
        "has2": listing(details[cut_details:]),
        "box": listing(some(rng, thing.box, least=1)),
    }
    if "model" in facts:
        fields["maker"] = f"{facts['brand']} {facts['model']}"
    if "color" in facts:
        fields["Color"] = capital(facts["color"])
    fields |= material_fields(rng, facts) | size_fields(rng, department, thing, facts) | name_fields(rng, thing, facts)
    shared = words.table("goods")
    slots = shared["slots"] | {
        "option": shared["options"][department.option],
        "who": department.who,
        "care": department.care,
        "close": department.close,
    }
    return fields, slots


def material_fields(rng: random.Random, facts: Fields) -> Fields:
    """Return the template fields of the material; {} if the title has none."""
    if "material" not in facts:
        return {}
    material, goods = facts["material"], words.table("goods")
    benefit = rng.choice(goods["materials"][material])
    if material in goods["as_subject"]:
        return {"Why_material": goods["as_subject"][material], "benefit": benefit}
    return {
        "material": material,
        "Material": capital(material),
        "it_material": "it",
        "It_material": "It",
        "benefit": benefit,
    }


def size_fields(rng: random.Random, department: words.Department, thing: words.Thing, facts: Fields) -> Fields:
    """Return the template fields of the size; {} if the title has none."""
    if "size" not in facts:
        return {}
    number, forms = size_forms(facts["size"])
    size = forms["text"].format(n=number)
    return {"size": size, "dim": rng.choice(thing.dim).format(size=size), "fit": rng.choice(department.fits)}


def name_fields(rng: random.Random, thing: words.Thing, facts: Fields) -> Fields:
    """Return the names of the article, with some facts as adjectives, and matching pronouns and verbs."""
    container = thing.unit if thing.unit != "pair" else ""
    count = facts.get("count", "")
    many = thing.unit == "pair" or (count != "" and not container)
    size = ""
    if "size" in facts and len(count) < 2 and rng.random() < 0.6:  # Not "a pack of 25 60 mm bolts".
        number, forms = size_forms(facts["size"])
        size = forms["adjective"].format(n=number)
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
    counted = f"{plural(thing.unit)} of {thing.name}" if thing.unit else plural(thing.name)
    names = {"a_name": a_name, "A_name": capital(a_name), "This_name": capital(this_name), "this_name": this_name}
    return names | {"each": each, "Each": capital(each), "plural": counted} | (OF_MANY if many else OF_ONE)
