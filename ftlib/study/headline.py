"""The headline: base against tuned on all test rows, in one table, and as results/headline.json in the schema of metrics.json.

What: the first run of the study `headline` is the chosen decoding; its run `greedy`, if there is one beside it, is the second
column. Why one file: whoever quotes the project's result needs its rows, seeds, intervals and settings together.
How: `ftlib study report` writes the file and puts the table into REPORT.md, README and notebook 05.
"""

from __future__ import annotations

from ftlib.reading import verdicts
from ftlib.report import BASELINES, LABELS, SPLIT_TITLES, findings, header, interval, markdown, table_rows

STUDY, FILE, SECOND = "headline", "headline.json", "greedy"


def metrics_of(study: dict) -> dict:
    """`results/headline.json`: unseen, seen and settings of the first run, and the same rows answered greedily."""
    runs, first = study["runs"], study["first"]
    about = {key: study[key] for key in ("study", "profile", "evaluate_on", "set")}
    settings = about | {"run": first, "changes": runs[first]["changes"], "seeds": runs[first]["seeds"]}
    found = dict(runs[first]["metrics"]) | {"settings": settings}
    if first != SECOND and SECOND in runs:
        found[SECOND] = runs[SECOND]["metrics"]
    return found


def tables(study: dict) -> list[str]:
    """Lines of Markdown: a table for each split, and what the figures say."""
    found = metrics_of(study)
    lines = []
    for split in (split for split in SPLIT_TITLES if split in found):
        one = found[split]
        columns, rows = header(one), table_rows(one)
        if SECOND in found:
            other = found[SECOND][split]
            columns = [*columns, f"{SECOND}: after", f"{SECOND}: difference"]
            systems, changes = other["systems"]["tuned"], other["differences"]["tuned-base"]
            rows = [
                [*row, *(interval(each[row[0]]) if row[0] in each else "–" for each in (systems, changes))]
                for row in rows
            ]
        lengths = ", ".join(f"{system} {value:.2f}" for system, value in one["median_length_ratio"].items())
        fits = one["reference"]["stops"]
        lines += [
            f"{one['n']} {SPLIT_TITLES[split]}, {one['text_n']} of them answered in words, "
            f"mean of the seeds {', '.join(map(str, found['settings']['seeds']))}; decoding `{found['settings']['run']}`:",
            "",
            *markdown(columns, rows),
            "",
            f"Of the references {interval(fits)} end within the longest answer. Median length ratio: {lengths}.",
            "",
        ]
    for system in BASELINES:
        if system in found["unseen"]["systems"]:
            said = verdicts(found, "unseen", f"tuned-{system}")
            words = "; ".join(f"{verdict}: {', '.join(names) or 'none'}" for verdict, names in said.items())
            lines.append(f"- Unseen titles, tuned against {LABELS[system]}: {words}.")
    return [*lines, *(f"- {sentence}" for sentence in findings(found)), ""]
