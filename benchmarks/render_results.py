"""Render what is recorded under results/: tables in docs/, the two figures of the README, the package's copy of the speed rows.

Why: a figure typed by hand outlives the run that it came from. A test renders everything again and compares.
How: python benchmarks/render_results.py
"""

from __future__ import annotations

from pathlib import Path

from shapes import JOB_EXAMPLES, SHAPES

from ftlib.evaluation.bootstrap import SMALL
from ftlib.evaluation.metric_table import DEFINITIONS
from ftlib.evaluation.recorded import upgraded, widened
from ftlib.reporting import plots, speed
from ftlib.reporting.findings import findings
from ftlib.reporting.tables import (
    LABELS,
    SPLIT_TITLES,
    between,
    center,
    interval,
    markdown,
    marked,
    rerun_note,
    trained_on,
)
from ftlib.runtime.files import read_json, replacing, write_json

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = (
    "<!-- results: rendered by benchmarks/render_results.py from results/, do not edit by hand -->\n",
    "<!-- /results -->",
)
BOOKS, IN_BOOKS = (
    ("base", "base_open", "tuned", "tuned_open", "nearest"),
    ("nll", "rougeL", "unsupported_numbers", "copied_run"),
)
BOOK_LABELS = {
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
    "tuned_open": "fine-tuned model with retrieval",
    "copy_title": "copy of the title",
    "nearest": "lookup: text of the nearest training title",
}
METRICS = ("nll", "format", "stops", "rouge1", "rougeL", "chrf", "title_coverage", "unsupported_numbers")
PICTURE = Path("docs") / "train_speed.png"
HEADLINE_PICTURE = Path("docs") / "headline.png"
PAGES = (Path("README.md"), Path("docs") / "results.md")  # the tables go where the markers are
PROMISES = Path("docs") / "reliability.md"
PACKAGED = Path("ftlib") / "config" / "profiles" / speed.FILE
MEASURED = {  # files that are shown as they are, a table for each part
    "generate_speed": "Answering prompts",
    "equal_quality": "Does the faster recipe learn as well?",
    "t4_cap": "The t4 profile under the memory of a T4 (the GPU is another one)",
    "scaling": "The fast step on several GPUs",
    "cpu_speed": "Without a GPU",
    "loops": "Why greedy answers loop: a passage that comes back, and the end behind it",
    "support": "Sentences and sources",
    "retrieval_scale": "The index of a large catalogue",
    "page_load": "Many people on the page at once",
}
# said in words, or looked up in the file
ABOUT = ("definitions", "what", "device", "versions", "finished", "set", "train", "reasons", "precision", "git_commit")


def render(results: Path = ROOT / "results") -> str:
    """Markdown for everything that is recorded: finished runs, training speed, other measurements."""
    parts = [render_run(path) for path in sorted(results.glob("*/metrics.json"))]
    if (results / speed.FILE).exists():
        parts.append(render_speed(read_json(results / speed.FILE)))
    paths = [results / f"{name}.json" for name in MEASURED]
    return "\n".join([*parts, *(render_file(path) for path in paths if path.exists())])


def render_run(path: Path) -> str:
    metrics = read_json(path)
    settings = metrics["settings"]
    metrics |= {name: upgraded(metrics[name], settings["generation"]) for name in SPLIT_TITLES if name in metrics}
    split = metrics["unseen"]
    systems, change = split["systems"], split["differences"]["tuned-base"]
    per_step = read_json(path.parent / "manifests.json")["adapter"]["config"]["train"]["examples_per_step"]
    intro = (
        f"**{path.parent.name}**: {settings['model']}, {trained_on(settings | {'examples_per_step': per_step})} of "
        f"{settings['file']}, in {settings['train_seconds']:.0f} s on {settings['device']}; {split['n']} unseen titles, "
        "mean [95 % interval]. "
        f"Files: [`results/{path.parent.name}/`](results/{path.parent.name}/)."
    )
    header = ["metric", "before", "after", "difference", "the reference", "copy the title", "nearest title's text"]
    own, rows = split["reference"], []
    for name in METRICS:
        cells = [interval(systems[s][name]) if name in systems[s] else "–" for s in ("base", "tuned")]
        cells += [interval(change[name]), center(own[name]) if name in own else "–"]
        cells += [interval(systems[s][name]) if name in systems[s] else "–" for s in ("copy_title", "nearest")]
        rows.append([marked(name, split), *cells])
    said = [f"- {sentence}" for sentence in findings(metrics)]
    return "\n".join(
        [
            intro,
            "",
            *markdown(header, rows),
            "",
            *rerun_note(split, METRICS),
            *said,
            "",
            *render_books(path.parent.name, split),
        ]
    )


def render_books(name: str, split: dict) -> list[str]:
    """Compare the systems with and without retrieval; returns [] for a run that was evaluated without retrieval."""
    systems, changes = split["systems"], split["differences"]
    if "tuned_open" not in systems:
        return []
    shown = {s: f"{BOOK_LABELS[s]}" for s in BOOKS}
    rows = [[shown[s], *(interval(systems[s][m]) if m in systems[s] else "–" for m in IN_BOOKS)] for s in BOOKS]
    for a, b in (("base_open", "base"), ("tuned_open", "tuned"), ("tuned_open", "nearest")):
        cells = [interval(changes[f"{a}-{b}"][m]) if m in changes[f"{a}-{b}"] else "–" for m in IN_BOOKS]
        rows.append([f"difference: {shown[a]} - {shown[b]}", *cells])
    own = split["reference"]
    rows.append(["the reference", *(center(own[m]) if m in own else "–" for m in IN_BOOKS)])
    intro = (
        f"**{name}, with and without retrieval**: with retrieval, training rows of similar titles stand in the prompt."
    )
    return [intro, "", *markdown(["system", *(marked(name, split) for name in IN_BOOKS)], rows), ""]


def render_speed(found: dict) -> str:
    """Training speed: the figure, a table for each shape, and whole jobs beside the reference's time for as many examples."""
    first = found["rows"][0]["shape"]
    alt = plots.speed_waterfall(found["rows"], first).alt
    lines = [
        f"**Training speed**, one change at a time, on {found['device']}. File: [`results/{speed.FILE}`](results/{speed.FILE}). "
        "The first rows wait for Python, so they vary with the host's processor, and with them every `times`.",
        "",
        f"![{alt}]({PICTURE.as_posix()})",
        "",
    ]
    for shape in SHAPES:
        rows = speed.table_rows(found["rows"], shape)
        lines += [f"{shape}:", "", *markdown(speed.HEADER, rows), ""] if rows else []
    slow = next((row for row in found["rows"] if row["shape"] == SHAPES[0]), None)
    if found["jobs"] and slow:
        reference = JOB_EXAMPLES / slow["examples_per_s"]
        lines += [
            f"Whole jobs, {SHAPES[0]}: seconds of `ftlib train` on {JOB_EXAMPLES:,} examples, process start to saved adapter. "
            f"On as many, {slow['recipe']} takes {reference:,.0f} s at its steady speed.",
            "",
        ]
        header = ["profile", "set on top", "seconds", "times as fast", "steps", "tokens/s"]
        cells = [
            [
                job["profile"],
                ", ".join(job["extra"]) or "–",
                f"{job['seconds']:,.0f}",
                f"{reference / job['seconds']:.1f}",
                cell(job["steps"]),
                cell(job["tokens_per_s"]),
            ]
            for job in found["jobs"]
        ]
        lines += [*markdown(header, cells), ""]
    return "\n".join(lines)


def render_file(path: Path) -> str:
    """A file of measurements as it is: single figures, then a table for each list of rows and for each group of figures."""
    found = read_json(path)
    where = f"results/{path.name}"
    title = f"**{MEASURED[path.stem]}**" + (f", on {found['device']}" if "device" in found else "")
    lines = [f"{title}. {found['what'] + '. ' if 'what' in found else ''}File: [`{where}`]({where}).", ""]
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
        columns = list(dict.fromkeys(name for row in rows for name, inside in row.items() if shown(inside)))
        if columns:
            cells = [[cell(row.get(name)) for name in columns] for row in rows]
            table = markdown([words(name) for name in columns], cells)
            lines += [*([] if key == "rows" else [f"{key}:", ""]), *table, ""]
    return "\n".join(lines)


def render_reliability(results: Path = ROOT / "results") -> str:
    """Markdown for docs/reliability.md: the full-size file, kills, deterministic kernels; each part once it was recorded."""
    parts, paths = [], [results / f"{name}.json" for name in ("prepare_speed", "kills", "deterministic")]
    for path, render_part in zip(paths, (render_prepare, render_kills, render_deterministic), strict=True):
        if path.exists():
            where = f"[`results/{path.name}`](../results/{path.name})"
            parts += [*render_part(found := read_json(path)), "", f"On {found['device']}. File: {where}.", ""]
    return "\n".join(parts)


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
        *markdown(["file", "reader", *map(words, columns), "times as fast"], rows),
        "",
        *markdown(["rows, .json, ftlib prepare", *map(words, columns)], growth),
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
        *markdown(["stage, moment or scheduler", "kills", "survived"], rows),
    ]


def render_deterministic(found: dict) -> list[str]:
    modes = {"as it is": found["as_it_is"], "FTLIB_DETERMINISTIC=1": found["deterministic"]}
    rows = [[mode, *map(cell, each["tokens_per_s"]), str(each["same_bits"])] for mode, each in modes.items()]
    return [
        f"**Deterministic kernels** train {found['slower_by']:.1%} slower.",
        "",
        *markdown(["two trainings", "tokens/s", "again", "the same bytes"], rows),
    ]


def words(name: str) -> str:
    return name.replace("_per_s", "/s").replace("_", " ")


def shown(value) -> bool:
    """Groups inside a row are left to the file, but for means with their intervals."""
    return not isinstance(value, list | dict) or "ci95" in value


def cell(value) -> str:
    if isinstance(value, dict):
        return interval(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def insert(readme: str, table: str) -> str:
    """The page with the table between its markers."""
    return between(readme, BEGIN, END, table)


def write(root: Path = ROOT) -> None:
    """Write pages, figures and the package's copy of the speed rows, from `results/` under `root`."""
    results = root / "results"
    for path in PAGES:
        page = (root / path).read_text(encoding="utf-8") if (root / path).exists() else ""
        if BEGIN in page:
            (root / path).write_text(insert(page, tables_for(path, results)), encoding="utf-8")
    promises = root / PROMISES
    if promises.exists():
        page = insert(promises.read_text(encoding="utf-8"), render_reliability(results))
        promises.write_text(page, encoding="utf-8")
    if (results / "headline.json").exists():
        headline_picture(read_json(results / "headline.json"), root / HEADLINE_PICTURE)
    if (results / speed.FILE).exists():
        found = read_json(results / speed.FILE)
        plots.speed_waterfall(found["rows"], found["rows"][0]["shape"], root / PICTURE)
        write_json(root / PACKAGED, packaged(found))


def tables_for(page: Path, results: Path = ROOT / "results") -> str:
    """Render the tables with links and pictures relative to the folder of `page` (a path relative to the root)."""
    text = render(results)
    if page.parent == Path("."):
        return text
    return text.replace("](results/", "](../results/").replace(f"]({PICTURE.parent.as_posix()}/", "](")


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


def packaged(found: dict) -> dict:
    """What notebook 03 needs of results/train_speed.json."""
    return {key: found[key] for key in ("device", "finished", "rows")}


if __name__ == "__main__":
    write()
    print("docs/reliability.md, docs/*.png and pages with markers: results rendered")
