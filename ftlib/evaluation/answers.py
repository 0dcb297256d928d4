"""Generate and score the answers of an evaluation, and keep them in its store."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ftlib.config.settings import Config
from ftlib.evaluation.answer_store import AnswerStore, Question, Record, SystemInputs
from ftlib.evaluation.systems import answering, untuned
from ftlib.generation.batched import Answer, answer_encoded
from ftlib.models.likelihood import answer_losses, prefix_tokens
from ftlib.models.loading import load_tokenizer
from ftlib.prompts.encoding import IGNORED, Example
from ftlib.prompts.parallel_encoding import encode_on_all_cores
from ftlib.prompts.templates import PREFIX
from ftlib.retrieval.nearest_title import Nearest
from ftlib.runtime import distributed, timeline
from ftlib.runtime.console import log
from ftlib.runtime.files import fingerprint


def answer_keys(cfg: Config, data_key: str, merged_key: str, dtype: str) -> dict[str, str]:
    """Return {system: fingerprint of what its answers depend on}."""
    model = [data_key, cfg.model.name, dtype, cfg.train.max_length, cfg.generation.deciding()]
    keys = {system: model if system in untuned(cfg) else [*model, merged_key] for system in answering(cfg)}
    context = [cfg.open_rows, cfg.train.context_tokens, cfg.train.context_order]
    keys |= {system: [*key, *context] for system, key in keys.items() if system.endswith("_open")}
    keys |= {"copy_title": [data_key], "nearest": [data_key]}
    return {system: fingerprint(value) for system, value in keys.items()}


def answer_missing(store: AnswerStore, inputs: SystemInputs, cfg: Config, load: Callable) -> None:
    """Score and answer the rows of one system that the store lacks, batch by batch.

    load: returns the model; called only if something is missing. With several processes each takes its share.
    """
    questions = store.missing(inputs)
    if not questions:
        log.info(f"{inputs.system}: all {sum(map(len, inputs.rows.values()))} answers are stored already")
        return
    questions = distributed.mine(questions)
    tokenizer, model = load_tokenizer(cfg.model.name), load()
    rows = [question.row for question in questions]
    with timeline.phase("encode rows"):
        [examples] = encode_on_all_cores(
            tokenizer, [(rows, cfg.train.as_measured())], inputs.few_shot, inputs.passages, cfg.prompt_format
        )
    with timeline.phase("likelihood"):
        scored = score_references(model, tokenizer, inputs.system, questions, examples, cfg)
    store.add(record for record, question in zip(scored, questions, strict=True) if not question.generated)
    to_generate = [index for index, question in enumerate(questions) if question.generated]

    def on_batch(positions: list[int], answers: list[Answer]) -> None:
        pairs = [(scored[to_generate[position]], answer) for position, answer in zip(positions, answers, strict=True)]
        store.add(replace(r, text=a.text, n_tokens=a.n_tokens, stopped=a.stopped) for r, a in pairs)

    prompts = [examples[index]["input_ids"][: examples[index]["prompt_tokens"]] for index in to_generate]
    with timeline.phase("answers"):
        answer_encoded(model, tokenizer, prompts, cfg.generation, f"{inputs.system}: answers", on_batch)
    del model
    gc.collect()


def score_references(
    model, tokenizer, system: str, questions: list[Question], examples: list[Example], cfg: Config
) -> list[Record]:
    """Compute the likelihood of each row's reference; the records have no text. examples: the encoded questions."""
    longest = max(cfg.train.max_length, *(len(example["input_ids"]) for example in examples))
    losses = answer_losses(model, examples, tokenizer.pad_token_id, longest, progress=f"{system}: likelihood")
    return [
        Record(
            example["uid"],
            question.split,
            system,
            None,
            **likelihood_parts(tokenizer, example, nats, cfg.prompt.prefix),
        )
        for question, example, nats in zip(questions, examples, losses, strict=True)
    ]


def baseline_records(rows: Mapping[str, list[dict]], dataset) -> list[Record]:
    """Return the answers of the systems that learn nothing: the title itself, and the nearest training title's description."""
    nearest, records = Nearest(dataset["train"]["title"][:], dataset["train"]["content"][:]), []
    for split, split_rows in rows.items():
        titles = [row["title"] for row in split_rows]
        for system, texts in (("copy_title", titles), ("nearest", nearest.answers(titles))):
            records += [Record(row["uid"], split, system, text) for row, text in zip(split_rows, texts, strict=True)]
    return records


def add_baselines(store: AnswerStore, rows: Mapping[str, list[dict]], dataset) -> None:
    """Add `baseline_records` to the store, as far as it lacks them."""
    records = baseline_records(rows, dataset)
    store.add(record for record in records if (record.split, record.system, record.uid) not in store.records)


def likelihood_parts(tokenizer, example, losses, text_prefix: str = PREFIX) -> dict[str, Any]:
    """Return the `nll_*` fields of a record: nats and number of all scored tokens, of the prefix's, and of the end token."""
    prefix = prefix_tokens(tokenizer, [token for token in example["labels"] if token != IGNORED], text_prefix)
    end = 0 if example["cut"] else 1  # a truncated answer has no end token
    prefix = min(prefix, len(losses) - end)
    losses_by_part = {"nll": losses, "nll_prefix": losses[:prefix], "nll_end": losses[len(losses) - end :]}
    sums: dict[str, Any] = {f"{name}_sum": float(each.double().sum()) for name, each in losses_by_part.items()}
    return sums | {f"{name}_tokens": len(each) for name, each in losses_by_part.items()}
