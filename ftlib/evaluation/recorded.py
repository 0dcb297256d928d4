"""Convert figures recorded under older definitions to today's, as far as the stored values allow.

`upgraded(split, generation)` returns a split's block of metrics.json or of a study with the intervals and marks that
`summary.summarize` writes now. It works from means and intervals alone, because results/ holds no rows and no answers;
what cannot be computed from them is named in `to_rerun`, and tables mark it until it is measured again.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from ftlib.evaluation.bootstrap import SMALL, Z, newcombe, t_quantile, wilson
from ftlib.evaluation.metric_table import BETTER, DEFINITIONS, SHARES
from ftlib.evaluation.summary import forced, mark_forced

# Metrics that read numbers in words, which version 2 reads otherwise, and those that older answers have not recorded.
NUMBERS_READ = ("title_coverage", "unsupported_numbers")
NOT_RECORDED = ("nll_content", "length_ratio")  # of the latter the interval of the median
WINS = ("wins", "ties", "losses")


def upgraded(split: dict, generation: Mapping) -> dict:
    """Return the block of one split under today's definitions; `to_rerun` names the metrics that stay as recorded.

    generation: the settings of the decoding, `length_decay` among them.
    """
    if split.get("definitions", 1) >= DEFINITIONS:
        return split
    split = copy.deepcopy(split)
    text_n, medians = split.get("text_n", split["n"]), split.pop("median_length_ratio", {})
    reference = split.setdefault("reference", {})
    for metrics in (*split["systems"].values(), reference):
        _upgrade_values(metrics, split["n"], text_n)
    reference["length_ratio"] = {"mean": 1.0, "ci95": [1.0, 1.0], "median": 1.0, "median_ci95": [1.0, 1.0]}
    for system, median in medians.items():
        split["systems"][system]["length_ratio"]["median"] = median
    for pair, changes in split["differences"].items():
        a, b = (split["systems"][system] for system in pair.split("-"))
        _upgrade_changes(changes, a, b, reference, text_n)
    split["to_rerun"] = [*NUMBERS_READ, *NOT_RECORDED]
    mark_forced(split, generation)
    return split


def upgraded_changes(changes: dict, a: dict, b: dict, reference: dict) -> dict:
    """Return paired differences of two runs under today's definitions. a, b: the upgraded figures of both systems."""
    changes = copy.deepcopy(changes)
    _upgrade_changes(changes, a, b, reference, changes.get("text_n", SMALL))
    if any(each.get("stops", {}).get("forced") for each in (a, b)):
        forced(changes)
    return changes


def _upgrade_values(metrics: dict, n: int, text_n: int) -> None:
    for name, value in metrics.items():
        rows = n if name in ("nll", "bits_per_byte") else text_n
        if name in SHARES:
            share = value["mean"]
            low, high = wilson(share * rows, rows - share * rows)
            value["ci95"] = [min(low, share), max(high, share)]
        elif rows < SMALL:
            value["ci95"] = widened(value, rows)


def _upgrade_changes(changes: dict, a: dict, b: dict, reference: dict, text_n: int) -> None:
    for name, change in changes.items():
        if not isinstance(change, dict) or name not in a or name not in b:
            continue
        certain = any(each[name]["mean"] in (0, 1) for each in (a, b))
        # other shares keep the recorded bootstrap interval, because the pairing of rows is not stored
        if name in SHARES and certain:
            change |= newcombe(a[name], b[name])
        elif text_n < SMALL:
            change["ci95"] = widened(change, text_n)
        if BETTER[name] != "reference":
            continue
        for key in WINS:  # they counted higher (or lower) values, not nearer ones
            change.pop(key, None)
        if name == "length_ratio":
            if "median" in a[name] and "median" in b[name]:
                change["median"] = a[name]["median"] - b[name]["median"]
        elif name in reference:
            change["nearer"] = _nearer(a[name], b[name], change, reference[name])


def widened(value: dict, n: int) -> list[float]:
    """Compute the t interval with the standard error of a recorded bootstrap interval, which divided by n, not by n - 1."""
    low, high = value["ci95"]
    if n < 2:
        return [low, high]
    half = (high - low) / (2 * Z) * (n / (n - 1)) ** 0.5 * t_quantile(n - 1)
    return [value["mean"] - half, value["mean"] + half]


def _nearer(a: dict, b: dict, change: dict, reference: dict) -> dict:
    """Compute the distance of a to the reference minus that of b, with an interval that holds at least 95 %.

    Where both systems are on the same side of the reference, their distances differ as their values do, so the recorded
    paired interval applies. Otherwise the three intervals are combined for the worst case.
    """
    mean = abs(a["mean"] - reference["mean"]) - abs(b["mean"] - reference["mean"])
    if min(a["ci95"][0], b["ci95"][0]) >= reference["ci95"][1]:
        return {"mean": mean, "ci95": list(change["ci95"])}
    if max(a["ci95"][1], b["ci95"][1]) <= reference["ci95"][0]:
        return {"mean": mean, "ci95": [-limit for limit in reversed(change["ci95"])]}
    (near_a, far_a), (near_b, far_b) = (_distances(each["ci95"], reference["ci95"]) for each in (a, b))
    return {"mean": mean, "ci95": [near_a - far_b, far_a - near_b]}


def _distances(one: list[float], other: list[float]) -> tuple[float, float]:
    """Return the smallest and largest distance of a point of one interval to one of the other."""
    apart = max(one[0] - other[1], other[0] - one[1], 0.0)
    return apart, max(one[1] - other[0], other[1] - one[0])
