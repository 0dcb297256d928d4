"""Evaluate what training changed: base, fine-tuned model and two baselines on the same rows, every mean with its interval.

Both models answer `unseen` titles (the test split) and `seen` ones (rows that were trained on: does the model return
the description that it learned?), and the references' NLL is computed. The baselines, copying the title and looking up
the nearest one, show what a metric is worth: copying scores a higher ROUGE-L than many a fine-tuned model. On 12 rows,
as in the reference, a difference of 0.05 ROUGE is noise, hence the intervals. `ftlib evaluate --rows 12` is a quick
look with its interval.
"""

from __future__ import annotations

import functools
import gc
import math
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ftlib.config.settings import Config
from ftlib.data.near_duplicates import Duplicate
from ftlib.evaluation import embedding_similarity, retention
from ftlib.evaluation.analysis import row_likelihoods, side_by_side
from ftlib.evaluation.answer_store import ROWS, AnswerStore, Record, SystemInputs
from ftlib.evaluation.answers import add_baselines, answer_keys, answer_missing
from ftlib.evaluation.bootstrap import Values
from ftlib.evaluation.copied_runs import CopiedRun
from ftlib.evaluation.embedding_similarity import Cosine
from ftlib.evaluation.row_metrics import Context, Grounding, Shape, compute_rows, score_rows
from ftlib.evaluation.subsets import passage_counts, subsets, values_at
from ftlib.evaluation.summary import mark_forced, summarize
from ftlib.evaluation.systems import BASELINES, answering, choose_rows, few_shot_for, passages_for, systems_of, untuned
from ftlib.models.base_models import fetch
from ftlib.models.loading import load_plain, load_tokenizer
from ftlib.prompts.encoding import IGNORED, encode_answer, encode_rows
from ftlib.prompts.templates import PREFIX, Passages
from ftlib.retrieval.bm25_index import Index
from ftlib.runtime import distributed, hardware, timeline
from ftlib.runtime.console import log
from ftlib.runtime.files import write_json


def row_values(
    rows: list[dict],
    records: list[Record],
    copied: CopiedRun,
    cosine: Cosine | None = None,
    passages: Mapping[str, Passages] | None = None,
    prefix: str = PREFIX,
) -> dict[str, list[float]]:
    """Compute every text metric of every row for one system; a baseline has no `format` and no `stops`.

    passages: {uid: passages in the system's prompt}. prefix: `prompt.prefix`.
    """
    generated = records[0].stopped is not None
    values = score_rows(
        [r.text for r in records],
        [row["content"] for row in rows],
        [row["title"] for row in rows],
        [r.stopped for r in records] if generated else None,
        copied,
        cosine,
        [(passages or {}).get(row["uid"], ()) for row in rows],
        prefix,
    )
    return values if generated else {name: value for name, value in values.items() if name not in ("format", "stops")}


def likelihood_sums(records: list[Record], sizes: list[int]) -> dict[str, tuple[Values, Values]]:
    """Return numerators and denominators of `nll` (nats / tokens), `nll_content` and `bits_per_byte` (bits / UTF-8 bytes scored).

    `nll_content` is left out where a record lacks its parts, or has no token between prefix and end.
    """
    nats = [r.nll_sum for r in records]
    sums: dict[str, tuple[Values, Values]] = {
        "nll": (nats, [r.nll_tokens for r in records]),
        "bits_per_byte": ([n / math.log(2) for n in nats], sizes),
    }
    if any(r.nll_prefix_sum is None for r in records):
        return sums
    content = [r.nll_tokens - r.nll_prefix_tokens - r.nll_end_tokens for r in records]
    if min(content) > 0:
        sums["nll_content"] = ([r.nll_sum - r.nll_prefix_sum - r.nll_end_sum for r in records], content)
    return sums


def ends_in_time(tokenizer, cfg: Config, rows: list[dict]) -> list[bool]:
    """Return whether each reference, with its end, fits in `generation.max_new_tokens`: `stops` of a perfect model."""
    targets = (encode_answer(tokenizer, row["content"], cfg.prompt.prefix) for row in rows)
    return [len(target) <= cfg.generation.max_new_tokens for target in targets]


def scored_bytes(tokenizer, cfg: Config, rows: list[dict]) -> list[int]:
    """Return the UTF-8 bytes of the scored part of each answer (a long one is truncated at max_length)."""
    examples = encode_rows(tokenizer, rows, cfg.train.as_measured(), prompt_format=cfg.prompt_format)
    labeled = [[token for token in example["labels"] if token != IGNORED] for example in examples]
    return [max(len(tokenizer.decode(ids, skip_special_tokens=True).encode()), 1) for ids in labeled]


class Evaluated(NamedTuple):
    """The result of an evaluation: the content of metrics.json, and two kinds of lines, one a row.

    lines, likelihoods: see `side_by_side` and `row_likelihoods` of `analysis`.
    """

    metrics: dict
    lines: list[dict]
    likelihoods: list[dict]


@dataclass(frozen=True)
class Inputs:
    """The inputs of an evaluation, apart from the settings.

    Attributes:
        dataset: the DatasetDict of the run.
        merged: folder of the fine-tuned model.
        data_key, merged_key: fingerprints of data set and model.
        trained: uids of the rows that the model was trained on.
        index: of the data set, needed with `evaluation.open_book`.
        duplicates: {uid: similarity to the training split} of the held-out rows; {}: no blocks by similarity.
    """

    dataset: Any
    merged: Path
    data_key: str
    merged_key: str
    trained: Collection[str]
    index: Index | None = None
    duplicates: Mapping[str, Duplicate] = field(default_factory=dict)


def evaluate(cfg: Config, inputs: Inputs, folder: Path, run_settings: dict) -> Evaluated | None:
    """Answer, score and summarize; resume with the answers that are missing.

    Args:
        folder: for answers.jsonl, metrics.json and rows.json.
        run_settings: recorded under `settings` in metrics.json.

    Returns:
        The metrics and a line a row; None in all processes but rank 0, which scores.
    """
    rows, notes = choose_rows(cfg, inputs.dataset, inputs.trained)
    for note in notes:
        log.info(f"  note: {note}")
    dtype, reason = hardware.compute_dtype()
    with timeline.phase("retrieval"):
        passages = passages_for(cfg, inputs.index, rows) if cfg.with_retrieval else {}
    with Scorer(cfg, rows, passages, inputs) as scorer:
        store = answer_all(cfg, inputs, rows, passages, folder, dtype, scorer)
        if not distributed.first():
            return None
        with timeline.phase("metrics"):
            metrics, per_row = score_all(cfg, store, rows, passages, inputs, scorer)
    metrics["retention"] = retention.summarize_retention(retention.read_sums(folder), cfg.evaluation.bootstrap)
    metrics["settings"] = run_settings | {
        "base_and_tuned_precision": f"{dtype}: {reason}",
        "generation": cfg.generation.model_dump(),
        "max_length": cfg.train.max_length,
        "bootstrap": cfg.evaluation.bootstrap,
        "notes": notes,
    }
    write_json(folder / "metrics.json", metrics)
    write_json(folder / ROWS, {split: [row["uid"] for row in split_rows] for split, split_rows in rows.items()})
    return Evaluated(
        metrics, side_by_side(rows, store.records, per_row), row_likelihoods(rows, store.records, answering(cfg))
    )


def answer_all(
    cfg: Config,
    inputs: Inputs,
    rows: dict[str, list[dict]],
    passages: Mapping[str, Passages],
    folder: Path,
    dtype: str,
    scorer: Scorer,
) -> AnswerStore:
    """Generate the missing answers of every system; several processes share the rows.

    A model that is loaded for them also scores the text of `retention`. On a GPU a system's metrics are computed by
    `scorer` while the next system answers.
    """
    retention_keys = retention.retention_keys(cfg, inputs.merged_key, dtype)
    keys = answer_keys(cfg, inputs.data_key, inputs.merged_key, dtype)
    stored = AnswerStore.open(folder, keys).records if distributed.first() else None
    store = AnswerStore(folder, distributed.agree(stored))
    if distributed.first():
        with timeline.phase("baselines"):
            add_baselines(store, rows, inputs.dataset)
        if scorer.ahead and distributed.world() == 1:
            for system in BASELINES:
                scorer.start(system, store)
    for system in answering(cfg):
        origin = cfg.model.name if system in untuned(cfg) else str(inputs.merged)
        few_shot = few_shot_for(system, inputs.dataset, rows)
        system_inputs = SystemInputs(system, rows, few_shot, of_system(system, passages))
        load = functools.cache(functools.partial(_load, origin, dtype))
        answer_missing(store, system_inputs, cfg, load)
        if system in retention_keys:
            with timeline.phase("retention"):
                retention.add_missing(folder, system, retention_keys[system], cfg, load)
        load.cache_clear()  # the next model needs the memory
        gc.collect()
        if scorer.ahead and distributed.world() == 1:
            scorer.start(system, store)
    distributed.wait()
    if distributed.first() and distributed.world() > 1:
        store = AnswerStore.open(folder, keys)  # with the answers of the others
    return store


class Scorer:
    """Compute the row values of references and systems in the background, in the order of `start`.

    A thread hands the rows to worker processes (see `row_metrics`), so that this process has its Python for the model that
    answers meanwhile. Nothing is begun before it is asked for on a machine whose models answer on the CPU: they need all cores,
    and a core that two share holds up the others.
    """

    def __init__(self, cfg: Config, rows: dict[str, list[dict]], passages: Mapping[str, Passages], inputs: Inputs):
        """Begin with what all systems need. The arguments are those of `score_all`."""
        self.cfg, self.rows, self.passages, self.prefix = cfg, rows, passages, cfg.prompt.prefix
        self._thread = ThreadPoolExecutor(1)
        self._values: dict[tuple[str, str], Future] = {}
        self._references: dict[str, Future] = {}
        self.cosine = embedding_similarity.cosine(cfg.prompt.prefix) if distributed.first() else None
        self._copied: Future | None = None
        self._contents = inputs.dataset["train"]["content"][:]
        self.ahead = distributed.first() and hardware.cuda_capability() is not None
        if self.ahead:
            self._start_references()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_) -> None:
        self._thread.shutdown(cancel_futures=True)

    def _index_contents(self) -> Future:
        """Begin what finds copied training texts, once."""
        if self._copied is None:
            self._copied = self._thread.submit(CopiedRun, self._contents, self.prefix)
        return self._copied

    def _start_references(self) -> None:
        """Score the references, once; the index of the training texts comes first."""
        if not self._references:
            self._index_contents()
            for split, rows in self.rows.items():
                self._references[split] = self._thread.submit(self._score_references, rows)

    def start(self, system: str, store: AnswerStore) -> None:
        """Score a system whose answers are complete."""
        self._start_references()
        for split, rows in self.rows.items():
            records = store.of(split, system, rows)
            self._values[split, system] = self._thread.submit(self._score, rows, records, system)

    def of(self, split: str, system: str, store: AnswerStore) -> dict[str, list[float]]:
        """Return the row values of a system."""
        if (split, system) not in self._values:
            self.start(system, store)
        return self._values[split, system].result()

    def references(self, split: str) -> tuple[dict[str, list[float]], list[int]]:
        """Return the row values of the references themselves and their scored bytes, see `reference_rows`, `scored_bytes`."""
        self._start_references()
        return self._references[split].result()

    def _score_references(self, rows: list[dict]) -> tuple[dict[str, list[float]], list[int]]:
        tokenizer = load_tokenizer(self.cfg.model.name)  # its own: the one that encodes the prompts is not thread-safe
        ends, copied = ends_in_time(tokenizer, self.cfg, rows), self._index_contents().result()
        values = reference_rows(rows, ends, copied, self.passages, self.prefix)
        return values, scored_bytes(tokenizer, self.cfg, rows)

    def _score(self, rows: list[dict], records: list[Record], system: str) -> dict[str, list[float]]:
        return row_values(
            rows, records, self._index_contents().result(), self.cosine, of_system(system, self.passages), self.prefix
        )


def score_all(
    cfg: Config,
    store: AnswerStore,
    rows: dict[str, list[dict]],
    passages: Mapping[str, Passages],
    inputs: Inputs,
    scorer: Scorer,
) -> tuple[dict, dict]:
    """Return ({block: content} of metrics.json, {split: {system: {metric: row values}}}).

    The unseen rows have further blocks, by their similarity to the training split (see `subsets`).
    """
    metrics: dict = {}
    per_row: dict = {}
    for split, split_rows in rows.items():
        records = {system: store.of(split, system, split_rows) for system in systems_of(cfg)}
        values = per_row[split] = {system: scorer.of(split, system, store) for system in records}
        references, sizes = scorer.references(split)
        likelihoods = {system: likelihood_sums(records[system], sizes) for system in answering(cfg)}
        uids = [row["uid"] for row in split_rows]
        blocks = {split: np.arange(len(uids))} | (subsets(uids, inputs.duplicates) if split == "unseen" else {})
        for block, indices in blocks.items():
            with timeline.phase("intervals"):
                summary = summarize(
                    values_at(values, indices),
                    values_at(likelihoods, indices),
                    values_at(references, indices),
                    cfg.evaluation.bootstrap,
                )
            metrics[block] = {"n": len(indices)} | summary
            mark_forced(metrics[block], cfg.generation.model_dump())
        if passages:
            metrics[split]["passages"] = passage_counts(split_rows, passages)
    return metrics, per_row


def of_system(system: str, passages: Mapping[str, Passages]) -> Mapping[str, Passages]:
    """Return the passages in a system's prompts: {} for a system without retrieval."""
    return passages if system.endswith("_open") else {}


def _load(origin: str, dtype: str):
    """Load a model by its name or folder."""
    with timeline.phase("load models"):
        return load_plain(fetch(origin), dtype)


def reference_rows(
    rows: list[dict],
    ends: list[bool],
    copied: CopiedRun,
    passages: Mapping[str, Passages] | None = None,
    prefix: str = PREFIX,
) -> dict[str, list[float]]:
    """Compute the metrics that need no reference of the references themselves: what a perfect answer would score.

    ends: see `ends_in_time`. passages: {uid: passages in the prompts with retrieval}. prefix: `prompt.prefix`.
    """
    texts, titles = [row["content"] for row in rows], [row["title"] for row in rows]
    metrics = [Shape(prefix), Grounding(prefix), copied, Context(prefix)]
    in_prompts = {"passages": [passages.get(row["uid"], ()) for row in rows]} if passages else {}
    values = compute_rows(metrics, texts, texts, titles=titles, **in_prompts)
    return {"stops": list(map(float, ends))} | values
