"""Generate a synthetic product catalog in the schema of AmazonTitles-1.3MM, noise included.

Each row is a JSON object: `uid`, `title`, `content`, `target_ind`, `target_rel`. It is generated in two steps:

1. A clean product (`clean_products`): facts are drawn, the title names them, and the description restates them in
   sentences from words/*.yaml (goods.py, media.py, writing.py). A description has no number that its title lacks, so
   a model can learn to stay with the title.
2. Noise (`make_rows`, noise.py): empty contents, entities, tags, boilerplate, repeats, odd white space, at rates that
   were measured on 16,082 real rows.

Rows are grouped by kind of goods, books first, because the real file is sorted by ASIN: its head is not a random sample.
Descriptions are shorter than real ones (mean about 350 characters instead of 604), so that a run on a CPU is fast. All
random generators are seeded: the same seed and n give the same rows on every machine.

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

# Weights of the kinds, in the order of the file: books first, gift cards last, as in the real file.
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

# Functions that draw a product; all other kinds are goods, with a file words/goods_<kind>.yaml.
DRAW = {"books": draw_book, "music": draw_music, "gift cards": draw_gift_card}


# ------------------------------------------------------------------------------------------------------- clean products


def kind_counts(n: int) -> dict[str, int]:
    """Distribute n rows over the kinds by their weights; the remainder goes to the first kinds."""
    total = sum(SHARES.values())
    counts = {kind: n * share // total for kind, share in SHARES.items()}
    for kind in list(counts)[: n - sum(counts.values())]:
        counts[kind] += 1
    return counts


def clean_products(n: int, seed: int = 42) -> Iterator[Product]:
    """Yield n products without noise, grouped by kind, with distinct titles."""
    rng = random.Random(seed)
    seen: set[str] = set()
    for kind, count in kind_counts(n).items():
        draw = DRAW.get(kind, draw_goods)
        for _ in range(count):
            yield new_product(rng, draw_adult if rng.random() < noise.ADULT else draw, kind, seen)


def new_product(rng: random.Random, draw: Callable[..., Product], kind: str, seen: set[str]) -> Product:
    """Draw a product with a new title; after 20 attempts, append a style number, so that any n works."""
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
    """Return an id that looks like an ASIN, increases with the index, and belongs to no real article.

    Books get ten digits, as ISBN-10, with a wrong check digit. Others start with B0Z, a range that was unused when the
    real data was collected.
    """
    if kind == "books":
        digits = f"{2_000_000 + index * 11 + rng.randrange(11):09d}"
        checksum = sum((10 - position) * int(digit) for position, digit in enumerate(digits)) % 11
        check_digit = (11 - checksum) % 11
        return digits + str((check_digit + 1 + rng.randrange(8)) % 10 if check_digit < 10 else rng.randrange(10))
    value, digits = 46_656 + index * 36 + rng.randrange(36), ""
    for _ in range(7):
        value, rest = divmod(value, 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest] + digits
    return "B0Z" + digits


def make_targets(rng: random.Random, n: int) -> tuple[list[int], list[float]]:
    """Return random labels of the original task (articles bought together); the course ignores them."""
    indices = sorted({rng.randrange(n) for _ in range(rng.randrange(5))})
    return indices, [1.0] * len(indices)


def make_rows(n: int, seed: int = 42) -> Iterator[dict]:
    """Yield n rows of the catalog; the same n and seed give the same rows."""
    rng = random.Random(f"dirt {seed}")  # changing this text would change the stored sample
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
    """Write n rows to a JSON Lines file, with gzip if the name ends in .gz; create its folder if needed.

    A .gz file has no time stamp and no name, so its bytes are reproducible with the same version of zlib.

    Raises:
        FtlibError: the name does not end in .jsonl, .json, .jsonl.gz or .json.gz.
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
    """Write n rows as UTF-8 lines to an open binary file."""
    for row in make_rows(n, seed):
        file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
