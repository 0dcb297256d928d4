"""Define the systems that are compared, their rows, and the few-shot examples and passages in their prompts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ftlib.config.settings import Config, ConfigError
from ftlib.prompts.templates import Passages, Turns
from ftlib.retrieval.bm25_index import Index
from ftlib.retrieval.passages import similar_rows


def row_counts(cfg: Config, sizes: Mapping[str, int], unseen: str = "test") -> tuple[dict[str, int], list[str]]:
    """Return {'unseen': rows, 'seen': rows} to be asked, and notes on sizes that shrank.

    sizes: rows of each split. unseen: the split that the unseen rows come from; a study chooses its recipe on `validation`.
    How many rows are `unused` is known only when the data is prepared, so that asking for more of them means all.
    Raises ConfigError if the user asked for more rows than another split has.
    """
    counts, notes = {}, []
    for name, key, split in (("unseen", "rows", unseen), ("seen", "seen_rows", "train")):
        requested, available = getattr(cfg.evaluation, key), sizes[split]
        if requested > available and split != "unused" and cfg.set_by_user(f"evaluation.{key}"):
            raise ConfigError(
                f"evaluation.{key} = {requested}: allowed is at most {available}, the rows of the {split} split"
            )
        if requested > available:
            notes.append(f"evaluation.{key} is {available} instead of {requested}: the {split} split has no more")
        counts[name] = min(requested, available)
    return counts, notes


BASELINES = ("copy_title", "nearest")  # systems without a model


def choose_rows(
    cfg: Config, dataset, trained: Collection[str], unseen: str = "test"
) -> tuple[dict[str, list[dict]], list[str]]:
    """Return {'unseen': held-out rows, 'seen': rows that were trained on} and notes on sizes that shrank.

    trained: uids of the rows in the model's training steps. A training shorter than an epoch leaves most of the split
    out, and a row that no step held is as new to the model as a test row. unseen: as in `row_counts`, which also
    raises. All splits are in random order, so the first K rows are a random sample, and a smaller K is part of a larger
    one.
    """
    counts, notes = row_counts(cfg, {name: len(split) for name, split in dataset.items()}, unseen)
    rows = {"unseen": list(dataset[unseen].select(range(counts["unseen"])))}
    trained, uids = set(trained), dataset["train"]["uid"][:] if counts["seen"] else []
    row_indices = [row_idx for row_idx, uid in enumerate(uids) if uid in trained][: counts["seen"]]
    if len(row_indices) < counts["seen"]:
        notes.append(
            f"evaluation.seen_rows is {len(row_indices)} instead of {counts['seen']}: no more rows were trained on"
        )
    rows["seen"] = list(dataset["train"].select(row_indices))
    return {name: split_rows for name, split_rows in rows.items() if split_rows}, notes


def untuned(cfg: Config) -> tuple[str, ...]:
    """Return the systems in which the base model answers."""
    enabled = {"base": True, "base_one_shot": cfg.evaluation.one_shot, "base_open": cfg.with_retrieval}
    return tuple(system for system, is_enabled in enabled.items() if is_enabled)


def answering(cfg: Config) -> tuple[str, ...]:
    """Return the systems in which a model answers."""
    return (*untuned(cfg), *(("tuned", "tuned_open") if cfg.with_retrieval else ("tuned",)))


def systems_of(cfg: Config) -> tuple[str, ...]:
    """Return all systems that are compared, in the order of the tables."""
    return (*answering(cfg), *BASELINES)


def few_shot_for(system: str, dataset, rows: dict[str, list[dict]]) -> Turns:
    """Return the few-shot turns of a system: for `base_one_shot` an answered training row, else none.

    The row is not among those that are asked; its description has the median length of the remaining training rows.
    """
    if system != "base_one_shot":
        return ()
    asked = {row["uid"] for split_rows in rows.values() for row in split_rows}
    row_indices = {uid: row_idx for row_idx, uid in enumerate(dataset["train"]["uid"][:]) if uid not in asked}
    if not row_indices:
        raise ConfigError("evaluation.one_shot = true: all training rows are asked; set a smaller evaluation.seen_rows")
    lengths = list(map(len, dataset["train"]["content"][:]))
    by_length = sorted(row_indices, key=lambda uid: (lengths[row_indices[uid]], uid))
    row = dataset["train"][row_indices[by_length[len(by_length) // 2]]]
    return ((row["input_text"], row["target_text"]),)


def passages_for(cfg: Config, index: Index, rows: Mapping[str, list[dict]]) -> dict[str, Passages]:
    """Return {uid: context passages}: training rows of similar titles, best first.

    Only training rows are used, so that no held-out row is read; rows with the title or the text of the asked row are
    excluded.
    """
    asked, training = [row for split_rows in rows.values() for row in split_rows], index.dataset["train"]
    titles, contents = list(training["title"]), list(training["content"])
    found = similar_rows(index, asked, cfg.open_rows, progress="passages")
    return {
        row["uid"]: [(titles[position], contents[position]) for position in positions]
        for row, positions in zip(asked, found, strict=True)
    }
