"""The index of a large catalog: time and memory to build it, time of a query, and whether the right row is found.

What: `--rows N` distinct rows are made by `ftlib sample` and prepared; the index is built in one process and searched in
another, so that each has its own peak memory (the memory-mapped pages that a search has read are counted in). Each of
`--queries` titles is typed as it is, with a typo, in lower case, and in part; found means that its own row is
the first, or among five. Only rows whose title no other row has are asked for: of two with one title none is the right one.
Half a title fits many synthetic rows alike: `first_has_all_words` says how often the first row has every word that was typed.
How: python benchmarks/retrieval_scale.py --work FOLDER, then python benchmarks/render_results.py. Some 10 minutes and 6 GB of
disk; --rows 20000 is a trial.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from ftlib.data.text import fold
from ftlib.retrieval.bm25_index import Index, build
from ftlib.retrieval.threshold import TYPED
from ftlib.runtime import hardware, provenance
from ftlib.runtime.files import read_json, write_json

ROOT = Path(__file__).resolve().parent.parent
LOST = 1.6  # raw rows a row that is kept: the sample has the real file's dirt
WAYS = {"as it is": lambda title, rng: title} | TYPED


def make(rows: int, work: Path, queries: int) -> None:
    """The prepared catalog of `rows` rows, of what `ftlib sample` and `ftlib prepare` make, and the rows that are asked for."""
    from datasets import DatasetDict

    from ftlib.config.settings import Config
    from ftlib.data.sample.generate import write_sample
    from ftlib.pipeline.stage import Run
    from ftlib.pipeline.stages import ensure, load_dataset

    raw, prepared = work / "catalogue.jsonl", work / f"dataset-{rows}"
    if prepared.exists():
        return
    if not raw.exists():
        write_sample(raw, round(rows * LOST), seed=1)
    sizes = {
        "data.path": str(raw),
        "data.train_size": rows - 2000,
        "data.validation_size": 1000,
        "data.test_size": 1000,
    }
    run = Run(work / "run")
    ensure("dataset", Config.load("cpu", env={}, **sizes), run)
    dataset = load_dataset(run)
    print({split: len(found) for split, found in dataset.items()}, flush=True)
    titles = [" ".join(fold(title)) for title in dataset["train"]["title"]]
    counts = Counter(titles)
    single = [place for place, title in enumerate(titles) if counts[title] == 1]
    asked = [dataset["train"][place] for place in random.Random(1).sample(single, queries)]
    write_json(work / f"asked-{rows}.json", [{name: row[name] for name in ("uid", "title")} for row in asked])
    DatasetDict(dataset).save_to_disk(str(prepared))


def peak_gib() -> float:
    """Of this process alone: the maximum that getrusage knows is inherited from the process that started it."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 2**20, 2)


def built(prepared: Path, folder: Path) -> dict:
    from datasets import load_from_disk

    started = time.perf_counter()
    rows = build(load_from_disk(str(prepared)), folder)
    write_json(folder / "threshold.json", {"threshold": 0.0})
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    seconds = time.perf_counter() - started
    return {
        "catalogue_rows": rows,
        "build_s": round(seconds, 1),
        "build_peak_gib": peak_gib(),
        "index_gib": round(size / 2**30, 2),
    }


def searched(prepared: Path, folder: Path, asked: list[dict]) -> dict:
    from datasets import load_from_disk

    dataset, rng = load_from_disk(str(prepared)), random.Random(1)
    started = time.perf_counter()
    index = Index.open(dataset, folder)
    opened = time.perf_counter() - started
    rows, queries = [], len(asked)
    for way, typed in WAYS.items():
        seconds, first, among, fits = [], 0, 0, 0
        for row in asked:
            title = typed(row["title"], rng)
            started = time.perf_counter()
            sources = index.search(title, k=5)
            seconds.append(time.perf_counter() - started)
            found = [source.uid for source in sources]
            first, among = first + (found[:1] == [row["uid"]]), among + (row["uid"] in found)
            own = {*fold(sources[0].title)} if sources else set()
            fits += all(own & {*index._spellings(word)} for word in fold(title))
        p50, p95 = (round(1000 * float(np.percentile(seconds, p)), 1) for p in (50, 95))
        shares = {"first": first, "among_five": among, "first_has_all_words": fits}
        rows.append({"typed": way, "p50_ms": p50, "p95_ms": p95} | {name: n / queries for name, n in shares.items()})
    return {"open_s": round(opened, 2), "search_peak_gib": peak_gib(), "queries": queries, "rows": rows}


def in_its_own_process(*arguments: str) -> dict:
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_360_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--part", choices=("build", "search"))
    args = parser.parse_args()
    prepared, folder = args.work / f"dataset-{args.rows}", args.work / f"index-{args.rows}"
    if args.part == "build":
        print(json.dumps(built(prepared, folder)))
    elif args.part == "search":
        print(json.dumps(searched(prepared, folder, read_json(args.work / f"asked-{args.rows}.json"))))
    else:
        make(args.rows, args.work, args.queries)
        own = ["--work", str(args.work), "--rows", str(args.rows)]
        found = in_its_own_process(*own, "--part", "build")
        found |= in_its_own_process(*own, "--part", "search")
        found = (
            {"what": "Titles of synthetic rows, typed in four ways; half a title fits many of them alike"}
            | found
            | {"device": hardware.device_name()}
        )
        print(json.dumps(found, indent=1))
        if args.rows >= 1_000_000:
            write_json(ROOT / "results" / "retrieval_scale.json", found | {"versions": provenance.versions()})
