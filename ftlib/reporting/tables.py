"""Render metrics as tables: Markdown, console and data frame."""

from __future__ import annotations

from collections.abc import Sequence

from ftlib.evaluation.metric_table import DEFINITIONS

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
