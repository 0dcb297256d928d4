"""Load the word tables of the made-up catalogue: goods, books, music and gift cards, and the sentences about them.

What: `table("music")` returns music.yaml; `department("kitchen")` makes a `Department` of goods_kitchen.yaml.
Why YAML: the words are data, and a new article or sentence needs no code. A file is read when it is first asked for.
Everything is invented. Three rules keep the descriptions honest, so that a small model can learn from them:

- A description says a number in digits, a size, a color or a material only if the title says it.
- What else it says follows from a word in the title (a chef's knife -> uses and details, a brand -> its promise).
- A field in braces comes from the title's facts; a template whose fields a product lacks is never chosen.

All values are texts: a number, or one of YAML's words for true, false and null (yes, no, on, off, ~), stands in quotes.
How: edit a file, then make the stored sample again with `ftlib sample --out ftlib/sample/catalog.jsonl.gz`, because a
test compares it with what the words give.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

# libyaml's parser if PyYAML was built with it, as its wheels are: about seven times as fast.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Texts = tuple[str, ...]


@dataclass(frozen=True)
class Thing:
    """One sort of article: what it may be made of, its sizes, what it is for, its details and what it comes with.

    `unit` is "pair" for plural words (pliers), the container for what is poured or weighed (tea -> tin), else empty.
    """

    name: str
    made: Texts  # materials of goods.yaml
    sizes: Texts  # a number, a blank, a unit of goods.yaml
    dim: Texts  # verb phrases with {size}, for a singular subject
    uses: Texts  # -ing phrases
    has: Texts  # noun phrases after "it has"
    box: Texts  # noun phrases after "it comes with"
    packs: Texts = ()  # how many may lie in a pack
    unit: str = ""


@dataclass(frozen=True)
class Department:
    """One kind of goods: words and sentences that all of its articles share, and the articles."""

    room: str
    people: str
    colors: Texts
    fits: Texts  # remarks on the size, put behind a comma
    care: Texts
    who: Texts
    close: Texts
    brands: dict[str, Texts]  # brand: (what it does, what it promises)
    things: tuple[Thing, ...]
    option: str = "color"  # what `colors` are: color, scent, flavor or finish


@cache
def table(name: str) -> dict[str, Any]:
    """Return <name>.yaml with tuples for its lists, read once. It is shared: do not change it."""
    text = (resources.files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
    return _checked(yaml.load(text, LOADER), name)  # noqa: S506, LOADER is a safe one


@cache
def department(name: str) -> Department:
    """Return goods_<name>.yaml. Raises TypeError for a key that a department or an article does not have."""
    values = table(f"goods_{name}")
    return Department(**values | {"things": tuple(Thing(**thing) for thing in values["things"])})


def _checked(value: Any, name: str) -> Any:
    """Return the value with tuples for lists. Raises TypeError for a leaf that YAML did not read as a text."""
    if isinstance(value, dict):
        return {key: _checked(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_checked(item, name) for item in value)
    if not isinstance(value, str):
        raise TypeError(f"words/{name}.yaml: YAML reads {value!r} as {type(value).__name__}; put it in quotes")
    return value
