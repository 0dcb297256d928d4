"""Make up a product catalogue in the schema of AmazonTitles-1.3MM's `trn.json`, dirt included.

Each row is a JSON object: `uid`, `title`, `content`, `target_ind`, `target_rel`. The real texts have no licence, so the
course cannot ship them; this catalogue stands in for them. Two steps make a row:

1. A clean product (`clean_products`): facts are drawn, the title names them, and the description restates them in
   sentences picked from words/*.yaml (goods.py, media.py, writing.py). A description claims no figure that its title
   lacks, so a model can learn to keep to the title.
2. Dirt (`make_rows`, noise.py): empty contents, entities, tags, boilerplate, repeats, odd white space, at rates that
   were measured on 16,082 real rows, so that the cleaning step has something to clean.

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
from pathlib import Path

from ftlib.data.sample import noise
from ftlib.data.sample.goods import draw_goods
from ftlib.data.sample.media import draw_adult, draw_book, draw_gift_card, draw_music
from ftlib.data.sample.writing import Product
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import replacing

# Part of all rows, in the order of the file. As in the real file, kinds lie together: books first, gift cards last.
SHARES = {
    "books": 22,
    "music": 8,
    "kitchen": 7,
    "tools": 6,
    "office": 6,
    "garden": 5,
    "toys": 5,
    "clothing": 5,
    "electronics": 6,
    "sports": 5,
    "pet": 4,
    "beauty": 5,
    "food": 4,
    "industrial": 4,
    "home": 5,
    "gift cards": 3,
}

# What draws a kind; the kinds that are not named here are goods, with a file words/goods_<kind>.yaml.
DRAW = {"books": draw_book, "music": draw_music, "gift cards": draw_gift_card}


# ------------------------------------------------------------------------------------------------------- clean products


def kind_counts(n: int) -> dict[str, int]:
    """Return how many of n rows each kind has: its share, and the rows left over go to the first kinds."""
    total = sum(SHARES.values())
    counts = {kind: n * share // total for kind, share in SHARES.items()}
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
            yield new_product(rng, draw_adult if rng.random() < noise.ADULT else draw, kind, seen)


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


# ----------------------------------------------------------------------------------------------------------------- rows


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
        if fate >= noise.EMPTY + noise.NO_KEY + noise.NULL:
            repeat = noise.echo(rng, *before) if before and before[0].kind == product.kind else None
            title = noise.noisy_title(rng, title)
            title, content = repeat or (title, noise.noisy_content(rng, product, title))
            before = None if repeat else (product, title, content)
            if not (title + content).isascii() and rng.random() < noise.DECOMPOSED:
                title, content = unicodedata.normalize("NFD", title), unicodedata.normalize("NFD", content)
            row |= {"title": title, "content": content}
        elif fate >= noise.NO_KEY:
            content = None if fate < noise.NO_KEY + noise.NULL else ""
            row |= {"title": noise.noisy_title(rng, title), "content": content}
        row["target_ind"], row["target_rel"] = make_targets(rng, n)
        yield row


def write_sample(path: str | Path, n: int = 3000, seed: int = 42) -> None:
    """Write n rows to a .jsonl or .json file, plain or with .gz, one JSON object a line; its folder is made if need be.

    The rows are the same on each machine. A .gz file holds neither time nor name, so its bytes are the same too
    wherever Python uses the same zlib; another zlib may pack the same rows into other bytes.
    Raises FtlibError for any other ending, before anything is written.
    """
    path = Path(path)
    if not re.search(r"\.jsonl?(\.gz)?$", path.name):
        raise FtlibError(f"{path}: a sample's name must end in .jsonl, .jsonl.gz, .json or .json.gz")
    with replacing(path) as partial, open(partial, "wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as packed:
                write_lines(packed, n, seed)
        else:
            write_lines(raw, n, seed)


def write_lines(file, n: int, seed: int) -> None:
    """Write the rows as UTF-8 lines to an open binary file."""
    for row in make_rows(n, seed):
        file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
