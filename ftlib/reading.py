"""Look back at a finished evaluation: its rows, its extremes, and how an interval narrows as rows are added.

Why apart from `evaluation`: these functions measure nothing anew, they read the files that it left. Notebook 05 uses them.
How: `lines = rows_of(run)`, then `extremes(lines)` and `growing_interval([line["delta"] for line in lines], (12, 50, 100))`.
"""

from __future__ import annotations

import csv
import random

from ftlib.intervals import mean_interval
from ftlib.metrics import METRICS
from ftlib.runs import Run


def rows_of(run: Run, split: str = "unseen") -> list[dict]:
    """The rows of `evaluation/side_by_side.csv` of one split, their scores as numbers. Raises StageMissing."""
    stage = run.stage("evaluation")
    stage.manifest()
    with open(stage.path / "side_by_side.csv", newline="", encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["split"] == split]
    return [{k: float(v) if k.startswith("rougeL_") or k == "delta" else v for k, v in line.items()} for line in lines]


def growing_interval(values: list[float], sizes) -> dict[int, dict]:
    """{K: mean and 95 % interval of the first K values}, for the sizes that there are rows for, and for all of them."""
    known = sorted({size for size in sizes if size <= len(values)} | {len(values)})
    return {size: mean_interval(values[:size]) for size in known}


def extremes(lines: list[dict], at_random: int = 3, seed: int = 0) -> dict[str, dict]:
    """The row that gained most, the one that lost most, and some drawn at random (which are the honest ones)."""
    ranked = sorted(lines, key=lambda line: line["delta"])
    drawn = random.Random(seed).sample(lines, min(at_random, len(lines)))
    return {"best": ranked[-1], "worst": ranked[0]} | {f"random {n + 1}": line for n, line in enumerate(drawn)}


def verdicts(metrics: dict, split: str = "unseen", pair: str = "tuned-base") -> dict[str, list[str]]:
    """Metrics by what they say of a pair, the tuned model against the base: 'better', 'worse', 'no difference shown'.

    A difference is shown if its interval leaves 0 out; which direction is better stands in `ftlib.metrics.METRICS`.
    """
    found: dict[str, list[str]] = {"better": [], "worse": [], "no difference shown": []}
    for column in METRICS:
        change = metrics[split]["differences"][pair].get(column.name)
        if change is None or column.better == "neutral" or column.name.endswith(("_p", "_r")):
            continue
        low, high = change["ci95"]
        if low <= 0 <= high:
            found["no difference shown"].append(column.name)
        else:
            found["better" if (low > 0) == (column.better == "higher") else "worse"].append(column.name)
    return found
