"""Compute means and paired differences with 95 % intervals for one split."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
from ftlib.evaluation.metric_table import BETTER, DEFINITIONS, SHARES

PAIRS = (
    ("tuned", "base"),
    ("tuned", "base_one_shot"),
    ("tuned", "copy_title"),
    ("tuned", "nearest"),
    ("base_open", "base"),
    ("tuned_open", "tuned"),
    ("tuned_open", "copy_title"),
    ("tuned_mix", "tuned"),
    ("tuned_mix", "base"),
    ("tuned_open", "tuned_mix"),
    ("nearest", "copy_title"),
    ("tuned_open", "base_open"),
    ("tuned_open", "nearest"),
)


MEDIANS = ("length_ratio",)  # shown as medians: a single looping answer dominates the mean


def summarize(values: dict[str, dict], likelihoods: dict[str, dict], references: dict, resamples: int) -> dict:
    """Compute means and paired differences with 95 % intervals, for one split.

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
    """Compute `{"mean", "ci95"}` of one metric's row values, for MEDIANS also the median with its interval."""
    if name in SHARES:
        return share_interval(values)
    return mean_interval(values, resamples) | (median_interval(values) if name in MEDIANS else {})


def paired(
    a: dict, b: dict, likelihoods_a: dict, likelihoods_b: dict, resamples: int, references: dict
) -> dict[str, dict]:
    """Compute {metric: paired difference a - b} for the metrics that both have, in the row order of `summarize`."""
    differences = {}
    for name in (name for name in a if name in b):
        better, reference = BETTER[name], references.get(name)
        if name in SHARES:
            differences[name] = paired_share_difference(a[name], b[name], better)
            continue
        if better == "reference" and reference is None:
            better = "neutral"
        differences[name] = paired_difference(a[name], b[name], resamples, better=better, reference=reference)
        if name in MEDIANS:
            differences[name] |= paired_median_difference(a[name], b[name], resamples)
            differences[name]["nearer"] = nearer_median(a[name], b[name], 1.0, resamples)
    for name in likelihoods_a:
        if name in likelihoods_b:
            (num_a, den_a), (num_b, den_b) = likelihoods_a[name], likelihoods_b[name]
            differences[name] = paired_ratio_difference(num_a, den_a, num_b, den_b, resamples, better=BETTER[name])
    return differences


def forces_ends(generation: Mapping) -> bool:
    """Return whether a decoding ends every answer, whatever the model learned, by its length penalty."""
    decay = generation.get("length_decay")
    return bool(decay) and decay[1] > 1 and decay[0] < generation.get("max_new_tokens", math.inf)


def mark_forced(split: dict, generation: Mapping) -> None:
    """Mark `stops` in a split's figures where the decoding (its settings) forces the end."""
    if forces_ends(generation):
        for metrics in (*split["systems"].values(), *split["differences"].values()):
            forced(metrics)


def forced(metrics: dict[str, dict]) -> None:
    """Mark `stops` as forced and drop its wins."""
    if "stops" in metrics:
        metrics["stops"] = {key: metrics["stops"][key] for key in ("mean", "ci95")} | {"forced": True}
