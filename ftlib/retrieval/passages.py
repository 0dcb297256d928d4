"""Choose the passages in prompts: rows of the training split with a similar title.

Training prompts with passages teach a model when to quote them (retrieval-augmented fine-tuning, RAFT: Zhang et al. 2024,
arXiv 2403.10131); evaluation chooses passages in the same way. A passage is a training row, so no held-out text is ever shown,
and it never has the title or the description of the row itself. Near-duplicates may be passages: a catalog has them.
"""

from __future__ import annotations

import functools
import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.data import text
from ftlib.data.cleaning import normalize
from ftlib.data.funnel import hashes64
from ftlib.prompts.templates import Passages
from ftlib.retrieval import bm25_index
from ftlib.retrieval.bm25_index import Index
from ftlib.runtime import distributed
from ftlib.runtime.files import file_fingerprint, fingerprint, read_json, write_json
from ftlib.runtime.processes import in_processes

SHARE = 1000  # rows a process should search at least
CHUNKS = 8  # per process


def similar_rows(
    index: Index,
    rows: Sequence[Mapping],
    k: int,
    excluded: Mapping[str, Collection[int]] | None = None,
    progress: str | None = None,
) -> list[list[int]]:
    """Find the k most similar training rows of each row, on all cores.

    Args:
        index: of the data set.
        rows: with uid, title and content.
        k: rows to find; fewer are returned only if fewer share a word with the title.
        excluded: {uid: positions in the training split that are no results}, beyond rows with the same normalized title or
            description.
        progress: label of a progress bar, None for no bar.

    Returns:
        Positions in the training split, best first, for each row.
    """
    own = _same_text(index.dataset["train"], rows)
    queries = [(row["title"], own[row["uid"]] | {*(excluded or {}).get(row["uid"], ())}) for row in rows]
    if index.folder is None:
        return _search(index, k, queries)
    work = functools.partial(_search_in, index.dataset, index.folder, k)
    return in_processes(work, queries, SHARE, chunks=CHUNKS, progress=progress)


def _search_in(dataset, folder: Path, k: int, queries: list[tuple[str, set[int]]]) -> list[list[int]]:
    return _search(_opened(dataset, folder), k, queries)


_open_indexes: dict[Path, Index] = {}  # of a worker process, which has one


def _opened(dataset, folder: Path) -> Index:
    if folder not in _open_indexes:
        _open_indexes.clear()
        _open_indexes[folder] = Index.open(dataset, folder)
    return _open_indexes[folder]


def _search(index: Index, k: int, queries: list[tuple[str, set[int]]]) -> list[list[int]]:
    start = index.starts["train"]
    return [
        [row_idx for _, row_idx in index.positions(title, k, ("train",), [start + row_idx for row_idx in excluded])]
        for title, excluded in queries
    ]


def _same_text(training, rows: Sequence[Mapping]) -> dict[str, set[int]]:
    """Return {uid: positions of the training rows with its normalized title or description}."""
    positions: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row_idx, row in enumerate(training):
        for column, key in _text_keys(row):
            positions[column, key].add(row_idx)
    empty: set[int] = set()
    return {row["uid"]: empty.union(*(positions.get(key, empty) for key in _text_keys(row))) for row in rows}


def _text_keys(row: Mapping) -> list[tuple[str, str]]:
    # the key of a text without letters or digits ("???") is empty; such texts are compared as they are
    return [(column, normalize(row[column]) or row[column]) for column in ("title", "content")]


def training_passages(cfg: Config, dataset, folder: Path, cache: Path) -> dict[str, Passages]:
    """Choose the passages of the training and validation prompts; {} without `train.context_rows`.

    A share of `train.context_share` of the prompts gets passages, chosen by a hash of seed and uid, so that the same rows have
    them in every epoch and on every machine.

    Args:
        cfg: the configuration.
        dataset: the DatasetDict.
        folder: of its index.
        cache: folder in which the rows that were found are kept for the next training.

    Returns:
        {uid: passages, best first}; a row without passages is missing.
    """
    t = cfg.train
    if not t.context_rows:
        return {}
    splits = {"train": dataset["train"], "validation": dataset["validation"]}
    splits["validation"] = splits["validation"].select(range(min(t.eval_rows, len(splits["validation"]))))
    key = fingerprint(
        {
            "rows": [getattr(rows, "_fingerprint", None) for rows in dataset.values()],
            "settings": [t.context_rows, t.context_near, t.eval_rows],
            "code": [file_fingerprint(Path(str(module.__file__))) for module in (bm25_index, text)],
            "self": file_fingerprint(Path(__file__)),
        }
    )
    path = cache / f"{key}.json"
    if distributed.first() and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, _found(cfg, Index.open(dataset, folder), splits))
    distributed.wait()
    found, training = read_json(path), dataset["train"]
    titles, contents = list(training["title"]), list(training["content"])
    passages: dict[str, Passages] = {}
    for split, rows in splits.items():
        own = _same_text(training, rows) if t.context_distractors else {}
        for uid, positions in zip(rows["uid"], found[split], strict=True):
            if not positions or drawn(t.seed, uid) >= t.context_share:
                continue
            if t.context_distractors:
                positions = _with_distractors(
                    positions, own[uid], len(titles), t.context_distractors, f"{t.seed}:{uid}"
                )
            passages[uid] = [(titles[position], contents[position]) for position in positions]
    return passages


def _found(cfg: Config, index: Index, splits: Mapping) -> dict[str, list[list[int]]]:
    training, excluded = index.dataset["train"], {}
    if not cfg.train.context_near:
        from ftlib.data.near_duplicates import pairs

        neighbors: dict[str, set[int]] = defaultdict(set)
        uids = list(training["uid"])
        for a, b in pairs(list(training["content"]), list(training["title"])).tolist():
            neighbors[uids[a]].add(b)
            neighbors[uids[b]].add(a)
        excluded = dict(neighbors)
    return {
        split: similar_rows(index, list(rows), cfg.train.context_rows, excluded, f"passages: {split}")
        for split, rows in splits.items()
    }


def drawn(seed: int, uid: str) -> float:
    """Return a number in [0, 1) that depends on seed and uid only."""
    return int(hashes64([f"passages:{seed}:{uid}".encode()])[0] >> 11 & (2**53 - 1)) / 2**53


def _with_distractors(positions: list[int], own: set[int], rows: int, count: int, seed: str) -> list[int]:
    """Insert `count` random rows at random ranks: passages that have nothing to do with the title.

    own: positions with the title or the description of the row itself.
    """
    rng, chosen = random.Random(seed), list(positions)
    for _ in range(min(count, rows - len(own.union(chosen)))):
        while (position := rng.randrange(rows)) in chosen or position in own:
            pass
        chosen.insert(rng.randrange(len(chosen) + 1), position)
    return chosen
