"""Write what a reader opens after an evaluation: CSVs with all answers, and one self-contained HTML page.

`write_files(...)` is called by the pipeline.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from ftlib.evaluation.analysis import hardest, noisiest
from ftlib.evaluation.metric_table import BETTER_TEXT, METRICS, describe
from ftlib.evaluation.retention import WINDOW
from ftlib.reporting import plots
from ftlib.reporting.sentences import findings
from ftlib.reporting.tables import (
    LABELS,
    SPLIT_TITLES,
    Table,
    header,
    number,
    retention_table,
    table_rows,
    trained_on,
)
from ftlib.runtime.files import read_json, read_jsonl, write_text
from ftlib.runtime.language import using

EXAMPLES = 20  # side by side on the page
EXTREMES = 50  # rows of the improved and worsened files at most


def escape_cell(value):
    """Prefix a cell that begins like a formula with a quote, so that a spreadsheet shows it as text."""
    return "'" + value if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def write_csv(path: Path, lines: list[dict], columns: list[str]) -> None:
    """Write a CSV file with escaped cells, complete or not at all."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: escape_cell(value) for key, value in line.items()} for line in lines)
    write_text(path, buffer.getvalue())


def write_files(folder: Path, metrics: dict, lines: list[dict], likelihoods: list[dict]) -> None:
    """Write side_by_side.csv, rows.csv, improved_examples.csv, worsened_examples.csv and report.html.

    lines, likelihoods: see `side_by_side` and `row_likelihoods` of `ftlib.evaluation.analysis`.
    """
    write_csv(folder / "rows.csv", likelihoods, list(likelihoods[0]))
    columns = list(lines[0])
    write_csv(folder / "side_by_side.csv", lines, columns)
    ranked = sorted(lines, key=lambda line: -line["delta"])
    write_csv(folder / "improved_examples.csv", [r for r in ranked if r["delta"] > 0][:EXTREMES], columns)
    write_csv(folder / "worsened_examples.csv", [r for r in ranked[::-1] if r["delta"] < 0][:EXTREMES], columns)
    write_text(folder / "report.html", html(folder.parent, metrics, lines, likelihoods))


@using("en")
def html(run: Path, metrics: dict, lines: list[dict], likelihoods: Sequence[dict] = ()) -> str:
    """Render one self-contained page, in English: no script, no further file, all text escaped by the template.

    lines, likelihoods: as in `write_files`.
    """
    from jinja2 import Environment

    template = (resources.files("ftlib.reporting") / "report.html.jinja").read_text(encoding="utf-8")
    unseen = [line for line in lines if line["split"] == "unseen"]
    log_path, funnel_path = run / "adapter" / "train_log.jsonl", run / "dataset" / "funnel.json"
    figures = []
    if funnel_path.exists():
        figures.append(("Rows: what came in, what each step took away", plots.funnel_plot(read_json(funnel_path))))
    if log_path.exists():
        figures.append(("Loss while training", plots.loss_plot(read_jsonl(log_path))))
    figures.append(("ROUGE-L of each system, with intervals", plots.systems_plot(metrics, "rougeL")))
    figures.append(("NLL per token on the references, with intervals", plots.systems_plot(metrics, "nll")))
    return (
        Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        .from_string(template)
        .render(
            metrics=metrics,
            trained=trained_on(metrics["settings"]),
            findings=findings(metrics),
            tables=[(SPLIT_TITLES[s], metrics[s]["n"], table_rows(metrics[s])) for s in SPLIT_TITLES if s in metrics],
            header=header(metrics["unseen"]),
            retention=retention_table(metrics) if "retention" in metrics else None,
            window=WINDOW,
            row_tables=row_tables(likelihoods, {line["uid"]: line["title"] for line in unseen}),
            columns={column.name: column for column in METRICS},
            describe=describe,
            better=BETTER_TEXT,
            figures=[(caption, base64.b64encode(plots.as_png(figure)).decode()) for caption, figure in figures],
            examples=unseen[:EXAMPLES],
            labels=LABELS,
            settings=metrics["settings"],
        )
    )


ROW_NOTES = {
    "The hardest rows": (
        hardest,
        "Unseen rows whose reference is least likely under the fine-tuned model: where both values are high, the title does not "
        "give the text away, or the text is damaged.",
    ),
    "The noisiest rows": (
        noisiest,
        "Unseen rows whose reference became less likely by fine-tuning, largest increase first: they are unlike the training "
        "rows, such as text in another language or leftovers of a page, which a cleaning step may remove.",
    ),
}


def row_tables(likelihoods: Sequence[dict], titles: dict[str, str]) -> list[tuple[str, str, Table]]:
    """Return (heading, how to read it, table) of the hardest and noisiest unseen rows. titles: {uid: title}."""
    head = ["title", "uid", "scored tokens", "NLL per token, base", "fine-tuned", "difference"]
    tables = []
    for heading, (select, note) in ROW_NOTES.items():
        rows = [
            [titles[row["uid"]], row["uid"], str(row["nll_tokens"]), number(row["nll_base"]), number(row["nll_tuned"]),
             f"{row['nll_tuned'] - row['nll_base']:+.3f}"]
            for row in select(likelihoods)
        ]  # fmt: skip
        tables.append((heading, note if rows else "There are none.", Table(head, rows)))
    return tables
