"""Load the word tables of the synthetic catalog: names of products and sentences about them.

`table("music")` returns music.yaml; `department("kitchen")` builds a `Department` from goods_kitchen.yaml. All names are
invented. Three rules make the descriptions learnable for a small model:

- A description contains a number in digits, a size, a color or a material only if the title contains it.
- Its other content follows from a word in the title (a chef's knife -> uses and details, a brand -> its promise).
- A field in braces comes from the title's facts; a template with a missing field is never chosen.

All values are strings: quote numbers and YAML's words for true, false and null (yes, no, on, off, ~). After editing a file,
rebuild the stored sample with `ftlib sample --out ftlib/data/sample/catalog.jsonl.gz`; a test compares it with the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from ftlib.runtime.yaml_files import packaged

Texts = tuple[str, ...]


@dataclass(frozen=True)
class Thing:
    """A type of article: its possible materials, sizes, uses, details and accessories.

    `unit` is "pair" for plural words (pliers), the container of goods that are poured or weighed (tea -> tin), else empty.
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
    """A kind of goods: words and sentences that its articles share, and the articles."""

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
    """Read <name>.yaml, with tuples for its lists; the result is cached and shared, do not modify it."""
    return _checked(packaged(__name__, f"{name}.yaml"), name)


@cache
def department(name: str) -> Department:
    """Build the department of goods_<name>.yaml. Raises TypeError for an unknown key."""
    values = table(f"goods_{name}")
    return Department(**values | {"things": tuple(Thing(**thing) for thing in values["things"])})


def _checked(value: Any, name: str) -> Any:
    """Convert lists to tuples. Raises TypeError for a leaf that is not a string."""
    if isinstance(value, dict):
        return {key: _checked(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_checked(item, name) for item in value)
    if not isinstance(value, str):
        raise TypeError(f"words/{name}.yaml: YAML reads {value!r} as {type(value).__name__}; put it in quotes")
    return value
