"""From a raw product file to a cleaned, deduplicated data set in three splits, with an account of every row that was lost.

What: `prepare(cfg, folder)` reads the file twice. The first pass (`ftlib.data.scan`, on all cores) cleans and filters every row
and keeps a few numbers of it (its place, hashes of title, description and both); the second fetches the rows that were chosen.
Why twice: choosing at random across the whole file needs all rows, keeping all texts needs gigabytes. Why groups: editions of one
book share a description; if one of them is trained on and another tested on, memory looks like skill.
How: `ftlib prepare --data trn.json.gz`, then `datasets.load_from_disk("runs/<profile>/dataset")`.
"""

from __future__ import annotations

import importlib
import itertools
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ftlib.config.settings import Config
from ftlib.data.cleaning import steps_of
from ftlib.data.file_search import data_path, on_sample
from ftlib.data.funnel import Funnel, Kept, clean_rows
from ftlib.data.raw_reader import DataError, Row, check_file, decoded, lines_at
from ftlib.data.scan import scan
from ftlib.data.splits import choose
from ftlib.prompts.templates import build_prompt, build_target, question_for
from ftlib.runtime import hardware
from ftlib.runtime.files import write_json

SPLITS = ("train", "validation", "test")
TOGETHER = 1_000  # rows that are cleaned at once
PERCENTILES = (1, 5, 25, 50, 75, 95, 99, 100)


def first_pass(cfg: Config, funnel: Funnel) -> Kept:
    """Read the whole file: clean, filter, deduplicate; keep hashes only. Raises DataError for a file that cannot be used."""
    check_file(data_path(cfg), cfg.data.use_damaged)
    kept = scan(cfg, data_path(cfg), funnel)
    check_complete(cfg, funnel)
    funnel.rows_in += funnel.malformed.total
    check_readable(cfg, funnel, len(kept))
    if not cfg.data.deduplicate:
        return kept
    first = np.zeros(len(kept), bool)  # of equal rows the first in the file stays
    first[np.unique(kept.pair, return_index=True)[1]] = True
    if not first.all():
        (row,) = rows_at(cfg, kept.place[np.flatnonzero(~first)[:1]])
        funnel.drop("duplicate", row)
        funnel.dropped["duplicate"] = int((~first).sum())
    return kept.at(first)


def check_complete(cfg: Config, funnel: Funnel) -> None:
    """Refuse a file that is damaged as a file, unless data.use_damaged: it stops in the middle, or its checksum differs.

    Raises DataError. It comes before any row is used: the checksum of a packed file is its last bytes.
    """
    malformed, rows = funnel.malformed, funnel.rows_in
    if malformed.cut and not malformed.incomplete:
        state = f"is damaged, its checksum differs, after {rows} rows ({malformed.cut})"
    elif malformed.cut or "truncated_line" in malformed.kinds:
        state = f"stops in the middle after {rows} rows ({malformed.cut or 'the last line is not complete'})"
    else:
        return
    if not cfg.data.use_damaged:
        raise DataError(
            f"{data_path(cfg)} {state}: download it again, or use what is there with --set data.use_damaged=true"
        )
    funnel.notes.append(f"the file {state}; data.use_damaged is set, so these rows are used")


def check_readable(cfg: Config, funnel: Funnel, kept: int) -> None:
    """Refuse a file with too many unreadable lines, or without a row that can be used. Raises DataError."""
    count, share = funnel.malformed.total, funnel.malformed.total / max(funnel.rows_in, 1)
    kinds = "; ".join(
        f"{kind}: {found['count']} (first at lines {found['first_lines']}: {funnel.malformed.why[kind]})"
        for kind, found in funnel.malformed.kinds.items()
    )
    if not kept:
        lost = ", ".join(f"{count} {step}" for step, count in funnel.dropped.items())
        what = "; ".join(part for part in (lost, kinds) if part) or "the file is empty: download it again"
        raise DataError(
            f"{data_path(cfg)}: none of {funnel.rows_in} rows can be used ({what}); a row needs title and content"
        )
    if share > cfg.data.max_malformed_share:
        enough = math.ceil(share * 1000) / 1000  # so that the advice works
        raise DataError(
            f"{data_path(cfg)}: {count} of {funnel.rows_in} lines cannot be read ({share:.1%}, allowed "
            f"{cfg.data.max_malformed_share:.1%}): {kinds}. Download the file again, or leave these lines out with "
            f"--set data.max_malformed_share={enough:g}"
        )


def rows_at(cfg: Config, places: np.ndarray) -> Iterator[Row]:
    """The cleaned rows at these places of the unpacked file, in file order. Raises DataError if it was changed meanwhile."""
    path, steps = data_path(cfg), steps_of(cfg.data.clean)
    lines = lines_at(path, sorted(places.tolist()))
    while rows := [decoded(line) for line in itertools.islice(lines, TOGETHER)]:
        if not all(row and row.title and row.content for row in rows):
            raise DataError(f"{path} was changed while it was read: run the same command again")
        clean_rows(rows, steps)
        yield from rows


def second_pass(cfg: Config, kept: Kept, chosen: dict[str, list[int]]) -> dict[str, list[dict]]:
    """Read the file again and return the chosen rows with their prompts, in the chosen order."""
    wanted = {position: (split, place) for split in SPLITS for place, position in enumerate(chosen[split])}
    rows: dict[str, list] = {split: [None] * len(chosen[split]) for split in SPLITS}
    positions, taken = np.array(sorted(wanted)), set()  # rows are remembered in the order of the file
    for position, row in zip(positions.tolist(), rows_at(cfg, kept.place[positions]), strict=True):
        if not row.uid or row.uid in taken:  # answers are kept by uid, so each row needs one of its own
            row.uid = f"{row.uid or 'row'}-{kept.index[position]}"
        taken.add(row.uid)
        split, place = wanted[position]
        rows[split][place] = dataset_row(row, cfg)
    return rows


def dataset_row(row: Row, cfg: Config) -> dict[str, str]:
    """Return one row of the data set: uid, title, question, content, input_text (the prompt), target_text (the answer)."""
    title, content = row.title.strip(), row.content.strip()
    question = question_for(row.uid, cfg.data.seed, cfg.data.questions)
    return {
        "uid": row.uid,
        "title": title,
        "question": question,
        "content": content,
        "input_text": build_prompt(title, question),
        "target_text": build_target(content),
    }


def prepare(cfg: Config, folder: Path) -> dict:
    """Make the data set in `folder` (a Hugging Face DatasetDict) and `funnel.json` beside it; returns the funnel.

    Raises DataError for a file that cannot be used or rows that are not there.
    """
    started, funnel = time.perf_counter(), Funnel()
    kept = first_pass(cfg, funnel)
    reading = time.perf_counter() - started
    # `save` needs it: half a second of imports, for which the other cores have time now
    threading.Thread(target=importlib.import_module, args=("datasets",), daemon=True).start()
    chosen, groups = choose(cfg, kept, funnel.notes)
    rows = second_pass(cfg, kept, chosen)
    chars = {"title": percentiles(kept.title_chars), "content": percentiles(kept.content_chars)}
    count = len(kept)
    del kept  # of a large file it holds 100 MB, as much as the import that follows
    save(rows, folder)
    report = {
        "file": data_path(cfg).name,
        "sample": on_sample(cfg),
        "rows_in": funnel.rows_in,
        "malformed": funnel.malformed.kinds,
        "dropped": funnel.dropped,
        "cleaned": funnel.cleaned,
        "kept": count,
        "groups": groups,
        "splits": {split: len(rows[split]) for split in SPLITS},
        "notes": funnel.notes,
        "chars": chars,
        "examples": funnel.examples,
        "seconds": round(time.perf_counter() - started, 2),
        "rows_per_s": round(funnel.rows_in / reading),
        "peak_mb": hardware.peak_memory_mb()["ram"],
    }
    write_json(folder / "funnel.json", report)
    return report


def save(rows: dict[str, list[dict]], folder: Path) -> None:
    """The splits as a Hugging Face DatasetDict."""
    from datasets import Dataset, DatasetDict, disable_progress_bars  # slow to import, and only needed here

    disable_progress_bars()
    DatasetDict({split: Dataset.from_list(found) for split, found in rows.items()}).save_to_disk(str(folder))


def percentiles(values) -> dict[str, float]:
    """{'mean': …, 'p50': …} of any numbers; {} of none."""
    if not len(values):
        return {}
    found = np.percentile(np.asarray(values), PERCENTILES)
    named = {f"p{p}": round(float(v), 1) for p, v in zip(PERCENTILES, found, strict=True)}
    return {"mean": round(float(np.mean(values)), 1)} | named
