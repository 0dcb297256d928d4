"""Render what is recorded under results/: tables in docs/ and README, the two figures of the README.

Why: a number typed by hand outlives the run that it came from. A test renders everything again and compares.
How: python benchmarks/render_results.py
"""

from __future__ import annotations

from pathlib import Path

import render_performance
from shapes import JOB_EXAMPLES, SHAPES

from ftlib.evaluation.bootstrap import SMALL
from ftlib.evaluation.metric_table import DEFINITIONS
from ftlib.evaluation.recorded import widened
from ftlib.reporting import plots
from ftlib.reporting.sentences import findings
from ftlib.reporting.tables import (
    DASH,
    LABELS,
    SPEED_COLUMNS,
    Table,
    between,
    cells,
    center,
    interval,
    marked,
    of_shape,
    rerun_note,
    speed_table,
    trained_on,
    under_definitions,
)
from ftlib.runtime.files import read_json, replacing, write_text
from ftlib.runtime.language import using

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = (
    "<!-- results: rendered by benchmarks/render_results.py from results/, do not edit by hand -->\n",
    "<!-- /results -->",
)
SPEED_BEGIN, SPEED_END = (
    "<!-- speed: rendered from results/, do not edit by hand -->\n",
    "<!-- /speed -->",
)
RETRIEVAL = {
    "base": "base, without retrieval",
    "base_open": "base, with retrieval",
    "tuned": "fine-tuned, without retrieval",
    "tuned_open": "fine-tuned, with retrieval",
    "nearest": LABELS["nearest"],
}
SYSTEM_LABELS = {  # of the headline picture
    "base": "base model",
    "base_one_shot": "base model, one example in the prompt",
    "base_open": "base model with retrieval",
    "tuned": "fine-tuned model",
    "tuned_mix": "the same model without retrieval",
    "tuned_open": "fine-tuned model with retrieval",
    "copy_title": "copy of the title",
    "nearest": "lookup: text of the nearest training title",
}
RETRIEVAL_METRICS = ("nll", "rougeL", "unsupported_numbers", "copied_run")
METRICS = ("nll", "format", "stops", "rouge1", "rougeL", "chrf", "title_coverage", "unsupported_numbers")
SPEED = "train_speed.json"
PICTURE, HEADLINE_PICTURE = Path("docs") / "train_speed.png", Path("docs") / "headline.png"
PAGE, RELIABILITY = Path("docs") / "results.md", Path("docs") / "reliability.md"
PERFORMANCE = Path("docs") / "performance.md"
MEASURED = {  # files that are shown as they are, a table for each part
    "generate_speed": "Answering prompts",
    "equal_quality": "Does the faster recipe learn as well?",
    "t4_cap": "The t4 profile under the memory of a T4 (the GPU is another one)",
    "scaling": "The fast step on several GPUs",
    "cpu_speed": "Without a GPU",
    "loops": "Why greedy answers loop: a passage that comes back, and the end behind it",
    "support": "Sentences and sources",
    "retrieval_scale": "The index of a large catalog",
    "page_load": "Many people on the page at once",
}
# said in words, or looked up in the file
ABOUT = ("definitions", "what", "device", "versions", "finished", "set", "train", "reasons", "precision", "git_commit")


@using("en")
def render(results: Path = ROOT / "results") -> str:
    """Markdown for everything that is recorded: finished runs, training speed, other measurements."""
    lines = [line for path in sorted(results.glob("*/metrics.json")) for line in render_run(path)]
    if (results / SPEED).exists():
        lines += render_speed(read_json(results / SPEED))
    paths = [results / f"{name}.json" for name in MEASURED]
    return "\n".join([*lines, *(line for path in paths if path.exists() for line in render_file(path))])


def file_link(name: str) -> str:
    """A link from a page in docs/."""
    return f"[`results/{name}`](../results/{name})"


def render_run(path: Path) -> list[str]:
    name, metrics = path.parent.name, under_definitions(read_json(path))
    settings, split = metrics["settings"], metrics["unseen"]
    systems = split["systems"]
    per_step = read_json(path.parent / "manifests.json")["adapter"]["config"]["train"]["examples_per_step"]
    columns = {
        "metric": [marked(metric, split) for metric in METRICS],
        "before": cells(systems["base"], METRICS),
        "after": cells(systems["tuned"], METRICS),
        "difference": cells(split["differences"]["tuned-base"], METRICS),
        "the reference": cells(split["reference"], METRICS, center),
        "copy the title": cells(systems["copy_title"], METRICS),
        "nearest title's text": cells(systems["nearest"], METRICS),
    }
    return [
        f"**{name}**: {settings['model']}, {trained_on(settings | {'examples_per_step': per_step})} of "
        f"{settings['file']}, in {settings['train_seconds']:.0f} s on {settings['device']}; {split['n']} unseen titles, "
        f"mean [95 % interval]. Files: {file_link(f'{name}/')}.",
        "",
        *Table.of_columns(columns).markdown(),
        *rerun_note(split, METRICS),
        *(f"- {sentence}" for sentence in findings(metrics)),
        "",
        *render_retrieval(name, split),
    ]


def render_retrieval(name: str, split: dict) -> list[str]:
    """Compare the systems with and without retrieval; returns [] for a run that was evaluated without retrieval."""
    systems, changes = split["systems"], split["differences"]
    if "tuned_open" not in systems:
        return []
    rows = [[label, *cells(systems[system], RETRIEVAL_METRICS)] for system, label in RETRIEVAL.items()]
    for a, b in (("base_open", "base"), ("tuned_open", "tuned"), ("tuned_open", "nearest")):
        label = f"difference: {RETRIEVAL[a]} - {RETRIEVAL[b]}"
        rows.append([label, *cells(changes[f"{a}-{b}"], RETRIEVAL_METRICS)])
    rows.append(["the reference", *cells(split["reference"], RETRIEVAL_METRICS, center)])
    intro = (
        f"**{name}, with and without retrieval**: with retrieval, training rows of similar titles stand in the prompt."
    )
    return [intro, "", *Table(["system", *(marked(m, split) for m in RETRIEVAL_METRICS)], rows).markdown()]


def render_speed(found: dict) -> list[str]:
    """Training speed: the figure, a table for each shape, and whole jobs beside the reference's time for as many examples."""
    first = found["rows"][0]["shape"]
    alt = plots.speed_waterfall(found["rows"], first).alt
    lines = [
        f"**Training speed**, one change at a time, on {found['device']}. File: {file_link(SPEED)}. "
        "The first rows wait for Python, so they vary with the host's processor, and with them every `times`.",
        "",
        f"![{alt}]({PICTURE.name})",
        "",
    ]
    for shape in SHAPES:
        table = speed_table(found["rows"], shape)
        lines += [f"{shape}:", "", *table.markdown()] if table.rows else []
    slow = next((row for row in found["rows"] if row["shape"] == SHAPES[0]), None)
    if found["jobs"] and slow:
        reference = JOB_EXAMPLES / slow["examples_per_s"]
        jobs = found["jobs"]
        columns = {
            "profile": [job["profile"] for job in jobs],
            "set on top": [", ".join(job["extra"]) or DASH for job in jobs],
            "seconds": [f"{job['seconds']:,.0f}" for job in jobs],
            "times as fast": [f"{reference / job['seconds']:.1f}" for job in jobs],
            "steps": [cell(job["steps"]) for job in jobs],
            "tokens/s": [cell(job["tokens_per_s"]) for job in jobs],
        }
        lines += [
            f"Whole jobs, {SHAPES[0]}: seconds of `ftlib train` on {JOB_EXAMPLES:,} examples, process start to saved adapter. "
            f"On as many, {slow['recipe']} takes {reference:,.0f} s at its steady speed.",
            "",
            *Table.of_columns(columns).markdown(),
        ]
    return lines


@using("en")
def render_short_speed(found: dict) -> str:
    """The README's table: of each shape the reference and the fastest recipe with as many examples a step."""
    names, rows = ("recipe", "tokens/s", "times", "peak GiB"), []
    for shape in SHAPES:
        mine = [row for row in of_shape(found["rows"], shape) if "examples" not in row["recipe"]]
        for row in [mine[0], max(mine, key=lambda row: row["tokens_per_s"])] if mine else []:
            rows.append([shape, *(SPEED_COLUMNS[name](row) for name in names)])
    intro = (
        f"Training on {found['device']}, 16 examples per step, padding not counted. The second row of a model has all changes "
        f"of [docs/results.md]({PAGE.as_posix()}) up to the one that it names."
    )
    return "\n".join([intro, "", *Table(["model shape", *names], rows).markdown()])


def render_file(path: Path) -> list[str]:
    """A file of measurements as it is: single values, then a table for each list of rows and for each group of values."""
    found = read_json(path)
    title = f"**{MEASURED[path.stem]}**" + (f", on {found['device']}" if "device" in found else "")
    lines = [f"{title}. {found['what'] + '. ' if 'what' in found else ''}File: {file_link(path.name)}.", ""]
    if path.stem == "loops" and found.get("definitions", 1) < DEFINITIONS and found["loops"] < SMALL:
        for row in found["repetitions"]:
            for name in ("token_probability", "end_probability"):
                row[name]["ci95"] = [min(max(limit, 0.0), 1.0) for limit in widened(row[name], found["loops"])]
    kept = {key: value for key, value in found.items() if key not in ABOUT}
    single = [f"{words(key)} {cell(value)}" for key, value in kept.items() if shown(value)]
    lines += [", ".join(single) + ".", ""] if single else []
    for key, value in kept.items():
        if shown(value) or not value:
            continue
        rows = value if isinstance(value, list) else [value]
        names = dict.fromkeys(name for row in rows for name, inside in row.items() if shown(inside))
        if names:
            table = Table.of_columns({words(name): [cell(row.get(name)) for row in rows] for name in names})
            lines += [*([] if key == "rows" else [f"{key}:", ""]), *table.markdown()]
    return lines


def render_reliability(results: Path = ROOT / "results") -> str:
    """Markdown for docs/reliability.md: the full-size file, kills, deterministic kernels; each part once it was recorded."""
    parts = {"prepare_speed": render_prepare, "kills": render_kills, "deterministic": render_deterministic}
    lines = []
    for name, render_part in parts.items():
        if (path := results / f"{name}.json").exists():
            found = read_json(path)
            lines += [*render_part(found), f"On {found['device']}. File: {file_link(path.name)}.", ""]
    return "\n".join(lines)


def render_prepare(found: dict) -> list[str]:
    columns, rows = ("seconds", "rows_per_s", "peak_mb"), []
    for name, ways in found["files"].items():
        for way in ("straightforward", "ftlib prepare"):
            times = cell(ways["times_as_fast"]) if way != "straightforward" else "1"
            rows.append([f".{name}", way, *(cell(ways[way][column]) for column in columns), times])
    growth = [[cell(row["rows"]), *(cell(row[column]) for column in columns)] for row in found["growth"]]
    return [
        f"**A file of {found['rows']:,} rows**, medians of several runs in turns; memory of all processes together.",
        "",
        *Table(["file", "reader", *map(words, columns), "times as fast"], rows).markdown(),
        *Table(["rows, .json, ftlib prepare", *map(words, columns)], growth).markdown(),
    ]


def render_kills(found: dict) -> list[str]:
    rows = [
        [name.replace("_", " "), *(cell(each[key]) for key in ("tried", "survived"))]
        for group in ("by_stage", "by_point", "by_scheduler")
        for name, each in found[group].items()
    ]
    return [
        f"**Kills**: {found['survived']} of {found['tried']} survived, in {found['seconds']:,} s. Of {found['started_together']} "
        f"runs that started together on one folder, {found['refused']} were refused and none spoiled the result.",
        "",
        *Table(["stage, moment or scheduler", "kills", "survived"], rows).markdown(),
    ]


def render_deterministic(found: dict) -> list[str]:
    modes = {"as it is": found["as_it_is"], "FTLIB_DETERMINISTIC=1": found["deterministic"]}
    rows = [[mode, *map(cell, each["tokens_per_s"]), str(each["same_bits"])] for mode, each in modes.items()]
    return [
        f"**Deterministic kernels** train {found['slower_by']:.1%} slower.",
        "",
        *Table(["two trainings", "tokens/s", "again", "the same bytes"], rows).markdown(),
    ]


def words(name: str) -> str:
    return name.replace("_per_s", "/s").replace("_", " ")


def shown(value) -> bool:
    """Groups inside a row are left to the file, but for means with their intervals, and ranges."""
    return not isinstance(value, list | dict) or "ci95" in value or is_range(value)


def is_range(value) -> bool:
    """Return whether a value is a pair of numbers, from and to."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(end, int | float) for end in value)


def cell(value) -> str:
    if isinstance(value, dict):
        return interval(value)
    if is_range(value):
        return " to ".join(map(cell, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return DASH if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


@using("en")
def write(root: Path = ROOT) -> list[Path]:
    """Write the pages under `root` and the speed plot from its `results/`; returns the pages."""
    results = root / "results"
    parts = {root / PAGE: (BEGIN, END, render(results)), root / RELIABILITY: (BEGIN, END, render_reliability(results))}
    if (root / PERFORMANCE).exists():
        part = (render_performance.BEGIN, render_performance.END, render_performance.render(results))
        parts[root / PERFORMANCE] = part
    if (results / SPEED).exists():
        found = read_json(results / SPEED)
        parts[root / "README.md"] = (SPEED_BEGIN, SPEED_END, render_short_speed(found))
        plots.speed_waterfall(found["rows"], found["rows"][0]["shape"], root / PICTURE)
    if (results / "headline.json").exists():
        headline_picture(read_json(results / "headline.json"), root / HEADLINE_PICTURE)
    parts = {path: part for path, part in parts.items() if path.exists()}
    for path, part in parts.items():
        write_text(path, between(path.read_text(encoding="utf-8"), *part))
    return [*parts]


def headline_picture(headline: dict, path: Path | None = None) -> plots.Picture:
    """Draw ROUGE-L of every system on unseen titles, mean and 95 % interval, from results/headline.json."""
    unseen = headline["unseen"]
    figure = plots.systems_plot({"unseen": unseen}, "rougeL")
    axes = figure.axes[0]
    systems = [label.get_text().split(" ")[0] for label in axes.get_yticklabels()]
    axes.set_yticks(axes.get_yticks(), [SYSTEM_LABELS.get(system, system) for system in systems])
    axes.set(xlabel="ROUGE-L F1, mean and 95 % interval", title=f"ROUGE-L on {unseen['n']:,} unseen titles")
    figure.set_size_inches(8, figure.get_figheight())
    if path is not None:
        with replacing(path) as partial:
            figure.savefig(partial, format="png", dpi=120, metadata={"Description": figure.alt})
    return figure


if __name__ == "__main__":
    for path in write():
        print(f"{path.relative_to(ROOT)}: rendered")
