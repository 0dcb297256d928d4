"""Define the systems that are compared, the rows they are asked, and what stands in their prompts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ftlib.config.settings import Config, ConfigError
from ftlib.data.cleaning import normalize
from ftlib.prompts.templates import Passages, Turns
from ftlib.retrieval.bm25_index import Index


def row_counts(cfg: Config, sizes: Mapping[str, int], unseen: str = "test") -> tuple[dict[str, int], list[str]]:
    """Return {'unseen': rows, 'seen': rows} to be asked, and notes on sizes that shrank.

    sizes: rows of each split. unseen: the split that the unseen rows come from; a study chooses its recipe on `validation`.
    Raises ConfigError if the user asked for more rows than a split has.
    """
    counts, notes = {}, []
    for name, key, split in (("unseen", "rows", unseen), ("seen", "seen_rows", "train")):
        wanted, there = getattr(cfg.evaluation, key), sizes[split]
        if wanted > there and cfg.set_by_user(f"evaluation.{key}"):
            raise ConfigError(f"evaluation.{key} = {wanted}: allowed is at most {there}, the rows of the {split} split")
        if wanted > there:
            notes.append(f"evaluation.{key} is {there} instead of {wanted}: the {split} split has no more")
        counts[name] = min(wanted, there)
    return counts, notes


def choose_rows(
    cfg: Config, dataset, trained: Collection[str], unseen: str = "test"
) -> tuple[dict[str, list[dict]], list[str]]:
    """Return {'unseen': held-out rows, 'seen': rows that were trained on} and notes on sizes that shrank.

    trained: uids of the rows in the model's training steps. A training shorter than an epoch leaves most of the split out, and
    a row that no step held is as new to the model as a test row. unseen: as in `row_counts`, which also raises.
    All splits lie in random order, so the first K rows are a random sample, and a smaller K is part of a larger one.
    """
    counts, notes = row_counts(cfg, {name: len(split) for name, split in dataset.items()}, unseen)
    rows = {"unseen": list(dataset[unseen].select(range(counts["unseen"])))}
    trained, uids = set(trained), dataset["train"]["uid"] if counts["seen"] else []
    places = [place for place, uid in enumerate(uids) if uid in trained][: counts["seen"]]
    if len(places) < counts["seen"]:
        notes.append(f"evaluation.seen_rows is {len(places)} instead of {counts['seen']}: no more rows were trained on")
    rows["seen"] = list(dataset["train"].select(places))
    return {name: found for name, found in rows.items() if found}, notes


def untuned(cfg: Config) -> tuple[str, ...]:
    """Return the systems in which the base model answers."""
    wanted = {"base": True, "base_one_shot": cfg.evaluation.one_shot, "base_open": cfg.evaluation.open_book}
    return tuple(system for system, asked in wanted.items() if asked)


def answering(cfg: Config) -> tuple[str, ...]:
    """Return the systems in which a model answers."""
    return (*untuned(cfg), *(("tuned", "tuned_open") if cfg.evaluation.open_book else ("tuned",)))


def systems_of(cfg: Config) -> tuple[str, ...]:
    """Return all systems that are compared, in the order of the tables."""
    return (*answering(cfg), "copy_title", "nearest")


def few_shot_for(system: str, dataset, rows: dict[str, list[dict]]) -> Turns:
    """Return the few-shot turns of a system: for `base_one_shot` an answered training row, else none.

    The row is none of those that are asked, and the one whose description has the median length of all such training rows.
    """
    if system != "base_one_shot":
        return ()
    asked = {row["uid"] for found in rows.values() for row in found}
    places = {uid: place for place, uid in enumerate(dataset["train"]["uid"]) if uid not in asked}
    if not places:
        raise ConfigError("evaluation.one_shot = true: all training rows are asked; set a smaller evaluation.seen_rows")
    lengths = list(map(len, dataset["train"]["content"]))
    by_length = sorted(places, key=lambda uid: (lengths[places[uid]], uid))
    row = dataset["train"][places[by_length[len(by_length) // 2]]]
    return ((row["input_text"], row["target_text"]),)


def passages_for(system: str, cfg: Config, index: Index | None, rows: dict[str, list[dict]]) -> dict[str, Passages]:
    """Return {uid: context passages}: training rows of similar titles; {} for a system without retrieval.

    Only training rows, so that no held-out row is read; and neither the row that is asked nor one with its title or its text.
    """
    if not system.endswith("_open"):
        return {}
    found: dict[str, Passages] = {}
    for row in (row for asked in rows.values() for row in asked):
        own = {normalize(row["title"]), normalize(row["content"])}
        near = index.search(row["title"], k=cfg.evaluation.open_rows + 5, splits=("train",), without=(row["uid"],))
        others = [(s.title, s.content) for s in near if not own & {normalize(s.title), normalize(s.content)}]
        found[row["uid"]] = others[: cfg.evaluation.open_rows]
    return found
