"""Everything that is written for a reader out of `metrics.json`: the terminal table, findings in words, CSVs, the HTML page.

Why findings in words are computed: a sentence typed by hand outlives the run that it described.
How: `print(table(metrics))`; `write_files(...)` is called by `ftlib.evaluation.runner`.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from ftlib.evaluation.metrics import BETTER, BETTER_TEXT, METRICS
from ftlib.pipeline.run_admin import DEFINITIONS, read_json, read_jsonl, write_text
from ftlib.prompts.encoding import split_prompt
from ftlib.reporting import plots

SHOWN = (
    "nll nll_content bits_per_byte format stops rouge1 rouge2 rougeL chrf gram8_r cosine length_ratio distinct2 rep4 "
    "title_coverage unsupported_numbers copied_run"
).split()
RERUN = "†"
RERUN_REASONS = {
    "title_coverage": "numbers such as 1.000, 1,5 and ½ were read otherwise",
    "unsupported_numbers": "the same, and a number inside a code of the title counted as invented",
    "length_ratio": "no interval of the median was recorded, or the mean alone",
    "nll_content": "not in the table, the parts of an answer were not scored apart",
}
NEARLY_ALL = 0.95  # of the references fit in the longest answer: then `stops` has room
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
    return f"{steps}: {rows}, {settings['trained_epochs']:g} epoch{'s' * (settings['trained_epochs'] != 1)}"


def number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def interval(found: dict) -> str:
    """Mean [95 % interval], or the median with its own where there is one; what the decoding forces is no result."""
    if found.get("forced"):
        return f"forced ({number(found['mean'])})"
    center, limits = ("median", "median_ci95") if "median" in found else ("mean", "ci95")
    if limits not in found:
        return number(found[center])  # recorded without one
    low, high = found[limits]
    return f"{number(found[center])} [{number(low)}, {number(high)}]"


def center(found: dict) -> str:
    """The same without the interval."""
    return "forced" if found.get("forced") else number(found.get("median", found["mean"]))


def seed_range(split: dict, name: str, system: str = "tuned", other: str | None = None) -> tuple[float, float] | None:
    """Lowest and highest of the seeds' means (medians) of a metric, or of their differences to `other`; None with one seed.

    The interval beside it is over rows and says nothing of other trainings. A handful of seeds is too few to resample: three
    of them give a 95 % interval either no honest width or that of a t with two degrees of freedom, so they are shown.
    """
    values = []
    for seed in split.get("seeds", {}).values():
        own, others = (_of_seed(split, seed, each, name) for each in (system, other))
        if own is None or (other is not None and others is None):
            return None
        values.append(own - (others or 0.0))
    return (min(values), max(values)) if len(values) > 1 else None


def seeds_agree(split: dict, name: str, system: str, other: str) -> bool:
    """Whether every seed says of a difference what their mean says: the same sign, or the same side nearer to the reference."""
    if BETTER[name] != "reference":
        found = seed_range(split, name, system, other)
        return found is None or not found[0] <= 0 <= found[1]
    own, whole = split.get("reference", {}).get(name), split.get("systems", {})
    seeds = seed_range(split, name, system)
    if own is None or seeds is None or name not in whole.get(other, {}):
        return True
    target = own.get("median", own["mean"])
    far = abs(whole[other][name].get("median", whole[other][name]["mean"]) - target)
    return len({abs(value - target) < far for value in seeds}) == 1


def _of_seed(split: dict, seed: dict, system: str | None, name: str) -> float | None:
    """The figure of one seed; of a system that was not trained, which all seeds share, the split's own."""
    if system is None:
        return None
    whole = split.get("systems", {}).get(system, {}).get(name)
    if whole is None:
        return None
    if "median" in whole:
        return seed.get(f"{system}_medians", {}).get(name) if system.startswith("tuned") else whole["median"]
    if system in seed:
        return seed[system].get(name)
    return None if system.startswith("tuned") else whole["mean"]


def with_seeds(found: dict, seeds: tuple[float, float] | None) -> str:
    """An interval over rows, and beside it the range of the seeds."""
    if seeds is None or found.get("forced"):
        return interval(found)
    return f"{interval(found)}, seeds {number(seeds[0])} to {number(seeds[1])}"


def marked(title: str, split: dict, name: str | None = None) -> str:
    """A metric's title (its name), with a mark where its figures are to be run again."""
    return title + (f" {RERUN}" if (name or title) in split.get("to_rerun", ()) else "")


def rerun_note(split: dict, shown: Sequence[str] = SHOWN) -> list[str]:
    """Lines: what the mark means for the metrics `shown`, and what is missing; none if nothing is to be run again."""
    marks = {name for name in split.get("to_rerun", ()) if name in (*shown, "nll_content")}
    if not marks:
        return []
    reasons = "; ".join(f"`{name}`: {reason}" for name, reason in RERUN_REASONS.items() if name in marks)
    return [
        f"{RERUN} To be re-run, recorded under older definitions: {reasons}. The other figures stand, with the intervals that "
        "today's code has for them.",
        "",
    ]


def has_verdict(change: dict, name: str) -> bool:
    """False for a metric without a direction, a forced one, and one whose distance to the reference was not recorded."""
    known = "nearer" in change if BETTER[name] == "reference" else BETTER[name] != "neutral"
    return known and not change.get("forced")


def verdict_of(change: dict, name: str) -> str | None:
    """'better', 'worse' or None (no difference shown) for a paired difference: by its interval and the metric's direction.

    A metric whose reference has a value of its own is better where the distance to it is smaller.
    """
    if not has_verdict(change, name):
        return None
    low, high = (change["nearer"] if BETTER[name] == "reference" else change)["ci95"]
    if low <= 0 <= high:
        return None
    return "better" if (low > 0) == (BETTER[name] == "higher") else "worse"


def markdown(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return [lines[0], "|" + "---|" * len(header), *lines[1:]]


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with the text between two markers, in place of what stood there."""
    before, _, rest = page.partition(begin)
    return before + begin + text + end + rest.partition(end)[2]


def under_definitions(metrics: dict) -> dict:
    """metrics.json with its splits under today's definitions (see `ftlib.evaluation.recorded`)."""
    older = [name for name in SPLIT_TITLES if name in metrics and metrics[name].get("definitions", 1) < DEFINITIONS]
    if not older:
        return metrics
    from ftlib.evaluation.recorded import upgraded

    generation = metrics.get("settings", {}).get("generation", {})
    return metrics | {name: upgraded(metrics[name], generation) for name in older}


def table_rows(split: dict) -> list[list[str]]:
    """Cells under `header(split)`: metric, base, tuned, tuned - base, wins/ties/losses, the reference, the baselines' means."""
    systems, difference = split["systems"], split["differences"].get("tuned-base", {})
    reference, rows = split.get("reference", {}), []
    write = interval if split.get("text_n", split.get("n")) != 1 else center  # one row shows no spread
    for name in SHOWN:
        if not any(name in found for found in systems.values()):
            continue  # cosine, where its weights are not installed
        cells = [write(systems[s][name]) if name in systems[s] else "–" for s in ("base", "tuned")]
        change = difference.get(name)
        cells += [write(change), wins(change)] if change else ["–", "–"]
        cells.append(center(reference[name]) if name in reference else "–")
        cells += [center(systems[s][name]) if name in systems[s] else "–" for s in BASELINES if s in systems]
        rows.append([marked(name, split), *cells])
    return rows


def wins(change: dict) -> str:
    """Rows that the first system won, tied and lost; a dash where no direction is better, or the decoding decides."""
    return f"{change['wins']}/{change['ties']}/{change['losses']}" if "wins" in change else "–"


def header(split: dict) -> list[str]:
    """Of the before/after table."""
    baselines = [title for system, title in BASELINES.items() if system in split["systems"]]
    return ["metric", "before (base)", "after (tuned)", "difference", "win/tie/loss", "the reference", *baselines]


def table(metrics: dict, split: str = "unseen") -> str:
    """The before/after table for the terminal: mean [95 % interval]."""
    metrics = under_definitions(metrics)
    rows = [header(metrics[split]), *table_rows(metrics[split])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    title = f"{metrics[split]['n']} {SPLIT_TITLES[split]}; mean [95 % interval], length_ratio: median"
    if split == "seen":
        title += f"; {trained_on(metrics['settings'])}"
    return "\n".join([title, *lines])


def frame(metrics: dict, split: str = "unseen"):
    """The same table as a pandas DataFrame, which a notebook shows as a real table, on a phone too."""
    import pandas

    metrics = under_definitions(metrics)
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
        n = metrics[split]["n"]
        where = f"{split.capitalize()} titles (n = {n})"
        nll, rouge = change["nll"], change["rougeL"]
        beside = with_seeds(nll, seed_range(metrics[split], "nll", "tuned", "base"))
        said.append(f"{where}: the references' NLL per token {_verdict(nll, n)} ({beside} nats).")
        base, tuned = systems["base"]["format"]["mean"], systems["tuned"]["format"]["mean"]
        said.append(f'{where}: {base:.0%} of the answers began with "Description:" before, {tuned:.0%} after.')
        beside = with_seeds(rouge, seed_range(metrics[split], "rougeL", "tuned", "base"))
        said.append(f"{where}: ROUGE-L {_verdict(rouge, n)} ({beside}).")
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
        said += [f"{where}: {sentence}" for sentence in _about_ends(metrics[split])]
    if 1 < metrics["unseen"]["n"] < 100:
        said.append(f"Only {metrics['unseen']['n']} rows: read the intervals, not the means.")
    return said


def _about_ends(split: dict) -> list[str]:
    """Why `stops` says less than it seems to."""
    if split["systems"]["tuned"].get("stops", {}).get("forced"):
        return ["the length penalty forces every answer to end, so `stops` says nothing of the model."]
    own = split.get("reference", {}).get("stops", {}).get("mean", 1.0)
    if own < NEARLY_ALL:
        return [f"only {own:.0%} of the references fit in the longest answer, so more than that can hardly stop."]
    return []


def _verdict(change: dict, n: int) -> str:
    low, high = change["ci95"]
    if n == 1:
        return "cannot be judged by one row, which has no interval"
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
            columns={column.name: column for column in METRICS},
            better=BETTER_TEXT,
            figures=[(caption, base64.b64encode(plots.as_png(figure)).decode()) for caption, figure in figures],
            examples=unseen[:EXAMPLES],
            labels=LABELS,
            settings=metrics["settings"],
        )
    )
