"""Analyze the results of a finished evaluation: its rows, its extremes, and how an interval narrows as rows are added.

No model is run: texts are read from answers.jsonl. `side_by_side.csv` is not parsed, because its cells are escaped for
spreadsheets, which changes titles that begin with "-". `rows_of(folder, dataset)` returns the lines for
`extremes(lines)` and `growing_interval([line["delta"] for line in lines], (12, 50, 100))`.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable
from pathlib import Path

from ftlib.evaluation.answer_store import ANSWERS, ROWS, Record
from ftlib.evaluation.bootstrap import mean_interval
from ftlib.evaluation.metric_table import METRICS
from ftlib.evaluation.row_metrics import Rouge, compute_rows
from ftlib.evaluation.significance import has_verdict, seeds_agree, verdict_of
from ftlib.prompts.templates import PREFIX
from ftlib.runtime.files import read_json, read_jsonl
from ftlib.runtime.language import tr


def rows_of(folder: Path, dataset, split: str = "unseen") -> list[dict]:
    """Return the rows of one split with the columns of `side_by_side.csv`, unescaped.

    folder: of a finished evaluation. Texts come from answers.jsonl and the data set; ROUGE-L is computed again.
    """
    records = {(r.split, r.system, r.uid): r for r in (Record(**line) for line in read_jsonl(folder / ANSWERS))}
    results = read_json(folder / "metrics.json")
    metrics, prefix = results.get(split, {"n": 0, "systems": {}}), results["settings"].get("prefix", PREFIX)
    uids = [uid for part, system, uid in records if (part, system) == (split, "copy_title")][: metrics["n"]]
    if (folder / ROWS).exists():  # older evaluations have none
        uids = read_json(folder / ROWS).get(split, [])
    by_uid = {row["uid"]: row for part in dataset.values() for row in part if row["uid"] in set(uids)}
    rows = [by_uid[uid] for uid in uids]
    references, scores = [row["content"] for row in rows], {}
    for system in metrics["systems"] if rows else ():
        texts = [records[split, system, uid].text for uid in uids]
        scores[system] = {"rougeL": compute_rows([Rouge(prefix)], texts, references)["rougeL"]}
    return side_by_side({split: rows}, records, {split: scores}) if rows else []


def likelihoods_of(folder: Path, split: str = "unseen") -> tuple[list[float], list[float]]:
    """Return (base, fine-tuned) NLL per token of each row of a split, from `rows.csv` of a finished evaluation."""
    with open(folder / "rows.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return [float(row["nll_base"]) for row in rows], [float(row["nll_tuned"]) for row in rows]


def growing_interval(values: list[float], sizes) -> dict[int, dict]:
    """Return {K: mean and 95 % interval of the first K values}, for each size up to the number of values, and for all."""
    row_counts = sorted({size for size in sizes if size <= len(values)} | {len(values)})
    return {size: mean_interval(values[:size]) for size in row_counts}


def small_draws(values: list[float], size: int = 12, times: int = 200, seed: int = 0) -> list[dict]:
    """Return mean and t interval of `times` random samples of `size` rows: what one might have reported with so few.

    A sample holds no row twice. Of fewer than twice as many values, half of them are drawn.
    """
    rng, size = random.Random(seed), min(size, len(values) // 2)
    return [mean_interval(rng.sample(list(values), size)) | {"rows": size} for _ in range(times)]


def extremes(lines: list[dict], at_random: int = 3, seed: int = 0) -> dict[str, dict]:
    """Return the row that gained most, the one that lost most, and some drawn at random.

    The keys are in the reader's language, because a notebook prints them.
    """
    ranked = sorted(lines, key=lambda line: line["delta"])
    random_lines = random.Random(seed).sample(lines, min(at_random, len(lines)))
    named = {tr("best"): ranked[-1], tr("worst"): ranked[0]}
    return named | {tr("random {number}", number=n + 1): line for n, line in enumerate(random_lines)}


def verdicts(metrics: dict, split: str = "unseen", pair: str = "tuned-base") -> dict[str, list[str]]:
    """Sort metrics by what they show for a pair of systems: 'better', 'worse', 'no difference shown'.

    A difference is shown if its interval excludes 0 and no seed contradicts it; `metric_table.METRICS` defines which
    direction is better. A metric without a direction, or a forced one, is left out.
    """
    names_by_verdict: dict[str, list[str]] = {"better": [], "worse": [], "no difference shown": []}
    changes, (system, other) = metrics[split]["differences"][pair], pair.split("-")
    for column in METRICS:
        change = changes.get(column.name)
        if change is None or column.name.endswith(("_p", "_r")) or not has_verdict(change, column.name):
            continue
        shown = metrics[split].get("n", 2) > 1 and seeds_agree(metrics[split], column.name, system, other)
        verdict = verdict_of(change, column.name) if shown else None
        names_by_verdict[verdict or "no difference shown"].append(column.name)
    return names_by_verdict


def side_by_side(rows: dict, records: dict, per_row: dict) -> list[dict]:
    """Return a dict a row: uid, split, title, question, reference, each system's answer, rougeL_<system>, delta."""
    lines = []
    for split, split_rows in rows.items():
        for row_idx, row in enumerate(split_rows):
            systems = per_row[split]
            line = {
                "uid": row["uid"],
                "split": split,
                "title": row["title"],
                "question": row["question"],
            }
            line |= {"reference": row["content"]} | {s: records[split, s, row["uid"]].text for s in systems}
            line |= {f"rougeL_{s}": round(systems[s]["rougeL"][row_idx], 4) for s in systems}
            line["delta"] = round(line["rougeL_tuned"] - line["rougeL_base"], 4)
            lines.append(line)
    return lines


def row_likelihoods(rows: dict, records: dict, systems: Iterable[str]) -> list[dict]:
    """Return a dict a row, without text: uid, split, nll_tokens, and nll_<system> (nats per token) of each system."""
    lines = []
    for split, split_rows in rows.items():
        for row in split_rows:
            by_system = {system: records[split, system, row["uid"]] for system in systems}
            tokens = next(iter(by_system.values())).nll_tokens  # the same reference tokens for every system
            values = {f"nll_{system}": round(r.nll_sum / r.nll_tokens, 5) for system, r in by_system.items()}
            lines.append({"uid": row["uid"], "split": split, "nll_tokens": tokens} | values)
    return lines


def hardest(likelihoods: Iterable[dict], count: int = 10) -> list[dict]:
    """Return the unseen rows whose reference is least likely under the fine-tuned model, worst first."""
    unseen = [line for line in likelihoods if line["split"] == "unseen"]
    return sorted(unseen, key=lambda line: -line["nll_tuned"])[:count]


def noisiest(likelihoods: Iterable[dict], count: int = 10) -> list[dict]:
    """Return the unseen rows whose reference became less likely by fine-tuning, largest increase first."""
    unseen = [line for line in likelihoods if line["split"] == "unseen" and line["nll_tuned"] > line["nll_base"]]
    return sorted(unseen, key=lambda line: line["nll_base"] - line["nll_tuned"])[:count]
