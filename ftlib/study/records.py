"""Read and write `results/studies/<study>/`: `metrics.csv`, one row per value, and `runs.jsonl`, one line per run and seed.

A value that several runs share is stored once: a seed without a row of its own has the row of seed `all`, a run without one
the row of run `*`. Numbers have five significant digits, or a few more where rounding twice would show in a table.
`results/README.md` describes the columns.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ftlib.config.settings import flatten
from ftlib.evaluation.metric_table import METRICS
from ftlib.reporting.tables import number
from ftlib.runtime.files import read_jsonl, write_text

RUNS, METRICS_FILE = "runs.jsonl", "metrics.csv"
COLUMNS = "study run seed split system metric mean lo hi wins ties losses".split()
ALL_RUNS, ALL_SEEDS = "*", "all"
FIRST, REFERENCE = "tuned-first", "reference"
WINS = ("wins", "ties", "losses")
ORDER = {column.name: index for index, column in enumerate(METRICS)}

Key = tuple[str, int | None]  # run and seed; None is the mean over the run's seeds
Cells = dict[tuple[str, str, str], tuple[str, ...]]  # {(split, system, metric): cells from `mean` on}
Values = dict[tuple[str, str, str], dict]  # the same as values; {} for an empty cell


@dataclass
class Recorded:
    """A study as it is recorded.

    runs: {(run, seed): the line of `runs.jsonl`}. metrics: {(run, seed): {split: block}} in the schema of metrics.json.
    against: {(run, seed): {split: {metric: paired difference to the first run}}}.
    """

    runs: dict[tuple[str, int], dict] = field(default_factory=dict)
    metrics: dict[Key, dict[str, dict]] = field(default_factory=dict)
    against: dict[Key, dict[str, dict]] = field(default_factory=dict)


def read_runs(folder: Path) -> dict[tuple[str, int], dict]:
    """Return {(run, seed): line}; a line without a key has the value of the file's first line. {} without a file."""
    path = folder / RUNS
    lines = read_jsonl(path) if path.exists() else []
    for line in lines[1:]:
        for key in lines[0].keys() - line.keys():
            line[key] = lines[0][key]
        line["config"] = unflatten(flatten(line["config"]) | line.pop("config_changes", {}))
    return {(line["run"], line["seed"]): line for line in lines}


def unflatten(flat: dict) -> dict:
    """Nest a dictionary with dotted keys."""
    nested: dict = {}
    for key, value in flat.items():
        *parents, name = key.split(".")
        section = nested
        for parent in parents:
            section = section.setdefault(parent, {})
        section[name] = value
    return nested


def load(folder: Path) -> Recorded:
    """Read a recorded study; an empty one without files."""
    recorded = Recorded(read_runs(folder))
    cells: dict[tuple[str, str], Values] = {}
    if (folder / METRICS_FILE).exists():
        with open(folder / METRICS_FILE, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                key = (row["split"], row["system"], row["metric"])
                kind = row["metric"].partition(".")[2]
                cells.setdefault((row["run"], row["seed"]), {})[key] = _value(
                    kind, *(row[name] for name in COLUMNS[6:])
                )
    for (run, seed), line in recorded.runs.items():
        shared = cells.get((ALL_RUNS, ALL_SEEDS), {}) | cells.get((run, ALL_SEEDS), {})
        for key, run_cells in (((run, None), shared), ((run, seed), shared | cells.get((run, str(seed)), {}))):
            comparison = line["against"]
            compared = comparison["rows"] if comparison and key[1] in (None, *comparison["seeds"]) else {}
            recorded.metrics[key], recorded.against[key] = _blocks(run_cells, line["rows"], compared)
    return recorded


def _blocks(cells: Values, rows: dict[str, dict], compared: dict[str, dict]) -> tuple[dict, dict]:
    """Return (metrics, differences to the first run) of one run and seed, by split."""
    metrics = {
        split: dict(sizes) | {"systems": {}, "differences": {}, "reference": {}} for split, sizes in rows.items()
    }
    against = {split: dict(sizes) for split, sizes in compared.items()}
    for (split, system, metric), value in cells.items():
        if split not in metrics or not value:
            continue
        if system == FIRST:
            group = against.get(split, {})
        elif system == REFERENCE:
            group = metrics[split]["reference"]
        else:
            group = metrics[split]["differences" if "-" in system else "systems"].setdefault(system, {})
        group.setdefault(metric.partition(".")[0], {}).update(value)
    return metrics, against


def _value(kind: str, mean: str, low: str, high: str, *wins: str) -> dict:
    """Return what the cells of a row say; runs that share the row share its lists."""
    if not mean:
        return {}
    number, interval = float(mean), {"ci95": [float(low), float(high)]} if low else {}
    if kind == "median":
        return {"median": number} | ({"median_ci95": interval["ci95"]} if interval else {})
    if kind == "nearer":
        return {"nearer": {"mean": number} | interval}
    counted = {name: int(count) for name, count in zip(WINS, wins, strict=True) if count}
    return {"mean": number} | interval | counted | ({"forced": True} if kind == "forced" else {})


def save(folder: Path, recorded: Recorded) -> None:
    """Write both files. Every key of `recorded.metrics` with a seed needs its line and the mean over seeds."""
    lines = list(recorded.runs.values())
    write_text(folder / RUNS, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in _short(lines)))
    cells = {
        key: dict(_cells(blocks, recorded.against.get(key, {}))) for key, blocks in recorded.metrics.items() if blocks
    }
    means = {run: run_cells for (run, seed), run_cells in cells.items() if seed is None}
    shared = _shared(means)
    groups = {(ALL_RUNS, ALL_SEEDS): shared}
    for run, mean in means.items():
        groups[run, ALL_SEEDS] = _without(mean, shared)
        seeds = [seed for name, seed in recorded.runs if name == run]
        groups |= {(run, str(seed)): _without(cells[run, seed], mean) for seed in seeds if (run, seed) in cells}
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(COLUMNS)
    for (run, seed), run_cells in groups.items():
        rows = sorted(run_cells, key=lambda key: (*key[:2], ORDER.get(key[2].partition(".")[0], len(ORDER)), key[2]))
        writer.writerows([lines[0]["study"], run, seed, *key, *run_cells[key]] for key in rows)
    write_text(folder / METRICS_FILE, page.getvalue())


def _without(run_cells: Cells, shared: Cells) -> Cells:
    """Return the cells that differ from `shared`; empty ones for those that are only there, so that they are not inherited."""
    splits = {key[0] for key in run_cells}
    absent = [key for key in shared.keys() - run_cells.keys() if key[0] in splits and key[1] != FIRST]
    changed = {key: values for key, values in run_cells.items() if shared.get(key) != values}
    return changed | dict.fromkeys(absent, ("",) * len(COLUMNS[6:]))


def _shared(runs: dict[str, Cells]) -> Cells:
    """Return the most frequent values of each key that every run with this split has, if several runs have them."""
    with_split = Counter(split for cells in runs.values() for split in {key[0] for key in cells})
    counts: dict[tuple[str, str, str], Counter] = {}
    for cells in runs.values():
        for key, values in cells.items():
            counts.setdefault(key, Counter())[values] += 1
    common = {key: count.most_common(1)[0] for key, count in counts.items() if count.total() == with_split[key[0]]}
    return {key: values for key, (values, times) in common.items() if times > 1}


def _short(lines: list[dict]) -> Iterator[dict]:
    """Return the lines without the values that the first one has too."""
    for line in lines:
        if line is lines[0]:
            yield line
            continue
        short = {key: value for key, value in line.items() if key not in lines[0] or value != lines[0][key]}
        short = {name: line[name] for name in ("run", "seed")} | short
        first, settings = flatten(lines[0]["config"]), flatten(line["config"])
        if "config" in short and first.keys() <= settings.keys():
            del short["config"]
            short["config_changes"] = {key: value for key, value in settings.items() if first.get(key, ...) != value}
        yield short


def _cells(blocks: dict[str, dict], against: dict[str, dict]) -> Iterator[tuple]:
    for split, block in blocks.items():
        first = {name: value for name, value in against.get(split, {}).items() if isinstance(value, dict)}
        groups = block["systems"] | block["differences"] | {REFERENCE: block["reference"], FIRST: first}
        for system, metrics in groups.items():
            for name, value in metrics.items():
                for metric, values in _rows(name, value):
                    yield (split, system, metric), values


def _rows(name: str, value: dict) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return the rows of one value: the mean, and the median and the distance to the reference where there is one."""
    wins = tuple(str(value.get(key, "")) for key in WINS)
    yield name + (".forced" if value.get("forced") else ""), (*_numbers(value["mean"], value.get("ci95")), *wins)
    if "median" in value:
        yield f"{name}.median", (*_numbers(value["median"], value.get("median_ci95")), "", "", "")
    if "nearer" in value:
        yield f"{name}.nearer", (*_numbers(value["nearer"]["mean"], value["nearer"]["ci95"]), "", "", "")


def _numbers(mean: float, limits: list[float] | None) -> tuple[str, ...]:
    return tuple(map(_digits, (mean, *limits))) if limits else (_digits(mean), "", "")


def _digits(value: float) -> str:
    """Format five significant digits, or as many more as a table needs to print what it prints of the full number."""
    texts = (f"{value:.{digits}g}" for digits in range(5, 18))
    text = next(text for text in texts if number(float(text)) == number(value))
    return text if float(text) == value else _digits(float(text))  # so that saving a loaded number reproduces it


def summary(recorded: Recorded) -> dict:
    """Summarize a study: each run as the mean of its seeds, with its paired difference to the first run."""
    lines = list(recorded.runs.values())
    runs: dict[str, dict] = {}
    for line in lines:
        run = line["run"]
        if run in runs:
            continue
        metrics = {split: dict(block) for split, block in recorded.metrics[run, None].items()}
        for split, block in metrics.items():
            block["seeds"] = {
                str(seed): _seed_means(recorded.metrics[run, seed][split], block) for seed in line["mean_over"]
            }
        runs[run] = {"seeds": line["mean_over"], "changes": line["changes"], "metrics": metrics}
        if line["against"]:
            runs[run]["against"] = {"seeds": line["against"]["seeds"]} | recorded.against[run, None]
    header = {key: lines[0][key] for key in ("study", "profile", "evaluate_on", "set")}
    header["compared"] = lines[0].get("compared", "tuned")  # the system whose values the report shows
    return header | {"finished": max(line["finished"] for line in lines), "first": lines[0]["first"], "runs": runs}


def _seed_means(block: dict, mean: dict) -> dict:
    """Return one seed's means of the fine-tuned models, and of the base model where its seeds differ (sampled answers)."""
    base = block["systems"]["base"]
    systems = {"base": base} if base != mean["systems"]["base"] else {}
    systems |= {system: metrics for system, metrics in block["systems"].items() if system.startswith("tuned")}
    seed_means = {
        system: {name: value["mean"] for name, value in metrics.items()} for system, metrics in systems.items()
    }
    if block.get("definitions", 1) > 1:  # older tables show no range of medians
        for system in (system for system in systems if system != "base"):
            medians = {name: value["median"] for name, value in systems[system].items() if "median" in value}
            seed_means |= {f"{system}_medians": medians}
    return seed_means
