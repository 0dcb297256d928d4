"""From a raw product file to a cleaned, deduplicated data set in three splits, with an account of every row that was lost.

What: `prepare(cfg, folder)` reads the file twice. The first pass cleans and filters every row and keeps three numbers of it
(hash of the title, of the description, of both); the second fetches the rows that were chosen. Why twice: choosing at random
across the whole file needs all rows, keeping all texts needs gigabytes. Why groups: editions of one book share a description;
if one of them is trained on and another tested on, memory looks like skill.
How: `ftlib prepare --data trn.json.gz`, then `datasets.load_from_disk("runs/<profile>/dataset")`.
"""

from __future__ import annotations

import hashlib
import os
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ftlib import hardware
from ftlib.cleaning import clean_text, looks_adult, normalise, steps_of
from ftlib.config import Config
from ftlib.prompts import build_prompt, build_target, question_for
from ftlib.reader import DataError, Malformed, Row, read_rows
from ftlib.runs import write_json
from ftlib.sample import SAMPLE_PATH

SPLITS = ("train", "validation", "test")
FILE_NAMES = ("trn.json", "trn.json.gz", "LF-Amazon-1.3M.raw.zip")  # as the file is handed around
EXAMPLE_CHARS = 300  # of a lost row, kept in the funnel
PERCENTILES = (1, 5, 25, 50, 75, 95, 99, 100)


@dataclass
class Funnel:
    """How many rows came in, what each step took away (with one example) and how many were changed by cleaning."""

    rows_in: int = 0
    malformed: Malformed = field(default_factory=Malformed)
    dropped: dict[str, int] = field(default_factory=dict)
    cleaned: dict[str, int] = field(default_factory=dict)
    examples: dict[str, dict] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, step: str, row: Row) -> None:
        self.dropped[step] = self.dropped.get(step, 0) + 1
        title, content = (row.title or "")[:EXAMPLE_CHARS], (row.content or "")[:EXAMPLE_CHARS]
        self.examples.setdefault(step, {"uid": row.uid, "title": title, "content": content})

    def change(self, step: str, before: str, after: str) -> None:
        self.cleaned[step] = self.cleaned.get(step, 0) + 1
        if step not in self.examples:
            start = max(0, len(os.path.commonprefix([before, after])) - 40)  # show where it begins to differ
            window = slice(start, start + EXAMPLE_CHARS)
            self.examples[step] = {"before": before[window], "after": after[window]}


def usual_places() -> list[Path]:
    """Where `data.path: auto` looks: data/ here and in the repository, then Colab's disk, then Google Drive."""
    folders = [
        Path("data"),
        Path(__file__).resolve().parent.parent / "data",
        Path("/content"),
        Path("/content/drive/MyDrive"),
    ]
    return [folder / name for folder in folders for name in FILE_NAMES]


def data_path(cfg: Config) -> Path:
    """The file that `data.path` names. 'sample': the made-up catalogue in the package; 'auto': the real file, else the sample."""
    if cfg.data.path == "auto":
        return next((path for path in usual_places() if path.is_file()), SAMPLE_PATH)
    return SAMPLE_PATH if cfg.data.path == "sample" else Path(cfg.data.path).expanduser()


def on_sample(cfg: Config) -> bool:
    """True if the rows are the made-up ones, so that every result can say so."""
    return data_path(cfg) == SAMPLE_PATH


def cleaned_rows(cfg: Config, funnel: Funnel) -> Iterator[tuple[int, Row]]:
    """Yield (number among the readable rows, cleaned row) for every row that passes the filters, streaming.

    Duplicates are still in; `first_pass` takes them out, because that needs memory of what came before.
    """
    steps = steps_of(cfg.data.clean)
    for index, row in enumerate(read_rows(data_path(cfg), funnel.malformed)):
        reason = clean_row(row, steps, funnel.change) or why_dropped(row, cfg)
        if reason:
            funnel.drop(reason, row)
        else:
            yield index, row
        funnel.rows_in = index + 1  # the readable ones; the malformed are added at the end


def clean_row(row: Row, steps: list, changed: Callable[[str, str, str], None]) -> str | None:
    """Clean a row in place, telling `changed` about each step that did something; returns 'missing' for a row without text."""
    if not row.title or not row.content:
        return "missing"
    row.title, row.content = (clean_text(text, steps, changed) for text in (row.title, row.content))
    return None


def why_dropped(row: Row, cfg: Config) -> str | None:
    """The filter that a cleaned row fails, or None."""
    title, content = row.title.strip(), row.content.strip()
    if not title or not content:
        return "missing"
    if len(title) < cfg.data.min_title_chars:
        return "short_title"
    if len(content) < cfg.data.min_content_chars:
        return "short_content"
    if cfg.data.clean.same_as_title and normalise(title) == normalise(content):
        return "same_as_title"
    if cfg.data.drop_adult and looks_adult(title, content):
        return "adult"
    return None


@dataclass
class Kept:
    """What the first pass remembers of each kept row: its number in the file and three 64-bit hashes, 32 bytes in all."""

    index: array = field(default_factory=lambda: array("q"))
    title: array = field(default_factory=lambda: array("q"))
    content: array = field(default_factory=lambda: array("q"))
    pair: array = field(default_factory=lambda: array("q"))
    title_chars: array = field(default_factory=lambda: array("i"))
    content_chars: array = field(default_factory=lambda: array("i"))

    def __len__(self) -> int:
        return len(self.index)


def hash64(text: str) -> int:
    """A signed 64-bit hash that is the same on every machine (Python's own `hash` is not)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def first_pass(cfg: Config, funnel: Funnel) -> Kept:
    """Stream the whole file: clean, filter, deduplicate; keep hashes only. Raises DataError above max_malformed_share."""
    kept, seen = Kept(), set()
    for index, row in tqdm(cleaned_rows(cfg, funnel), desc="reading", unit=" rows", disable=None):
        # A title of signs only ("???") has no words to compare; it stands for itself.
        title, content = normalise(row.title) or row.title, normalise(row.content) or row.content
        pair = hash64(f"{title}\0{content}")
        if cfg.data.deduplicate:
            if pair in seen:
                funnel.drop("duplicate", row)
                continue
            seen.add(pair)
        kept.index.append(index)
        kept.title.append(hash64(title))
        kept.content.append(hash64(content))
        kept.pair.append(pair)
        kept.title_chars.append(len(row.title))
        kept.content_chars.append(len(row.content))
    funnel.rows_in += funnel.malformed.total
    check_readable(cfg, funnel, len(kept))
    return kept


def check_readable(cfg: Config, funnel: Funnel, kept: int) -> None:
    """Refuse a file with too many unreadable lines, or without a row that can be used. Raises DataError."""
    share = funnel.malformed.total / max(funnel.rows_in, 1)
    if share > cfg.data.max_malformed_share:
        kinds = "; ".join(
            f"{kind}: {found['count']} (first at lines {found['first_lines']}: {funnel.malformed.why[kind]})"
            for kind, found in funnel.malformed.kinds.items()
        )
        raise DataError(
            f"{data_path(cfg)}: {funnel.malformed.total} of {funnel.rows_in} lines cannot be read ({share:.1%}, allowed "
            f"{cfg.data.max_malformed_share:.1%}): {kinds}. Download the file again, or set data.max_malformed_share"
        )
    if not kept:
        lost = ", ".join(f"{count} {step}" for step, count in funnel.dropped.items()) or "the file is empty"
        raise DataError(
            f"{data_path(cfg)}: none of {funnel.rows_in} rows can be used ({lost}); a row needs title and content"
        )


def group_rows(kept: Kept) -> np.ndarray:
    """Group numbers: rows that share a title or a description, directly or through others, get the same one (union-find).

    Returns int64 of shape (rows,): the number of the group's first row.
    """
    parent = list(range(len(kept)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for hashes in (kept.title, kept.content):
        first_with: dict[int, int] = {}
        for row, key in enumerate(hashes):
            a, b = root(row), root(first_with.setdefault(key, row))
            parent[max(a, b)] = min(a, b)
    return np.array([root(row) for row in range(len(kept))], dtype=np.int64)


def order(seed: int, keys) -> list[int]:
    """A random order that depends on the seed and the keys alone: positions sorted by a hash of (seed, key)."""
    return sorted(range(len(keys)), key=lambda i: hash64(f"{seed}:{keys[i]}"))


def held_out_sizes(cfg: Config, groups: int, notes: list[str]) -> tuple[int, int]:
    """(test, validation) rows, one a group. A size that the user set must fit; else it shrinks to a tenth of the groups.

    Raises DataError with what there is.
    """
    sizes = []
    for split in ("test", "validation"):
        wanted = cfg.get(f"data.{split}_size")
        size = wanted if cfg.set_by_user(f"data.{split}_size") else min(wanted, max(groups // 10, 1))
        if size < wanted:
            notes.append(f"data.{split}_size is {size} instead of {wanted}: the data has {groups} groups")
        sizes.append(size)
    if groups <= sum(sizes):
        raise DataError(
            f"data.test_size = {sizes[0]} and data.validation_size = {sizes[1]}: the data has {groups} groups of usable rows, "
            "and training needs some of them; ask for less, or give a larger file with --data"
        )
    return sizes[0], sizes[1]


def choose(cfg: Config, kept: Kept, notes: list[str]) -> tuple[dict[str, list[int]], int]:
    """Positions in `kept` for each split, and the number of groups. Random across the whole file, the same on every machine.

    Raises DataError if a size that the user set does not fit.
    """
    groups = group_rows(kept) if cfg.data.split == "group" else np.arange(len(kept))
    firsts = np.unique(groups)  # each group's first row stands for it
    n_test, n_validation = held_out_sizes(cfg, len(firsts), notes)
    shuffled = firsts[order(cfg.data.seed, [kept.pair[row] for row in firsts])]
    test, validation = shuffled[:n_test], shuffled[n_test : n_test + n_validation]
    rest = np.flatnonzero(~np.isin(groups, groups[shuffled[: n_test + n_validation]]))
    wanted = cfg.data.train_size
    if len(rest) < wanted:
        there = f"{len(rest)} rows are left for training once the groups of validation and test are set aside"
        if cfg.set_by_user("data.train_size"):
            raise DataError(f"data.train_size = {wanted}: {there}; ask for less, or give a larger file with --data")
        notes.append(f"data.train_size is {len(rest)} instead of {wanted}: {there}")
    train = rest[order(cfg.data.seed, [kept.pair[row] for row in rest])][:wanted]
    return {"train": train.tolist(), "validation": validation.tolist(), "test": test.tolist()}, len(firsts)


def second_pass(cfg: Config, kept: Kept, chosen: dict[str, list[int]]) -> dict[str, list[dict]]:
    """Read the file again and return the chosen rows with their prompts, in the chosen order."""
    wanted = {kept.index[position]: (split, place) for split in SPLITS for place, position in enumerate(chosen[split])}
    rows: dict[str, list] = {split: [None] * len(chosen[split]) for split in SPLITS}
    steps, last, taken = steps_of(cfg.data.clean), max(wanted), set()
    for index, row in enumerate(read_rows(data_path(cfg), Malformed())):
        if index in wanted:
            clean_row(row, steps, lambda *_: None)
            split, place = wanted[index]
            if not row.uid or row.uid in taken:  # answers are kept by uid, so each row needs one of its own
                row.uid = f"{row.uid or 'row'}-{index}"
            taken.add(row.uid)
            rows[split][place] = dataset_row(row, cfg)
        if index >= last:
            break
    return rows


def dataset_row(row: Row, cfg: Config) -> dict[str, str]:
    """One row of the data set: uid, title, content, input_text (the prompt) and target_text (the answer)."""
    title, content = row.title.strip(), row.content.strip()
    question = question_for(row.uid, cfg.data.seed, cfg.data.questions)
    return {
        "uid": row.uid,
        "title": title,
        "content": content,
        "input_text": build_prompt(title, question),
        "target_text": build_target(content),
    }


def prepare(cfg: Config, folder: Path) -> dict:
    """Make the data set in `folder` (a Hugging Face DatasetDict) and `funnel.json` beside it; returns the funnel.

    Raises DataError for a file that cannot be used or rows that are not there.
    """
    from datasets import Dataset, DatasetDict, disable_progress_bars  # slow to import, and only needed here

    disable_progress_bars()
    started, funnel = time.perf_counter(), Funnel()
    kept = first_pass(cfg, funnel)
    reading = time.perf_counter() - started
    chosen, groups = choose(cfg, kept, funnel.notes)
    rows = second_pass(cfg, kept, chosen)
    DatasetDict({split: Dataset.from_list(rows[split]) for split in SPLITS}).save_to_disk(str(folder))
    report = {
        "file": data_path(cfg).name,
        "sample": on_sample(cfg),
        "rows_in": funnel.rows_in,
        "malformed": funnel.malformed.kinds,
        "dropped": funnel.dropped,
        "cleaned": funnel.cleaned,
        "kept": len(kept),
        "groups": groups,
        "splits": {split: len(rows[split]) for split in SPLITS},
        "notes": funnel.notes,
        "chars": {"title": percentiles(kept.title_chars), "content": percentiles(kept.content_chars)},
        "examples": funnel.examples,
        "seconds": round(time.perf_counter() - started, 2),
        "rows_per_s": round(funnel.rows_in / reading),
        "peak_mb": hardware.peak_memory_mb()["ram"],
    }
    write_json(folder / "funnel.json", report)
    return report


def percentiles(values) -> dict[str, float]:
    """{'mean': …, 'p50': …} of any numbers; {} of none."""
    if not len(values):
        return {}
    found = np.percentile(np.asarray(values), PERCENTILES)
    named = {f"p{p}": round(float(v), 1) for p, v in zip(PERCENTILES, found, strict=True)}
    return {"mean": round(float(np.mean(values)), 1)} | named
