"""Render results/LOG.md: the expectation of each run, its result, and what a learner takes from it.

`expected` and `lesson` are written by hand in the study's file, without numbers; what came out is computed, and is "no
finding" where another seed, or chance, changes as much. So a sentence cannot outlive its numbers. `ftlib study report`
writes it.
"""

from __future__ import annotations

from pathlib import Path

from ftlib.evaluation.significance import has_verdict, seed_range, verdict_of
from ftlib.reporting.tables import interval, seed_cells, with_seeds
from ftlib.runtime.language import using
from ftlib.study.study_file import Study, load_study

PAGE = "LOG.md"
SAID = {  # of each split, the metrics that an entry names
    "unseen": {"nll": "NLL", "rougeL": "ROUGE-L", "stops": "share that stops"},
    "seen": {"nll": "NLL", "gram8_r": "8-word recall"},
}
NO_FINDING = "no finding"
INTRO = """# Log of the experiments

Rendered by `ftlib study report`; do not edit by hand. What was expected, and what is to be learned, is in `studies/*.yaml`;
what came out is computed from `results/studies/`: means [95 % interval over rows] of the tuned model on unseen rows, and paired
differences to the study's first run; with several seeds, the range of their values beside it. "No finding": the interval
holds 0, or another seed of the first run does as much.
"""
NOTHING = "No experiment is recorded yet.\n"


def files(root: Path) -> dict[str, Study]:
    """Return {name: study} of the study files of a checkout."""
    studies = (load_study(path) for path in sorted((root / "studies").glob("*.yaml")))
    return {study.name: study for study in studies}


def spread(study: dict, metric: str, split: str = "unseen") -> float | None:
    """Return largest minus smallest mean (median) over the seeds of the study's first run, or None with one seed."""
    first = study["runs"].get(study["first"])
    seeds = seed_range(first["metrics"][split], metric, study["compared"]) if first else None
    return seeds[1] - seeds[0] if seeds else None


def verdict(study: dict, run: dict, metric: str, split: str = "unseen") -> str | None:
    """Return 'better', 'worse' ('more', 'less' for a metric without a direction), 'forced', NO_FINDING, or None."""
    change = run.get("against", {}).get(split, {}).get(metric)
    if change is None:
        return None
    if change.get("forced"):
        return "forced"
    (low, high), noise = change["ci95"], spread(study, metric, split)
    if noise is not None and abs(change.get("median", change["mean"])) <= noise:
        return NO_FINDING
    if not has_verdict(change, metric):
        return NO_FINDING if low <= 0 <= high else "more" if low > 0 else "less"
    return verdict_of(change, metric) or NO_FINDING


def change_cell(study: dict, run: dict, metric: str, split: str) -> str:
    """Format a run's paired difference to the first run, with the range of the seeds that both have."""
    change, first = run["against"][split][metric], study["runs"].get(study["first"])
    if first is None:
        return interval(change)
    blocks, key = [each["metrics"][split] for each in (run, first)], study["compared"]
    key += "_medians" if "median" in change else ""
    by_seed = [
        [block.get("seeds", {}).get(str(seed), {}).get(key, {}) for seed in run["against"].get("seeds", ())]
        for block in blocks
    ]
    same_rows = all(block["n"] == run["against"][split].get("n") for block in blocks)
    values = [a[metric] - b[metric] for a, b in zip(*by_seed, strict=True) if metric in a and metric in b]
    has_range = same_rows and len(values) > 1 and len(values) == len(by_seed[0])
    return with_seeds(change, (min(values), max(values)) if has_range else None)


def _with_verdict(study: dict, run: dict, metric: str, split: str) -> str:
    cell, text = change_cell(study, run, metric, split), verdict(study, run, metric, split)
    return cell if text == "forced" else f"{cell} ({text})"


def came_out(study: dict, name: str) -> str:
    """Describe the result of one run."""
    run = study["runs"][name]
    unseen = run["metrics"]["unseen"]
    if name == study["first"]:
        metric_titles = {
            metric: title for metric, title in SAID["unseen"].items() if metric in unseen["systems"][study["compared"]]
        }
        cells = [
            f"{title} {cell}"
            for title, cell in zip(
                metric_titles.values(), seed_cells(unseen, metric_titles, study["compared"]), strict=True
            )
        ]
        return f"{'; '.join(cells)}; seeds {', '.join(map(str, run['seeds']))}."
    sentences = []
    for split, titles in SAID.items():
        changes = run.get("against", {}).get(split, {})
        cells = [
            f"{title} {_with_verdict(study, run, metric, split)}"
            for metric, title in titles.items()
            if metric in changes
        ]
        if cells:
            sentences.append(f"{split} rows: {'; '.join(cells)}")
    return f"Against {study['first']}, {'; '.join(sentences)}." if sentences else "Nothing to compare it with."


@using("en")
def render(summaries: list[dict], studies: dict[str, Study]) -> str:
    """Render results/LOG.md: an entry a run, in the order of the study files."""
    lines = [INTRO]
    order = list(studies)
    for study in sorted(
        summaries, key=lambda s: (s.get("finished", ""), order.index(s["study"]) if s["study"] in order else 0)
    ):
        file = studies.get(study["study"])
        lines += [f"## {study['study']}", ""]
        lines += [file.expected, ""] if file and file.expected else []
        written = {run.name: run for run in file.runs} if file else {}
        for name in study["runs"]:
            run = written.get(name)
            lines.append(f"- **{name}**")
            lines += [f"  - expected: {run.expected}"] if run and run.expected else []
            lines.append(f"  - came out: {came_out(study, name)}")
            lines += [f"  - taken: {run.lesson}"] if run and run.lesson else []
        lines.append("")
    return "\n".join(lines if summaries else [INTRO, NOTHING])
