"""Measure what fine-tuning cost in general language: the NLL per byte of a text that is no product description.

A model that only learns the form of descriptions may forget how other text continues. `retention.txt` (20 kB of Python's
language reference; its source and license are in `retention_license.txt`) is cut into windows of tokens, each scored
alone. Nats are divided by bytes, not by tokens, so that the figure is comparable between tokenizers. The sums lie in
`evaluation/retention.json`, so that resuming an evaluation loads no model.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.evaluation.bootstrap import RESAMPLES, paired_ratio_difference, ratio_interval
from ftlib.evaluation.systems import untuned
from ftlib.prompts.encoding import IGNORED, Example
from ftlib.runtime import distributed
from ftlib.runtime.files import fingerprint, read_json, write_json

WINDOW = 256  # tokens
SYSTEMS = ("base", "tuned")
METRIC = "nll_per_byte"
FILE = "retention.json"  # in the evaluation stage: {system: {"key", "nats", "bytes"}}, a value a window

Sums = tuple[list[float], list[int]]  # (nats, bytes) of the windows


@functools.cache
def retention_text() -> str:
    """Return the text, plain ASCII."""
    return (resources.files("ftlib.evaluation") / "retention.txt").read_text(encoding="ascii")


def retention_sums(model, tokenizer) -> Sums:
    """Return nats and bytes of the scored tokens of each window of the text, in order."""
    from ftlib.models.likelihood import answer_nll  # imports torch, which a reader of the results does not need

    examples, sizes = windows(tokenizer, retention_text())
    nats, _ = answer_nll(model, examples, tokenizer.pad_token_id, WINDOW + 1, progress="general text: likelihood")
    return nats, sizes


def windows(tokenizer, text: str) -> tuple[list[Example], list[int]]:
    """Cut an ASCII text into windows of WINDOW tokens; return them encoded, and the bytes that are scored in each.

    The first token of a window follows nothing and is not scored, unless the tokenizer puts a BOS before plain text.
    """
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, ends = encoded["input_ids"], [end for _, end in encoded["offset_mapping"]]
    bos = [tokenizer.bos_token_id] if tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id] else []
    examples, sizes = [], []
    for start in range(0, len(ids), WINDOW):
        window, scored_from = ids[start : start + WINDOW], start if bos else start + 1
        before = ends[scored_from - 1] if scored_from else 0
        size = ends[start + len(window) - 1] - before  # tokens tile the text, whichever of them holds a space
        if size <= 0:  # a last window of one token
            continue
        labels = [IGNORED] + window if bos else [IGNORED] + window[1:]
        examples.append(Example(uid="", input_ids=bos + window, labels=labels, prompt_tokens=1, cut=True))
        sizes.append(size)
    return examples, sizes


def retention_keys(cfg: Config, merged_key: str, dtype: str) -> dict[str, str]:
    """Return {system: fingerprint of what its sums depend on}: the weights, their dtype, the text, the window."""
    parts = [cfg.model.name, dtype, retention_text(), WINDOW]
    return {system: fingerprint(parts if system in untuned(cfg) else [*parts, merged_key]) for system in SYSTEMS}


def add_missing(folder: Path, system: str, key: str, cfg: Config, load: Callable) -> None:
    """Measure one system unless the file has its sums under this key; rank 0 alone measures.

    load: returns the model; called only if something is missing.
    """
    from ftlib.models.loading import load_tokenizer

    path = folder / FILE
    stored = read_json(path) if path.exists() else {}
    if not distributed.first() or stored.get(system, {}).get("key") == key:
        return
    nats, sizes = retention_sums(load(), load_tokenizer(cfg.model.name))
    write_json(path, stored | {system: {"key": key, "nats": nats, "bytes": sizes}})


def read_sums(folder: Path) -> dict[str, Sums]:
    """Return {system: sums} of the systems of an evaluation folder."""
    return {system: (entry["nats"], entry["bytes"]) for system, entry in read_json(folder / FILE).items()}


def summarize_retention(sums: Mapping[str, Sums], resamples: int = RESAMPLES) -> dict:
    """Return the block `retention` of metrics.json: NLL per byte of each system, and their difference over windows."""
    values = {system: {METRIC: ratio_interval(*each, resamples)} for system, each in sums.items()}
    block: dict = {"n": len(sums[SYSTEMS[0]][0]), "systems": values, "differences": {}}
    if "tuned" in sums:
        block["differences"]["tuned-base"] = {METRIC: paired_ratio_difference(*sums["tuned"], *sums["base"], resamples)}
    return block
