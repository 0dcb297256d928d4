"""The headline: base against tuned on all test rows, in one table, and as results/headline.json in the schema of metrics.json.

What: the first run of the study `headline` is the chosen decoding; its run `greedy`, if there is one beside it, is the second
column. Why one file: whoever quotes the project's result needs its rows, seeds, intervals and settings together.
How: `ftlib study report` writes the file and puts the table into REPORT.md, README and notebook 05.
"""

from __future__ import annotations

from ftlib.evaluation.analysis import verdicts
from ftlib.evaluation.verdicts import seed_range
from ftlib.reporting.findings import findings
from ftlib.reporting.tables import (
    BASELINES,
    LABELS,
    SHOWN,
    SPLIT_TITLES,
    center,
    interval,
    markdown,
    marked,
    number,
    rerun_note,
    with_seeds,
)

STUDY, FILE, SECOND = "headline", "headline.json", "greedy"
ROUGES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
TUNED = ("tuned", "tuned - base")  # the columns that the second decoding has too


def metrics_of(study: dict) -> dict:
    """`results/headline.json`: unseen, seen and settings of the first run, and the same rows answered greedily."""
    runs, first = study["runs"], study["first"]
    about = {key: study[key] for key in ("study", "profile", "evaluate_on", "set")}
    settings = about | {"run": first, "changes": runs[first]["changes"], "seeds": runs[first]["seeds"]}
    found = dict(runs[first]["metrics"]) | {"settings": settings}
    if first != SECOND and SECOND in runs:
        found[SECOND] = runs[SECOND]["metrics"]
    return found


def rounded(value):
    """The same value with floats of seven significant digits: differences of recorded numbers have no more."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def tables(study: dict) -> list[str]:
    """Lines of Markdown: a table for each split, and what the figures say. Intervals of all systems stand in FILE."""
    found = metrics_of(study)
    lines = []
    for split in (split for split in SPLIT_TITLES if split in found):
        one = found[split]
        columns, names = _columns(one), [name for name in SHOWN if name in one["systems"]["tuned"]]
        if SECOND in found:
            columns |= {
                f"{SECOND}: {title}": cells for title, cells in _columns(found[SECOND][split]).items() if title in TUNED
            }
        rows = [[marked(name, one), *(cells(name) for cells in columns.values())] for name in names]
        fits = one["reference"]["stops"]
        lines += [
            f"{one['n']} {SPLIT_TITLES[split]}, {one['text_n']} of them answered in words, mean of the seeds "
            f"{', '.join(map(str, found['settings']['seeds']))} [95 % interval over rows], then the range of the seeds' means "
            f"(length_ratio: medians); decoding `{found['settings']['run']}`:",
            "",
            *markdown(["metric", *columns], rows),
            "",
            *rerun_note(one),
            f"Of the references {interval(fits)} end within the longest answer.",
            "",
        ]
    for system in BASELINES:
        if system in found["unseen"]["systems"]:
            said = verdicts(found, "unseen", f"tuned-{system}")
            words = "; ".join(f"{verdict}: {', '.join(names) or 'none'}" for verdict, names in said.items())
            lines.append(f"- Unseen titles, tuned against {LABELS[system]}: {words}.")
    return [*lines, *(f"- {sentence}" for sentence in findings(found)), "", *precision_and_recall(found["unseen"])]


def precision_and_recall(split: dict) -> list[str]:
    """Lines: what an F value is made of. A short answer whose words all occur wins by precision and says little."""
    systems = [system for system in ("tuned", *BASELINES) if "rouge1_p" in split["systems"].get(system, {})]
    rows = [
        [
            LABELS[system],
            *(number(split["systems"][system][f"{name}_{part}"]["mean"]) for name in ROUGES for part in "pr"),
        ]
        for system in systems
    ]
    header = ["unseen titles", *(f"{title} {part}" for title in ROUGES.values() for part in ("precision", "recall"))]
    return ["What the ROUGE values are made of:", "", *markdown(header, rows), ""] if rows else []


def _columns(split: dict) -> dict:
    """{title: function from a metric's name to its cell}; intervals and seeds only where the eye needs them."""
    systems, change = split["systems"], split["differences"]["tuned-base"]

    def of(values: dict, write):
        return lambda name: write(values[name]) if name in values else "–"

    def seeded(values: dict, *pair: str):
        return lambda name: with_seeds(values[name], seed_range(split, name, *pair)) if name in values else "–"

    others = {BASELINES[system]: of(systems[system], center) for system in BASELINES if system in systems}
    return {
        "base": of(systems["base"], center),
        TUNED[0]: seeded(systems["tuned"], "tuned"),
        TUNED[1]: seeded(change, "tuned", "base"),
        "reference": of(split["reference"], center),
    } | others
