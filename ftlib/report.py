"""Everything that is written for a reader out of `metrics.json`: the terminal table, findings in words, CSVs, the HTML page.

Why findings in words are computed: a sentence typed by hand outlives the run that it described.
How: `print(table(metrics))`; `write_files(...)` is called by `ftlib.evaluation`.
"""

from __future__ import annotations

import base64
import csv
import io
from importlib import resources
from pathlib import Path

from ftlib import plots
from ftlib.metrics import METRICS
from ftlib.prompts import split_prompt
from ftlib.runs import read_json, read_jsonl, write_text

SHOWN = (
    "nll bits_per_byte format stops rouge1 rouge2 rougeL chrf gram8_r cosine length_ratio distinct2 rep4 title_coverage "
    "unsupported_numbers copied_run"
).split()
EXAMPLES = 20  # side by side on the page
EXTREMES = 50  # rows of the improved and worsened files at most
LABELS = {
    "base": "before (base)",
    "tuned": "after (tuned)",
    "base_one_shot": "before, one example shown",
    "base_open": "before, open book",
    "tuned_open": "after, open book",
    "copy_title": "copy the title",
    "nearest": "nearest title's text",
}
BASELINES = {  # columns, if there
    "base_one_shot": "base, one shot",
    "base_open": "base, open book",
    "tuned_open": "tuned, open book",
    "copy_title": "copy title",
    "nearest": "nearest",
}
SPLIT_TITLES = {"unseen": "unseen titles (test split)", "seen": "seen titles (rows that were trained on)"}


def trained_on(settings: dict) -> str:
    """Return how much of the training split the model saw: '40 steps of 16 examples: 640 of 1,781 rows, 0.36 epochs'."""
    steps = f"{settings['steps']} steps of {settings['examples_per_step']} examples"
    if "trained_rows" not in settings:  # recorded before it was counted
        return f"{steps}, drawn from {settings['train_rows']:,} training rows"
    rows = f"{settings['trained_rows']:,} of {settings['train_rows']:,} training rows"
    return f"{steps}: {rows}, {settings['trained_epochs']:g} epochs"


def number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def interval(found: dict) -> str:
    low, high = found["ci95"]
    return f"{number(found['mean'])} [{number(low)}, {number(high)}]"


def markdown(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return [lines[0], "|" + "---|" * len(header), *lines[1:]]


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with the text between two markers, in place of what stood there."""
    before, _, rest = page.partition(begin)
    return before + begin + text + end + rest.partition(end)[2]


def table_rows(split: dict) -> list[list[str]]:
    """Cells under `header(split)`: metric, base, tuned, tuned - base, wins/ties/losses, then the baselines' means."""
    systems, difference = split["systems"], split["differences"].get("tuned-base", {})
    rows = []
    for name in SHOWN:
        if not any(name in found for found in systems.values()):
            continue  # cosine, where its weights are not installed
        cells = [interval(systems[s][name]) if name in systems[s] else "–" for s in ("base", "tuned")]
        change = difference.get(name)
        cells += [interval(change), f"{change['wins']}/{change['ties']}/{change['losses']}"] if change else ["–", "–"]
        cells += [number(systems[s][name]["mean"]) if name in systems[s] else "–" for s in BASELINES if s in systems]
        rows.append([name, *cells])
    return rows


def header(split: dict) -> list[str]:
    """Of the before/after table."""
    baselines = [title for system, title in BASELINES.items() if system in split["systems"]]
    return ["metric", "before (base)", "after (tuned)", "difference", "win/tie/loss", *baselines]


def table(metrics: dict, split: str = "unseen") -> str:
    """The before/after table for the terminal: mean [95 % interval]."""
    rows = [header(metrics[split]), *table_rows(metrics[split])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    title = f"{metrics[split]['n']} {SPLIT_TITLES[split]}; mean [95 % bootstrap interval]"
    if split == "seen":
        title += f"; {trained_on(metrics['settings'])}"
    return "\n".join([title, *lines])


def frame(metrics: dict, split: str = "unseen"):
    """The same table as a pandas DataFrame, which a notebook shows as a real table, on a phone too."""
    import pandas

    rows = table_rows(metrics[split])
    return pandas.DataFrame(
        [row[1:] for row in rows], index=[row[0] for row in rows], columns=header(metrics[split])[1:]
    )


def findings(metrics: dict) -> list[str]:
    """What the figures say, in sentences made from them: gains, losses and what is not shown."""
    said = []
    for split in ("unseen", "seen"):
        if split not in metrics:
            continue
        systems, change = metrics[split]["systems"], metrics[split]["differences"]["tuned-base"]
        where = f"{split.capitalize()} titles (n = {metrics[split]['n']})"
        nll, rouge = change["nll"], change["rougeL"]
        said.append(f"{where}: the references' NLL per token {_verdict(nll)} ({interval(nll)} nats).")
        base, tuned = systems["base"]["format"]["mean"], systems["tuned"]["format"]["mean"]
        said.append(f'{where}: {base:.0%} of the answers began with "Description:" before, {tuned:.0%} after.')
        said.append(f"{where}: ROUGE-L {_verdict(rouge)} ({interval(rouge)}).")
        if rouge["ci95"][0] <= 0:
            echo = [f"{systems[s]['title_coverage']['mean']:.0%}" for s in ("base", "tuned")]
            said.append(
                f"{where}: ROUGE-L shows no gain. It rewards repeating the title (copying it, and nothing else, scores "
                f"{number(systems['copy_title']['rougeL']['mean'])}), and the answers name {echo[0]} of the title's words before "
                f"and {echo[1]} after; a short training can lose here what it gains in likelihood."
            )
        elif systems["copy_title"]["rougeL"]["mean"] >= systems["tuned"]["rougeL"]["mean"]:
            said.append(
                f"{where}: copying the title, and nothing else, scores ROUGE-L "
                f"{number(systems['copy_title']['rougeL']['mean'])}, no less than "
                "the tuned model: ROUGE-L alone proves little here."
            )
    if metrics["unseen"]["n"] < 100:
        said.append(f"Only {metrics['unseen']['n']} rows: read the intervals, not the means.")
    return said


def _verdict(change: dict) -> str:
    low, high = change["ci95"]
    if low <= 0 <= high:
        return "did not change beyond chance"
    return "fell" if high < 0 else "rose"


def side_by_side(rows: dict, done: dict, per_row: dict) -> list[dict]:
    """One dict a row: uid, split, title, question, reference, each system's answer, rougeL_<system>, delta (tuned - base)."""
    lines = []
    for split, found in rows.items():
        for place, row in enumerate(found):
            systems = per_row[split]
            line = {
                "uid": row["uid"],
                "split": split,
                "title": row["title"],
                "question": split_prompt(row["input_text"])[1],
            }
            line |= {"reference": row["content"]} | {s: done[split, s, row["uid"]].text for s in systems}
            line |= {f"rougeL_{s}": round(systems[s]["rougeL"][place], 4) for s in systems}
            line["delta"] = round(line["rougeL_tuned"] - line["rougeL_base"], 4)
            lines.append(line)
    return lines


def escape_cell(value):
    """A cell that begins like a formula would run in a spreadsheet; a quote in front makes it text."""
    return "'" + value if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def write_csv(path: Path, lines: list[dict], columns: list[str]) -> None:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: escape_cell(value) for key, value in line.items()} for line in lines)
    write_text(path, buffer.getvalue())


def write_files(folder: Path, metrics: dict, rows: dict, done: dict, per_row: dict) -> None:
    """side_by_side.csv, improved_examples.csv, worsened_examples.csv and report.html."""
    lines = side_by_side(rows, done, per_row)
    columns = list(lines[0])
    write_csv(folder / "side_by_side.csv", lines, columns)
    ranked = sorted(lines, key=lambda line: -line["delta"])
    write_csv(folder / "improved_examples.csv", [r for r in ranked if r["delta"] > 0][:EXTREMES], columns)
    write_csv(folder / "worsened_examples.csv", [r for r in ranked[::-1] if r["delta"] < 0][:EXTREMES], columns)
    write_text(folder / "report.html", html(folder.parent, metrics, lines))


def html(run: Path, metrics: dict, lines: list[dict]) -> str:
    """One self-contained page: no script, no file beside it, all text escaped by the template."""
    from jinja2 import Environment

    template = (resources.files("ftlib") / "report.html.jinja").read_text(encoding="utf-8")
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
            tables=[
                (SPLIT_TITLES[s], metrics[s]["n"], table_rows(metrics[s]), metrics[s]["reference"])
                for s in SPLIT_TITLES
                if s in metrics
            ],
            header=header(metrics["unseen"]),
            columns={column.name: column for column in METRICS},
            interval=interval,
            figures=[(caption, base64.b64encode(plots.as_png(figure)).decode()) for caption, figure in figures],
            examples=unseen[:EXAMPLES],
            labels=LABELS,
            settings=metrics["settings"],
        )
    )
