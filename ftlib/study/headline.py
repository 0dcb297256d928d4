"""The headline: base against fine-tuned model on all test rows, as tables and as results/headline.json.

The first run of the study `headline` is the chosen decoding; its run `greedy`, if there is one, is the second column.
The file has the schema of metrics.json, with rows, seeds, intervals and settings together. `ftlib study report` writes
it, the full tables into REPORT.md, docs/results.md and notebook 05, and a short one into the README.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from ftlib.evaluation.analysis import verdicts
from ftlib.reporting.sentences import findings
from ftlib.reporting.tables import (
    BASELINES,
    LABELS,
    SHOWN,
    SPLIT_TITLES,
    Table,
    cells,
    center,
    interval,
    marked,
    rerun_note,
    seed_cells,
)
from ftlib.runtime.language import using

FILES = {  # {study: its file in results/}
    "headline": "headline.json",
    "headline_group": "headline_group.json",
    "confirmation": "confirmation.json",
}
SHORT_BLOCKS = {  # of the tables in docs/results.md; results/REPORT.md has all
    "headline": ("unseen", "unseen_new"),
    "headline_group": ("unseen", "unseen_near"),
    "confirmation": ("unseen",),
}
SECOND = "greedy"
ROUGES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
TUNED = ("tuned", "tuned - base")  # the columns that the second decoding has too
WITH_PASSAGES = {  # columns of the tables of a study with retrieval
    "nll": "NLL",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "chrf": "chrF",
    "cosine": "cosine",
    "length_ratio": "length ratio",
    "copied_passage": "copied passage",
    "numbers_not_in_context": "numbers not in context",
}
CLAIMS = (  # pairs of systems
    *[("tuned_open", other) for other in ("nearest", "copy_title", "tuned", "base_open", "tuned_mix")],
    ("tuned_mix", "tuned"),
    ("tuned", "base"),
    ("nearest", "copy_title"),
)
SHORT = {"nll": "NLL (nats per token)", "rougeL": "ROUGE-L", "rouge2": "ROUGE-2", "chrf": "chrF"}
SHORT_SYSTEMS = {
    "base": "base",
    "tuned": "fine-tuned",
    "tuned_open": "fine-tuned, with retrieval",
    "copy_title": "copied title",
    "nearest": "nearest title's text",
}
SHORT_CLAIMS = (  # pairs of systems that the README compares
    ("tuned", "base"),
    ("tuned_open", "tuned"),
    ("tuned_open", "nearest"),
    ("tuned_open", "copy_title"),
    ("tuned", "nearest"),
)


def metrics_of(study: dict) -> dict:
    """Return `results/headline.json`: unseen, seen and settings of the first run, and the same rows decoded greedily."""
    runs, first = study["runs"], study["first"]
    header = {key: study[key] for key in ("study", "profile", "evaluate_on", "set")}
    settings = header | {"run": first, "changes": runs[first]["changes"], "seeds": runs[first]["seeds"]}
    metrics = dict(runs[first]["metrics"]) | {"settings": settings}
    if first != SECOND and SECOND in runs:
        metrics[SECOND] = runs[SECOND]["metrics"]
    return metrics


def rounded(value: dict) -> dict:
    """Round all floats to seven significant digits: differences of recorded numbers have no more."""
    return json.loads(json.dumps(value), parse_float=lambda text: float(f"{float(text):.7g}"))


@using("en")
def tables(study: dict, blocks: Collection[str] = tuple(SPLIT_TITLES)) -> list[str]:
    """Render a table for each split, and what the values show. The study's file holds the intervals of all systems.

    blocks: those of a study with retrieval that are rendered.
    """
    metrics = metrics_of(study)
    if "tuned_mix" in metrics["unseen"]["systems"]:
        return tables_with_passages(metrics, blocks)
    lines = []
    for split in (split for split in SPLIT_TITLES if "tuned-base" in metrics.get(split, {}).get("differences", {})):
        split_metrics = metrics[split]
        names = [name for name in SHOWN if name in split_metrics["systems"]["tuned"]]
        columns = {"metric": [marked(name, split_metrics) for name in names]} | _columns(split_metrics, names)
        if SECOND in metrics:
            second = _columns(metrics[SECOND][split], names)
            columns |= {f"{SECOND}: {title}": second[title] for title in TUNED}
        lines += [
            f"{split_metrics['n']} {SPLIT_TITLES[split]}, {split_metrics['text_n']} of them answered in full, mean of the seeds "
            f"{', '.join(map(str, metrics['settings']['seeds']))} [95 % interval over rows], then the range of the seeds' means "
            f"(length_ratio: medians); decoding `{metrics['settings']['run']}`:",
            "",
            *Table.of_columns(columns).markdown(),
            *rerun_note(split_metrics),
            f"Of the references {interval(split_metrics['reference']['stops'])} end within the longest answer.",
            "",
        ]
    for system in BASELINES:
        if system in metrics["unseen"]["systems"]:
            names_by_verdict = verdicts(metrics, "unseen", f"tuned-{system}")
            text = "; ".join(f"{verdict}: {', '.join(names) or 'none'}" for verdict, names in names_by_verdict.items())
            lines.append(f"- Unseen titles, tuned against {LABELS[system]}: {text}.")
    return [*lines, *(f"- {sentence}" for sentence in findings(metrics)), "", *precision_and_recall(metrics["unseen"])]


def tables_with_passages(metrics: dict, blocks: Collection[str]) -> list[str]:
    """Render the systems of a study with retrieval, and the paired differences that its claims rest on, block by block."""
    settings, lines = metrics["settings"], []
    seeds = ", ".join(map(str, settings["seeds"]))
    for block in (block for block in SPLIT_TITLES if block in metrics and block in blocks):
        split = metrics[block]
        names = [name for name in WITH_PASSAGES if any(name in values for values in split["systems"].values())]
        titles = [WITH_PASSAGES[name] for name in names]
        rows = [
            [LABELS[system], *cells(split["systems"][system], names)] for system in LABELS if system in split["systems"]
        ]
        rows.append(["the reference itself", *cells(split["reference"], names, center)])
        pairs = [pair for pair in CLAIMS if "-".join(pair) in split["differences"]]
        claims = [[f"{LABELS[a]} - {LABELS[b]}", *seed_cells(split, names, a, b)] for a, b in pairs]
        lines += [
            f"{split['n']} {SPLIT_TITLES[block]}, {split['text_n']} of them answered in full; split "
            f"`{settings['set'].get('data.split', '')}`, mean of the seeds {seeds} [95 % interval over rows]; decoding of run "
            f"`{settings['run']}`; length_ratio: median.",
            "",
            *Table(["system", *titles], rows).markdown(),
            "Paired differences [95 % interval over rows], then the range over the seeds:",
            "",
            *Table(["difference", *titles], claims).markdown(),
        ]
    return lines


def precision_and_recall(split: dict) -> list[str]:
    """Render precision and recall of ROUGE: a short answer whose words all occur has a high precision only."""
    titles = {
        f"{name}_{letter}": f"{title} {part}"
        for name, title in ROUGES.items()
        for letter, part in (("p", "precision"), ("r", "recall"))
    }
    systems = {system: split["systems"].get(system, {}) for system in ("tuned", *BASELINES)}
    rows = [
        [LABELS[system], *cells(values, titles, center)] for system, values in systems.items() if "rouge1_p" in values
    ]
    return (
        ["What the ROUGE values are made of:", "", *Table(["unseen titles", *titles.values()], rows).markdown()]
        if rows
        else []
    )


@using("en")
def short_table(metrics: dict) -> list[str]:
    """Render the README's table from `results/headline.json`: four metrics of the main systems on unseen titles."""
    unseen, settings = metrics["unseen"], metrics["settings"]
    shown = {system: title for system, title in SHORT_SYSTEMS.items() if system in unseen["systems"]}
    columns = {title: cells(unseen["systems"][system], SHORT) for system, title in shown.items()}
    return [
        f"{unseen['n']:,} titles of the {settings['evaluate_on']} split, mean of the training seeds "
        f"{', '.join(map(str, settings['seeds']))} [95 % interval over rows]. Model: `{settings['set'].get('model.name', '')}`.",
        "",
        *Table.of_columns({"metric": list(SHORT.values())} | columns).markdown(),
        *short_claims(metrics),
    ]


@using("en")
def short_claims(metrics: dict) -> list[str]:
    """Render what the paired differences of the README's systems show, one line a pair."""
    lines = []
    for pair in SHORT_CLAIMS:
        if "-".join(pair) not in metrics["unseen"]["differences"]:
            continue
        by_verdict = verdicts(metrics, "unseen", "-".join(pair))
        titles = {
            verdict: [title.partition(" (")[0] for name, title in SHORT.items() if name in names]
            for verdict, names in by_verdict.items()
        }
        parts = [f"{verdict} by {', '.join(shown)}" for verdict, shown in titles.items() if shown]
        if parts:
            lines.append(f"- **{SHORT_SYSTEMS[pair[0]]}** against **{SHORT_SYSTEMS[pair[1]]}**: {'; '.join(parts)}.")
    return [*lines, ""] if lines else []


def _columns(split: dict, names: list[str]) -> dict[str, list[str]]:
    """Return {title: cells}; intervals and seeds only for the fine-tuned model."""
    systems = split["systems"]
    return {
        "base": cells(systems["base"], names, center),
        TUNED[0]: seed_cells(split, names, "tuned"),
        TUNED[1]: seed_cells(split, names, "tuned", "base"),
        "reference": cells(split["reference"], names, center),
    } | {BASELINES[system]: cells(systems[system], names, center) for system in BASELINES if system in systems}
