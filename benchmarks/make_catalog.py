"""Write a synthetic file as large as the real one: 2,248,619 rows, some 1.9 GB, for measuring `ftlib prepare` at full size.

What: the rows of `ftlib sample` (empty contents, repeats, entities and tags at the real rates), with descriptions as long as the
real ones (median 398 characters, mean 619, the longest 197,622) and lists of some 22 targets. Equal descriptions stay equal. Why
made up: the real texts have no licence, and nobody should need them to measure a reader.
How: python benchmarks/make_catalog.py catalogue.json (two minutes on two cores); --rows 250000 for a smaller one; .gz is packed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from ftlib.data.sample.generate import make_rows
from ftlib.runtime import hardware

REAL_ROWS = 2_248_619
CHUNK = 50_000  # rows that are drawn together: one process, one seed
# Lengths are log-normal: exp(MIDDLE) is the real median, and this SPREAD gives the real mean and 95th percentile (1,728).
MIDDLE, SPREAD, LONGEST = 5.99, 0.94, 197_622
TARGETS = 22
DIRT = re.compile(r"[^ -~]|[&<]|  ")  # what a plain text does not hold
POOL = 300  # texts that are borrowed from to lengthen others


def lines(chunk: int, rows: int) -> bytes:
    """The rows of a chunk as JSON lines."""
    found = list(make_rows(rows, seed=chunk))
    # only plain texts are lent, so that dirt stays as frequent as it is
    pool = [text for row in found[: POOL * 8] if (text := row.get("content")) and not DIRT.search(text)][:POOL]
    draw, made = random.Random(f"targets {chunk}"), []
    for row in found:
        if row.get("content"):
            row["content"] = lengthened(row["content"], pool)
        count = draw.randrange(2 * TARGETS)
        row["target_ind"] = [draw.randrange(1_300_000) for _ in range(count)]
        row["target_rel"] = [1.0] * count
        made.append(json.dumps(row, ensure_ascii=False))
    return ("\n".join(made) + "\n").encode()


def lengthened(text: str, pool: list[str]) -> str:
    """The text, and others behind it until a drawn length is reached; drawn from the text itself, so equal texts stay equal."""
    draw = random.Random(hashlib.blake2b(text.encode(), digest_size=8).digest())
    wanted, parts = min(draw.lognormvariate(MIDDLE, SPREAD), LONGEST), [text]
    if len(text) < 20:  # too short on purpose
        return text
    length = len(text)
    while length < wanted - 60:
        parts.append(draw.choice(pool))
        length += len(parts[-1]) + 1
    return " ".join(parts)[: max(int(wanted), 25)].rstrip()


def write(path: Path, rows: int) -> None:
    partial = path.with_name(f"partial-{path.name}")  # a broken-off file must not pass for a whole one
    sizes = [min(CHUNK, rows - start) for start in range(0, rows, CHUNK)]
    opened = gzip.open(partial, "wb", compresslevel=6) if path.suffix == ".gz" else open(partial, "wb")
    with opened as file, ProcessPoolExecutor(hardware.usable_cores()) as pool:
        for part in pool.map(lines, range(len(sizes)), sizes):
            file.write(part)
    partial.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=REAL_ROWS)
    args = parser.parse_args()
    write(args.out, args.rows)
    print(f"{args.out}: {args.rows:,} rows, {args.out.stat().st_size / 1e9:.2f} GB")
