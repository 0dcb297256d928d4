"""Generate questions and answers of an invented store in Portuguese, for the worked example of the profile `qa`.

No text is taken from a real store: topics, products and facts are in faq.yaml, and a seeded generator combines their wordings.
About half of the rows are about what a customer wants to do, five wordings of each topic; the others are about the facts of
invented products. Answers to one topic share their facts and differ in their words, as in a real help desk. The rows are under
CC0 (public domain). The columns are `id`, `pergunta` and `resposta`, so that the example shows `data.columns` too.

Run it with `python -m ftlib.data.sample.faq` to write the stored file again; a test compares it with the YAML file.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path

from ftlib.data.sample import FAQ_PATH
from ftlib.runtime.files import replacing
from ftlib.runtime.yaml_files import packaged

DELIVERY_DAYS, FREIGHT_REAIS, SPARE_PARTS_YEARS = (3, 9), (12, 39), (3, 8)  # least and most of the drawn facts


def make_rows(seed: int = 42) -> Iterator[dict[str, str]]:
    """Yield the rows; the same seed gives the same rows on every machine."""
    tables = packaged("ftlib.data.sample", "faq.yaml")
    rng = random.Random(f"faq {seed}")
    pairs = [*_about_topics(tables, rng), *_about_goods(tables, rng)]
    for number, (question, answer) in enumerate(pairs, start=1):
        yield {"id": f"faq-{number:03d}", "pergunta": question, "resposta": answer}


def _about_topics(tables: dict, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield (question, answer) for each wording of each topic; neighboring answers differ in at least one sentence."""
    for topic in tables["topics"]:
        wordings = [(first, then) for first in topic["first"] for then in topic["then"]]
        rng.shuffle(wordings)
        questions = [topic["ask"], *(ask.format(act=topic["act"]) for ask in tables["ask"])]
        for number, question in enumerate(questions):
            yield question, " ".join(wordings[number % len(wordings)])


def _about_goods(tables: dict, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield (question, answer) for each kind of question about each product."""
    for product in tables["goods"]:
        drawn = {
            "days": rng.randint(*DELIVERY_DAYS),
            "freight": rng.randint(*FREIGHT_REAIS),
            "years": rng.randint(*SPARE_PARTS_YEARS),
        }
        for kind in tables["about"]:
            if product.get(kind.get("needs"), True):
                facts = product | drawn
                yield kind["ask"].format_map(facts), rng.choice(kind["tell"]).format_map(facts)


def write_faq(path: Path = FAQ_PATH) -> None:
    """Write the rows as JSON Lines, with gzip; the bytes have no time stamp and no name."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in make_rows())
    with replacing(path) as partial, open(partial, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as packed:
            packed.write(lines.encode())


if __name__ == "__main__":
    write_faq()
    print(f"{sum(1 for _ in make_rows())} rows written to {FAQ_PATH.name}")
