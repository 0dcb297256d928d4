"""`ftlib study report`: what `results/studies/` holds, as tables and figures, in results/REPORT.md and shortly in the README.

Why rendered: a figure typed by hand outlives the run that it came from; a test renders again and compares. Why the spread
over seeds is shown: a change that is smaller than what another seed does is no finding, however narrow its interval over rows.
How: ftlib study report
"""

from __future__ import annotations

from pathlib import Path

from ftlib import plots
from ftlib.report import between, interval, markdown, number
from ftlib.runs import read_json, write_text
from ftlib.study.score import SUMMARY

BEGIN = "<!-- studies: rendered by ftlib study report from results/studies/, do not edit by hand -->\n"
END = "<!-- /studies -->"
PAGE, PICTURE = "REPORT.md", "nll.png"
SHOWN = {
    "nll": "NLL",
    "rougeL": "ROUGE-L",
    "chrf": "chrF",
    "cosine": "cosine",
    "stops": "stops",
    "length_ratio": "length ratio",
}
SEED_MARK = "≈"
LEGENDS = {"validation": "validation rows", "test": "test rows"}
INTRO = """# Studies

Rendered by `ftlib study report` from `results/studies/`; do not edit by hand. Values are those of the tuned model on unseen
titles: mean over rows and seeds [95 % bootstrap interval over rows]. Differences are paired, row by row, on the seeds that both
runs have. What is chosen is chosen on validation rows. No row of the data, and no answer, is kept here.
"""
NOTHING = "No study is recorded yet.\n"


def summaries(results: Path) -> list[dict]:
    """The recorded studies, by name."""
    return [read_json(path) for path in sorted(results.glob(f"studies/*/{SUMMARY}"))]


def spread(study: dict, metric: str, split: str = "unseen") -> float | None:
    """Largest minus smallest mean over the seeds of the study's first run; None with one seed or without that run."""
    first = study["runs"].get(study["first"])
    seeds = first["metrics"][split]["seeds"].values() if first else []
    means = [seed["tuned"][metric] for seed in seeds if metric in seed["tuned"]]
    return max(means) - min(means) if len(means) > 1 else None


def difference(study: dict, run: dict, metric: str, split: str = "unseen") -> str:
    """A run's paired difference to the first run, marked if another seed of the first run does as much."""
    found = run.get("against", {}).get(split, {}).get(metric)
    if found is None:
        return "–"
    noise = spread(study, metric, split)
    return interval(found) + (f" {SEED_MARK}" if noise is not None and abs(found["mean"]) <= noise else "")


def render_study(study: dict, results: Path) -> list[str]:
    """Lines of one study: where it was measured, values, differences, figure."""
    name, first, runs = study["study"], study["first"], study["runs"]
    one = next(iter(runs.values()))["metrics"]["unseen"]
    shown = {metric: title for metric, title in SHOWN.items() if metric in one["systems"]["tuned"]}
    made = [read_json(path) for path in sorted((results / "studies" / name).glob("*-s*.json"))]
    where = f"{one['n']} {LEGENDS[study['evaluate_on']]}, {one['text_n']} of them answered in words"
    devices = ", ".join(sorted({result["device"] for result in made}))
    commits = ", ".join(sorted({str(result["git_commit"]) for result in made}))
    minutes = sum(result["seconds"]["answer"] for result in made) / 60
    trainings = {(r["training"]["finished"], r["training"]["seed"]): r["seconds"]["train"] for r in made}
    lines = [
        f"## {name}",
        "",
        f"{where}; profile `{study['profile']}`, {_settings(study['set'])}. Rows of {made[0]['data']['file']}, trained and "
        f"answered on {devices} (commit {commits}): {len(trainings)} trainings in {sum(trainings.values()) / 60:.1f} minutes, "
        f"{len(made)} sets of answers in {minutes:.1f} minutes.",
        "",
    ]
    rows = []
    for system, label in (
        ("base", "base, not tuned"),
        ("copy_title", "copy the title"),
        ("nearest", "nearest title's text"),
    ):
        median = number(one["median_length_ratio"][system])
        rows.append([label, "–", "–", *_cells(one["systems"][system], shown), median, "–", "–"])
    for run_name, run in runs.items():
        tuned, costs = run["metrics"]["unseen"]["systems"]["tuned"], [r for r in made if r["run"] == run_name]
        seconds = sum(r["seconds"]["train"] for r in costs) / len(costs)
        peak = max(r["training"]["peak_gib"] for r in costs)
        cells = [run_name, _settings(run["changes"]), str(len(run["seeds"])), *_cells(tuned, shown)]
        median = number(run["metrics"]["unseen"]["median_length_ratio"]["tuned"])
        rows.append([*cells, median, f"{seconds:,.0f}", f"{peak:.1f}"])
    lines += [*markdown(["run", "changes", "seeds", *shown.values(), "its median", "training s", "peak GiB"], rows), ""]
    others = {run_name: run for run_name, run in runs.items() if run.get("against", {}).get("unseen")}
    if not others:
        return lines
    cells = [[run_name, *(difference(study, run, metric) for metric in shown)] for run_name, run in others.items()]
    noise = [spread(study, metric) for metric in shown]
    if any(value is not None for value in noise):
        cells.append([f"*spread of {first}'s seeds*", *("–" if value is None else number(value) for value in noise)])
        mark = f"{SEED_MARK}: not larger than the spread over the seeds of {first} (largest mean minus smallest)."
    else:
        mark = f"{first} has one seed here, so nothing is known of what another seed does."
    header = [f"minus {first}", *shown.values()]
    lines += [*markdown(header, cells), "", mark, "", f"![{figure(study).alt}](studies/{name}/{PICTURE})", ""]
    seen = [
        [run_name, *(difference(study, run, metric, "seen") for metric in shown)]
        for run_name, run in others.items()
        if "seen" in run["against"]
    ]
    return lines + (["On seen titles:", "", *markdown(header, seen), ""] if seen else [])


def figure(study: dict, path: Path | None = None):
    """The forest plot of a study: differences in NLL to its first run."""
    found = {
        name: run["against"]["unseen"]["nll"]
        for name, run in study["runs"].items()
        if "unseen" in run.get("against", {})
    }
    return plots.forest_plot("NLL", found, study["first"], spread(study, "nll"), path)


def _cells(system: dict, shown: dict) -> list[str]:
    return [interval(system[metric]) if metric in system else "–" for metric in shown]


def _settings(flat: dict) -> str:
    return ", ".join(f"`{key}={value}`" for key, value in flat.items()) or "nothing set on top"


def render(results: Path) -> str:
    """The text of results/REPORT.md."""
    found = summaries(results)
    parts = ["\n".join(render_study(study, results)) for study in found if study["runs"]]
    return "\n".join([INTRO, *(parts or [NOTHING])])


def short(results: Path) -> str:
    """The README's table: one line a study."""
    rows = []
    for study in summaries(results):
        runs, first = study["runs"], study["first"]
        if first not in runs:
            continue
        nll = {name: run["metrics"]["unseen"]["systems"]["tuned"]["nll"]["mean"] for name, run in runs.items()}
        best, split = min(nll, key=nll.get), runs[first]["metrics"]["unseen"]
        tuned = split["systems"]["tuned"]
        change = "–" if best == first else difference(study, runs[best], "nll")
        rows.append(
            [
                study["study"],
                f"{len(runs)} ({sum(len(run['seeds']) for run in runs.values())})",
                f"{split['n']} {study['evaluate_on']}",
                first,
                interval(tuned["nll"]),
                interval(tuned["rougeL"]),
                best,
                change,
            ]
        )
    if not rows:
        return NOTHING
    header = [
        "study",
        "runs (with seeds)",
        "rows",
        "first run",
        "its NLL",
        "its ROUGE-L",
        "lowest NLL",
        "difference to the first",
    ]
    mark = f"{SEED_MARK}: not larger than the spread over the first run's seeds. All runs: [`results/{PAGE}`](results/{PAGE})."
    return "\n".join([*markdown(header, rows), "", mark, ""])


def write(root: Path, results: Path) -> list[Path]:
    """REPORT.md, a figure a study, and the README's table; returns what was written. root: where the README lies."""
    written = [results / PAGE]
    write_text(results / PAGE, render(results))
    for study in summaries(results):
        if any("unseen" in run.get("against", {}) for run in study["runs"].values()):
            written.append(results / "studies" / study["study"] / PICTURE)
            figure(study, written[-1])
    readme = root / "README.md"
    if readme.exists() and BEGIN in (page := readme.read_text(encoding="utf-8")):
        write_text(readme, between(page, BEGIN, END, short(results)))
        written.append(readme)
    return written
