"""Measure what the training changed: base, tuned and two baselines on the same rows, every mean with its interval.

What: `evaluate(...)` lets both models answer `unseen` titles (the test split) and `seen` ones (a sample of the training
split: does the model return the description it learned?), scores the references' NLL, and writes `answers.jsonl` (the source
of every table), `metrics.json`, the side-by-side CSVs and `report.html`. Why baselines: copying the title scores a higher
ROUGE-L than many a tuned model, and a metric without a baseline cannot tell. Why intervals: on 12 rows, as in the
reference, a difference of 0.05 ROUGE is noise.
How: `ftlib evaluate`, or `ftlib evaluate --rows 12` for a quick look with its honest interval.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ftlib.config.settings import Config, ConfigError
from ftlib.data.cleaning import normalise
from ftlib.evaluation import embedding_similarity
from ftlib.evaluation.bootstrap import (
    mean_interval,
    median_interval,
    nearer_median,
    paired_difference,
    paired_median_difference,
    paired_ratio_difference,
    paired_share_difference,
    ratio_interval,
    share_interval,
)
from ftlib.evaluation.embedding_similarity import Cosine
from ftlib.evaluation.metrics import BETTER, SHARES, CopiedRun, Grounding, Shape, score_rows
from ftlib.generation.batched import Answer, answer_prompts
from ftlib.models.base_models import fetch
from ftlib.models.likelihood import answer_losses, prefix_tokens
from ftlib.models.loading import load_plain, load_tokenizer
from ftlib.pipeline.run_admin import (
    DEFINITIONS,
    TRAINED_UIDS,
    fingerprint,
    read_json,
    read_jsonl,
    write_json,
    write_text,
)
from ftlib.prompts.encoding import IGNORED, Entries, Turns, encode_answer, encode_rows, open_prompt
from ftlib.retrieval.bm25_index import Index, Nearest
from ftlib.runtime import distributed, hardware

PAIRS = (
    ("tuned", "base"),
    ("tuned", "base_one_shot"),
    ("tuned", "copy_title"),
    ("tuned", "nearest"),
    ("base_open", "base"),
    ("tuned_open", "tuned"),
    ("tuned_open", "base_open"),
    ("tuned_open", "nearest"),
)
ANSWERS, KEYS, ROWS = "answers.jsonl", "answers.keys.json", "rows.json"
MEDIANS = ("length_ratio",)  # shown as medians: one answer that loops decides the mean


@dataclass(frozen=True)
class Record:
    """One line of answers.jsonl. Baselines generate nothing and score nothing: their counts are None.

    A row that was only scored, not answered in words (see `model_answers`), has a likelihood and no text. Of `nll_sum` and
    `nll_tokens`, the parts that the prefix and the end token take stand beside them (None in files from before).
    """

    uid: str
    split: str
    system: str
    text: str | None
    n_tokens: int | None = None
    stopped: bool | None = None
    nll_sum: float | None = None
    nll_tokens: int | None = None
    nll_prefix_sum: float | None = None
    nll_prefix_tokens: int | None = None
    nll_end_sum: float | None = None
    nll_end_tokens: int | None = None


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


def trained_uids(adapter: Path) -> list[str]:
    """Return the uids of the rows that an adapter stage was trained on, in the order of the split."""
    return (adapter / TRAINED_UIDS).read_text(encoding="utf-8").split("\n")[:-1]


def untuned(cfg: Config) -> tuple[str, ...]:
    """The systems in which the model as it came answers."""
    wanted = {"base": True, "base_one_shot": cfg.evaluation.one_shot, "base_open": cfg.evaluation.open_book}
    return tuple(system for system, asked in wanted.items() if asked)


def answering(cfg: Config) -> tuple[str, ...]:
    """The systems in which a model answers."""
    return (*untuned(cfg), *(("tuned", "tuned_open") if cfg.evaluation.open_book else ("tuned",)))


def systems_of(cfg: Config) -> tuple[str, ...]:
    """All systems that are compared, in the order of the tables."""
    return (*answering(cfg), "copy_title", "nearest")


def shown_before(system: str, dataset, rows: dict[str, list[dict]]) -> Turns:
    """The turns that a system is shown before each question: for `base_one_shot` an answered training row, else none.

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


def entries_for(system: str, cfg: Config, index: Index | None, rows: dict[str, list[dict]]) -> dict[str, Entries]:
    """{uid: training rows of similar titles} that a system is shown with each question; {} for a closed book.

    Only training rows, so that no held-out row is read; and neither the row that is asked nor one with its title or its text.
    """
    if not system.endswith("_open"):
        return {}
    found = {}
    for row in (row for asked in rows.values() for row in asked):
        own = {normalise(row["title"]), normalise(row["content"])}
        near = index.search(row["title"], k=cfg.evaluation.open_rows + 5, splits=("train",), without=(row["uid"],))
        others = [(s.title, s.content) for s in near if not own & {normalise(s.title), normalise(s.content)}]
        found[row["uid"]] = others[: cfg.evaluation.open_rows]
    return found


def read_answers(folder: Path, keys: dict[str, str]) -> dict[tuple[str, str, str], Record]:
    """Answers that still count: those of systems whose key (model, data, settings) is unchanged. {(split, system, uid): record}.

    A last line that an interruption cut is left out; the file is rewritten without what no longer counts.
    """
    gather_answers(folder)
    path, key_path = folder / ANSWERS, folder / KEYS
    old_keys = read_json(key_path) if key_path.exists() else {}
    records = [Record(**line) for line in read_jsonl(path)]
    records = [r for r in records if old_keys.get(r.system) == keys.get(r.system)]
    write_text(path, "".join(_line(r) for r in records))
    write_json(key_path, keys)
    return {(r.split, r.system, r.uid): r for r in records}


def gather_answers(folder: Path) -> None:
    """Put what other processes answered into answers.jsonl, also what they left behind when they were interrupted."""
    for part in sorted(folder.glob("answers.[0-9]*.jsonl")):
        with open(folder / ANSWERS, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in read_jsonl(part))
        part.unlink()


def _line(record: Record) -> str:
    return json.dumps(asdict(record), ensure_ascii=False) + "\n"


def answer_keys(cfg: Config, data_key: str, merged_key: str, dtype: str) -> dict[str, str]:
    """What each system's answers depend on; a change in it makes them void."""
    model = [data_key, cfg.model.name, dtype, cfg.train.max_length, cfg.generation.model_dump(exclude={"batch_tokens"})]
    keys = {system: model if system in untuned(cfg) else [*model, merged_key] for system in answering(cfg)}
    keys |= {system: [*key, cfg.evaluation.open_rows] for system, key in keys.items() if system.endswith("_open")}
    keys |= {"copy_title": [data_key], "nearest": [data_key]}
    return {system: fingerprint(value) for system, value in keys.items()}


def model_answers(
    load: Callable,
    system: str,
    cfg: Config,
    rows: dict[str, list[dict]],
    done: dict,
    folder: Path,
    worded: int | None = None,
    shown: Turns = (),
    entries: Mapping[str, Entries] | None = None,
):
    """Let one model score and answer the rows that are not done yet, appending to answers.jsonl batch by batch.

    load: gives the model; called only if something is missing. worded: how many rows of each split are answered in words
    (None: all of them); the others get their likelihood only. shown: turns before each question. entries: rows in its prompt.
    """
    in_words = {(s, row["uid"]) for s, found in rows.items() for row in found[:worded]}

    def missing(split: str, uid: str) -> bool:
        record = done.get((split, system, uid))
        return record is None or (record.text is None and (split, uid) in in_words)

    todo = [(s, row) for s, found in rows.items() for row in found if missing(s, row["uid"])]
    if not todo:
        print(f"{system}: all {sum(map(len, rows.values()))} answers are there already", flush=True)
        return
    todo = distributed.mine(todo)  # with several processes each answers its share, into a file of its own
    own_path = folder / (ANSWERS if distributed.first() else f"answers.{distributed.rank()}.jsonl")
    tokenizer, model = load_tokenizer(cfg.model.name), load()
    examples = encode_rows(tokenizer, [row for _, row in todo], cfg.train.as_measured(), shown, entries)
    longest = max(cfg.train.max_length, *(len(example["input_ids"]) for example in examples))
    losses = answer_losses(model, examples, tokenizer.pad_token_id, longest, progress=f"{system}: likelihood")
    scored = [
        Record(row["uid"], split, system, None, **likelihood_parts(tokenizer, example, each))
        for (split, row), example, each in zip(todo, examples, losses, strict=True)
    ]

    def keep(records: list[Record]) -> None:
        with open(own_path, "a", encoding="utf-8") as file:
            for record in records:
                done[record.split, system, record.uid] = record
                file.write(_line(record))

    asked = [place for place, record in enumerate(scored) if (record.split, record.uid) in in_words]
    keep([record for record in scored if (record.split, record.uid) not in in_words])

    def on_batch(positions: list[int], answers: list[Answer]) -> None:
        given = [(scored[asked[position]], answer) for position, answer in zip(positions, answers, strict=True)]
        keep([replace(r, text=a.text, n_tokens=a.n_tokens, stopped=a.stopped) for r, a in given])

    asked_rows = [todo[place][1] for place in asked]
    prompts = [open_prompt(row["input_text"], (entries or {}).get(row["uid"], ())) for row in asked_rows]
    answer_prompts(model, tokenizer, prompts, cfg.generation, f"{system}: answers", on_batch, shown)
    del model
    gc.collect()


def baseline_records(rows: dict[str, list[dict]], dataset) -> list[Record]:
    """The two systems that learn nothing: the title itself, and the description of the nearest training title."""
    nearest, records = Nearest(list(dataset["train"]["title"]), list(dataset["train"]["content"])), []
    for split, found in rows.items():
        titles = [row["title"] for row in found]
        for system, texts in (("copy_title", titles), ("nearest", nearest.answers(titles))):
            records += [Record(row["uid"], split, system, text) for row, text in zip(found, texts, strict=True)]
    return records


def baseline_answers(rows: dict[str, list[dict]], dataset, done: dict, folder: Path) -> None:
    """`baseline_records` into answers.jsonl, as far as they are not there."""
    with open(folder / ANSWERS, "a", encoding="utf-8") as file:
        for record in baseline_records(rows, dataset):
            if (record.split, record.system, record.uid) not in done:
                done[record.split, record.system, record.uid] = record
                file.write(_line(record))


def row_values(
    rows: list[dict], records: list[Record], copied: CopiedRun, cosine: Cosine | None = None
) -> dict[str, list[float]]:
    """Every text metric of every row for one system. A baseline has neither `format` nor `stops`: it does not generate."""
    generated = records[0].stopped is not None
    values = score_rows(
        [r.text for r in records],
        [row["content"] for row in rows],
        [row["title"] for row in rows],
        [r.stopped for r in records] if generated else None,
        copied,
        cosine,
    )
    return values if generated else {name: value for name, value in values.items() if name not in ("format", "stops")}


def likelihood_parts(tokenizer, example, losses) -> dict[str, float | int]:
    """The `nll_*` fields of a record: nats and number of all scored tokens, of those of the prefix, and of the end token."""
    prefix = prefix_tokens(tokenizer, [token for token in example["labels"] if token != IGNORED])
    end = 0 if example["cut"] else 1  # an answer that was cut has no end
    prefix = min(prefix, len(losses) - end)
    parts = {"nll": losses, "nll_prefix": losses[:prefix], "nll_end": losses[len(losses) - end :]}
    sums = {f"{name}_sum": float(each.double().sum()) for name, each in parts.items()}
    return sums | {f"{name}_tokens": len(each) for name, each in parts.items()}


def summarise(values: dict[str, dict], likelihoods: dict[str, dict], resamples: int, references: dict) -> dict:
    """Means and paired differences with 95 % intervals, for one split.

    values: {system: {metric: per-row values}}; likelihoods: {system: {metric: (numerators, denominators)}}; references: the
    references' own row values, see `reference_rows`.
    """
    systems, differences = {}, {}
    for system in values:
        systems[system] = {name: described(name, v, resamples) for name, v in values[system].items()}
        for name, (numerators, denominators) in likelihoods.get(system, {}).items():
            systems[system][name] = ratio_interval(numerators, denominators, resamples)
    for a, b in PAIRS:
        if a in values and b in values:
            both = (values[a], values[b], likelihoods.get(a, {}), likelihoods.get(b, {}))
            differences[f"{a}-{b}"] = paired(*both, resamples, references)
    reference = {name: described(name, v, resamples) for name, v in references.items()}
    return {"definitions": DEFINITIONS, "systems": systems, "differences": differences, "reference": reference}


def described(name: str, values, resamples: int) -> dict:
    """`{"mean", "ci95"}` of one metric's row values, with the median and its interval for MEDIANS."""
    if name in SHARES:
        return share_interval(values)
    return mean_interval(values, resamples) | (median_interval(values) if name in MEDIANS else {})


def paired(
    a: dict, b: dict, likelihoods_a: dict, likelihoods_b: dict, resamples: int, references: dict
) -> dict[str, dict]:
    """{metric: paired difference a - b} for the metrics that both have; all in the form and row order of `summarise`."""
    found = {}
    for name in (name for name in a if name in b):
        better, own = BETTER[name], references.get(name)
        if name in SHARES:
            found[name] = paired_share_difference(a[name], b[name], better)
            continue
        if better == "reference" and own is None:
            better = "neutral"
        found[name] = paired_difference(a[name], b[name], resamples, better=better, reference=own)
        if name in MEDIANS:
            found[name] |= paired_median_difference(a[name], b[name], resamples)
            found[name]["nearer"] = nearer_median(a[name], b[name], 1.0, resamples)
    for name in likelihoods_a:
        if name in likelihoods_b:
            pair = (*likelihoods_a[name], *likelihoods_b[name])
            found[name] = paired_ratio_difference(*pair, resamples, better=BETTER[name])
    return found


def forces_ends(generation: Mapping) -> bool:
    """Whether a decoding ends every answer, whatever the model learned: it has a length penalty that sets in in time."""
    decay = generation.get("length_decay")
    return bool(decay) and decay[1] > 1 and decay[0] < generation.get("max_new_tokens", math.inf)


def mark_forced(split: dict, generation: Mapping) -> None:
    """Say of `stops` in a split's figures that the decoding (its settings) forces the end, if it does."""
    if forces_ends(generation):
        for found in (*split["systems"].values(), *split["differences"].values()):
            forced(found)


def forced(metrics: dict[str, dict]) -> None:
    """Mark `stops` among some metrics as forced. A forced end has no wins."""
    if "stops" in metrics:
        metrics["stops"] = {key: metrics["stops"][key] for key in ("mean", "ci95")} | {"forced": True}


def likelihood_sums(records: list[Record], sizes: list[int]) -> dict[str, tuple[list[float], list[float]]]:
    """Numerators and denominators of `nll` (nats / tokens), `nll_content` and `bits_per_byte` (bits / UTF-8 bytes scored).

    `nll_content` is left out where a record does not know its parts, or has no token beside the prefix and the end.
    """
    nats = [r.nll_sum for r in records]
    found = {
        "nll": (nats, [r.nll_tokens for r in records]),
        "bits_per_byte": ([n / math.log(2) for n in nats], sizes),
    }
    if any(r.nll_prefix_sum is None for r in records):
        return found
    content = [r.nll_tokens - r.nll_prefix_tokens - r.nll_end_tokens for r in records]
    if min(content) > 0:
        found["nll_content"] = ([r.nll_sum - r.nll_prefix_sum - r.nll_end_sum for r in records], content)
    return found


def ends_in_time(tokenizer, cfg: Config, rows: list[dict]) -> list[bool]:
    """Whether each reference, with its end, fits in `generation.max_new_tokens`: what `stops` would be of a perfect model."""
    return [len(encode_answer(tokenizer, row["content"])) <= cfg.generation.max_new_tokens for row in rows]


def scored_bytes(tokenizer, cfg: Config, rows: list[dict]) -> list[int]:
    """UTF-8 bytes of the part of each answer that was scored (a long one is cut at max_length)."""
    examples = encode_rows(tokenizer, rows, cfg.train.as_measured())
    labelled = [[token for token in example["labels"] if token != IGNORED] for example in examples]
    return [max(len(tokenizer.decode(ids, skip_special_tokens=True).encode()), 1) for ids in labelled]


def evaluate(
    cfg: Config,
    dataset,
    merged: Path,
    folder: Path,
    data_key: str,
    merged_key: str,
    about: dict,
    trained: Collection[str],
    index: Index | None = None,
) -> dict:
    """Answers, scores, intervals and files for one run; returns the metrics. about: what the report says of the run.

    trained: uids of the rows that the model was trained on. index: of the data set, needed with `evaluation.open_book`.

    Interrupted, it goes on with the answers that are missing. data_key, merged_key: fingerprints of data set and model.
    """
    rows, notes = choose_rows(cfg, dataset, trained)
    for note in notes:
        print(f"  note: {note}", flush=True)
    dtype, why = hardware.compute_dtype()
    keys, systems = answer_keys(cfg, data_key, merged_key, dtype), systems_of(cfg)
    done = distributed.agree(read_answers(folder, keys) if distributed.first() else None)
    for system in answering(cfg):
        place = cfg.model.name if system in untuned(cfg) else str(merged)
        context = {"shown": shown_before(system, dataset, rows), "entries": entries_for(system, cfg, index, rows)}
        model_answers(lambda place=place: load_plain(fetch(place), dtype), system, cfg, rows, done, folder, **context)
    distributed.wait()
    if not distributed.first():
        return {}  # its answers are written; the first process scores
    if distributed.world() > 1:
        done = read_answers(folder, keys)
    baseline_answers(rows, dataset, done, folder)

    tokenizer, copied = load_tokenizer(cfg.model.name), CopiedRun(list(dataset["train"]["content"]))
    cosine = embedding_similarity.cosine()
    metrics: dict = {}
    per_row: dict = {}
    for split, found in rows.items():
        records = {system: [done[split, system, row["uid"]] for row in found] for system in systems}
        per_row[split] = {system: row_values(found, records[system], copied, cosine) for system in systems}
        sizes = scored_bytes(tokenizer, cfg, found)
        likelihoods = {system: likelihood_sums(records[system], sizes) for system in answering(cfg)}
        references = reference_rows(found, ends_in_time(tokenizer, cfg, found), copied)
        summary = summarise(per_row[split], likelihoods, cfg.evaluation.bootstrap, references)
        metrics[split] = {"n": len(found)} | summary
        mark_forced(metrics[split], cfg.generation.model_dump())
    metrics["settings"] = about | {
        "base_and_tuned_precision": f"{dtype}: {why}",
        "generation": cfg.generation.model_dump(),
        "max_length": cfg.train.max_length,
        "bootstrap": cfg.evaluation.bootstrap,
        "notes": notes,
    }
    write_json(folder / "metrics.json", metrics)
    write_json(folder / ROWS, {split: [row["uid"] for row in found] for split, found in rows.items()})
    from ftlib.reporting import html_report  # it imports this module's names

    html_report.write_files(folder, metrics, rows, done, per_row)
    return metrics


def reference_rows(rows: list[dict], ends: list[bool], copied: CopiedRun) -> dict[str, list[float]]:
    """The metrics that need no reference, of the reference itself, a value a row: what a perfect answer would score (not 0).

    ends: see `ends_in_time`.
    """
    texts, titles = [row["content"] for row in rows], [row["title"] for row in rows]
    pair = {"predictions": texts, "references": texts, "per_row": True}
    values = Shape().compute(**pair) | Grounding().compute(**pair, titles=titles) | copied.compute(**pair)
    return {"stops": list(map(float, ends))} | values
