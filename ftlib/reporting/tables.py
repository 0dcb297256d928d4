"""Render values as cells and cells as tables.

Every table of the project is a `Table`: callers only supply its cells. Markdown, console and data frame are three views
of the same cells, so a page, a terminal and a notebook cannot differ.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ftlib.evaluation.metric_table import DEFINITIONS
from ftlib.evaluation.significance import seed_range
from ftlib.evaluation.subsets import SUBSET_TITLES
from ftlib.runtime.files import read_json, repository
from ftlib.runtime.language import to_translate, tr, tr_n

SHOWN = (
    "nll nll_content bits_per_byte format stops rouge1 rouge2 rougeL chrf gram8_r cosine length_ratio distinct2 rep4 "
    "title_coverage unsupported_numbers numbers_not_in_context copied_passage copied_run"
).split()


DASH, RERUN = "–", "†"


RERUN_REASONS = {
    "title_coverage": "numbers such as 1.000, 1,5 and ½ were read otherwise",
    "unsupported_numbers": "the same, and a number inside a code of the title counted as invented",
    "length_ratio": "no interval of the median was recorded, or the mean alone",
    "nll_content": "not in the table, the parts of an answer were not scored apart",
}


# Names for readers are English constants: a page of the repository prints them so, a notebook prints tr(name).
LABELS = {
    "base": to_translate("base"),
    "tuned": to_translate("fine-tuned"),
    "base_one_shot": to_translate("base, one shot"),
    "base_open": to_translate("base, with retrieval"),
    "tuned_mix": to_translate("fine-tuned on the mixture, without retrieval"),
    "tuned_open": to_translate("fine-tuned, with retrieval"),
    "copy_title": to_translate("copy the title"),
    "nearest": to_translate("nearest title's text"),
}


BASELINES = {  # columns, if there
    "base_one_shot": to_translate("base, one shot"),
    "base_open": to_translate("base, with retrieval"),
    "tuned_open": to_translate("fine-tuned, with retrieval"),
    "copy_title": to_translate("copy title"),
    "nearest": to_translate("nearest"),
}


SPLIT_NAMES = {
    "train": to_translate("train"),
    "validation": to_translate("validation"),
    "test": to_translate("test"),
}


def label(system: str) -> str:
    """Return the name of a system in the reader's language; a system without one keeps its own."""
    return tr(LABELS[system]) if system in LABELS else system


SPLIT_TITLES = {
    "unseen": "unseen titles (test split)",
    **SUBSET_TITLES,
    "seen": "seen titles (rows that were trained on)",
}


def trained_on(settings: dict) -> str:
    """Return how much of the training split the model saw: '40 steps of 16 examples: 640 of 1,781 rows, 0.36 epochs'."""
    steps = {"steps": settings["steps"], "per_step": settings["examples_per_step"], "rows": settings["train_rows"]}
    if "trained_rows" not in settings:  # recorded before this was measured
        return tr("{steps} steps of {per_step} examples, drawn from {rows:,} training rows", **steps)
    return tr_n(
        "{steps} steps of {per_step} examples: {trained:,} of {rows:,} training rows, {count:g} epoch",
        "{steps} steps of {per_step} examples: {trained:,} of {rows:,} training rows, {count:g} epochs",
        settings["trained_epochs"],
        trained=settings["trained_rows"],
        **steps,
    )


def number(value: float) -> str:
    """Format a value: three decimals, or one from 10 on."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def interval(summary: dict) -> str:
    """Format mean [95 % interval], or the median with its own; 'forced' where the decoding decides the value."""
    if summary.get("forced"):
        return tr("forced ({value})", value=number(summary["mean"]))
    center, limits = ("median", "median_ci95") if "median" in summary else ("mean", "ci95")
    if limits not in summary:
        return number(summary[center])  # recorded without one
    low, high = summary[limits]
    return f"{number(summary[center])} [{number(low)}, {number(high)}]"


def center(summary: dict) -> str:
    """Format a mean or median without its interval."""
    return tr("forced") if summary.get("forced") else number(summary.get("median", summary["mean"]))


def with_seeds(summary: dict, seeds: tuple[float, float] | None) -> str:
    """Format an interval over rows, followed by the range over the seeds."""
    if seeds is None or summary.get("forced"):
        return interval(summary)
    return tr(
        "{interval}, seeds {low} to {high}",
        interval=interval(summary),
        low=number(seeds[0]),
        high=number(seeds[1]),
    )


def marked(title: str, split: dict, name: str | None = None) -> str:
    """Return a metric's title, with a mark where its values are to be measured again."""
    return title + (f" {RERUN}" if (name or title) in split.get("to_rerun", ()) else "")


def rerun_note(split: dict, shown: Sequence[str] = SHOWN) -> list[str]:
    """Explain the mark for the metrics `shown`; no lines if nothing is to be measured again."""
    marks = {name for name in split.get("to_rerun", ()) if name in (*shown, "nll_content")}
    if not marks:
        return []
    reasons = "; ".join(f"`{name}`: {reason}" for name, reason in RERUN_REASONS.items() if name in marks)
    return [
        f"{RERUN} To be re-run, recorded under older definitions: {reasons}. The other figures stand, with the intervals that "
        "today's code has for them.",
        "",
    ]


def cells(values: Mapping, names: Iterable[str], write: Callable[[dict], str] = interval) -> list[str]:
    """Return one cell per name, a dash where there is no value."""
    return [write(values[name]) if name in values else DASH for name in names]


def seed_cells(split: dict, names: Iterable[str], *pair: str) -> list[str]:
    """Return `cells` of a system of a split, or a difference of two, with the interval and the range over the seeds."""
    values = split["differences"]["-".join(pair)] if len(pair) > 1 else split["systems"][pair[0]]
    return [with_seeds(values[name], seed_range(split, name, *pair)) if name in values else DASH for name in names]


@dataclass(frozen=True)
class Table:
    """Cells under a header. The first cell of a row names it."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def of_columns(cls, columns: Mapping[str, Sequence[str]]) -> Table:
        """Build a table from {header: cells}."""
        return cls([*columns], [*zip(*columns.values(), strict=True)])

    def markdown(self) -> list[str]:
        """Return lines of Markdown, and an empty one."""
        head, *rows = (f"| {' | '.join(line)} |" for line in (self.header, *self.rows))
        return [head, "|" + "---|" * len(self.header), *rows, ""]

    def console(self) -> str:
        """Return text in aligned columns; a line is never wrapped, so that it can be searched in a log."""
        from rich.console import Console
        from rich.table import Table as Grid
        from rich.text import Text

        grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in self.header:
            grid.add_column(Text(name), no_wrap=True)
        for row in self.rows:
            grid.add_row(*map(Text, row))
        # in a notebook rich would display the table instead of returning it
        console = Console(file=io.StringIO(), width=10_000, color_system=None, force_jupyter=False)
        console.print(grid)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())

    def frame(self):
        """Return a pandas DataFrame, which a notebook shows as an HTML table."""
        import pandas

        index, columns = [row[0] for row in self.rows], list(self.header[1:])
        return pandas.DataFrame([list(row[1:]) for row in self.rows], index=index, columns=columns)


def between(page: str, begin: str, end: str, text: str) -> str:
    """Replace the text between two markers of a page."""
    before, _, rest = page.partition(begin)
    return before + begin + text + end + rest.partition(end)[2]


def under_definitions(metrics: dict) -> dict:
    """Return metrics.json under today's definitions (see `ftlib.evaluation.recorded`)."""
    older = [name for name in SPLIT_TITLES if name in metrics and metrics[name].get("definitions", 1) < DEFINITIONS]
    if not older:
        return metrics
    from ftlib.evaluation.recorded import upgraded

    generation = metrics.get("settings", {}).get("generation", {})
    return metrics | {name: upgraded(metrics[name], generation) for name in older}


def table_rows(split: dict) -> list[list[str]]:
    """Return the cells under `header(split)`."""
    systems, change = split["systems"], split["differences"].get("tuned-base", {})
    measured = {name for values in systems.values() for name in values}  # cosine needs weights
    if "copied_passage" not in measured:
        measured.discard("numbers_not_in_context")  # without passages the same as unsupported_numbers
    names = [name for name in SHOWN if name in measured]
    write = interval if split.get("text_n", split.get("n")) != 1 else center  # one row shows no spread
    columns = [[marked(name, split) for name in names]]
    columns += [cells(values, names, write) for values in (systems["base"], systems["tuned"], change)]
    columns += [cells(change, names, wins), cells(split.get("reference", {}), names, center)]
    columns += [cells(systems[system], names, center) for system in BASELINES if system in systems]
    return [list(row) for row in zip(*columns, strict=True)]


def wins(change: dict) -> str:
    """Format the rows that the first system won, tied and lost; a dash where no direction is better, or the end is forced."""
    return f"{change['wins']}/{change['ties']}/{change['losses']}" if "wins" in change else DASH


def header(split: dict) -> list[str]:
    """Return the header of the before/after table, in the reader's language."""
    baselines = [tr(title) for system, title in BASELINES.items() if system in split["systems"]]
    return [
        tr("metric"),
        tr("base"),
        tr("fine-tuned"),
        tr("difference"),
        tr("win/tie/loss"),
        tr("reference"),
        *baselines,
    ]


def before_after(metrics: dict, split: str = "unseen") -> Table:
    """Build the before/after table of one split of metrics.json: mean [95 % interval]."""
    split_metrics = under_definitions(metrics)[split]
    return Table(header(split_metrics), table_rows(split_metrics))


def table(metrics: dict, split: str = "unseen") -> str:
    """Render the before/after table for the console, with a title."""
    title = f"{metrics[split]['n']} {SPLIT_TITLES[split]}; mean [95 % interval], length_ratio: median"
    if split == "seen":
        title += f"; {trained_on(metrics['settings'])}"
    return f"{title}\n{before_after(metrics, split).console()}"


def frame(metrics: dict, split: str = "unseen"):
    """Return the before/after table as a pandas DataFrame."""
    return before_after(metrics, split).frame()


def retention_table(metrics: dict) -> Table:
    """Build the table of NLL per byte of general text, from the block `retention` of metrics.json."""
    block = metrics["retention"]
    values = [block["systems"]["base"], block["systems"]["tuned"], block["differences"]["tuned-base"]]
    cells_of_values = [precise_interval(value["nll_per_byte"]) for value in values]
    return Table(["metric", "base", "fine-tuned", "difference"], [["nats per byte of general text", *cells_of_values]])


def precise_interval(summary: dict) -> str:
    """Format mean [95 % interval] with four decimals, for values below 1 whose differences are small."""
    low, high = summary["ci95"]
    return f"{summary['mean']:.4f} [{low:.4f}, {high:.4f}]"


RECIPES = (  # of results/train_speed.json
    to_translate("the reference"),
    to_translate("loss on the answer, rows packed"),
    to_translate("no accumulation"),
    to_translate("embeddings not trained"),
    to_translate("no checkpointing"),
    to_translate("fused AdamW"),
    to_translate("bfloat16 for float16"),
    to_translate("16-bit base for NF4"),
    to_translate("fixed rows, logits at labels only"),
    to_translate("layers compiled"),
    to_translate("CUDA graph"),
    to_translate("LoRA joined to the base, attention without mask"),
    to_translate("no LoRA dropout"),
    to_translate("the beginning of all prompts once"),
    to_translate("64 examples a step"),
    to_translate("128 examples a step"),
    to_translate("NF4, 16 examples"),
    to_translate("16-bit, eager, Liger kernels"),
)
SPEED_COLUMNS = {  # of results/train_speed.json
    to_translate("recipe"): lambda row: tr(row["recipe"]),
    to_translate("examples/s"): lambda row: f"{row['examples_per_s']:,.1f}",
    "tokens/s": lambda row: f"{row['tokens_per_s']:,}",
    to_translate("times"): lambda row: f"{row['times']:.1f}",
    to_translate("ms a step"): lambda row: f"{row['step_s'] * 1000:,.1f}",
    to_translate("peak GiB"): lambda row: f"{row['peak_gib']:.1f}",
    to_translate("of peak matmul"): lambda row: f"{row['roof_share']:.1%}",
    to_translate("padding"): lambda row: f"{row['padding_share']:.1%}",
}


def recorded_speed() -> list[dict]:
    """Return the rows of `results/train_speed.json`; [] where a notebook runs without the repository."""
    path = repository() / "results" / "train_speed.json"
    if not path.exists():
        print(tr("training speed: not shown ({path} is not there; clone the repository to see it)", path=path))
        return []
    recording = read_json(path)
    print(tr("recorded on {device}, {day}", device=recording["device"], day=recording["finished"][:10]))
    return recording["rows"]


def of_shape(rows: list[dict], shape: str) -> list[dict]:
    """Return the rows of one model shape, in their order, each with `times`: its tokens/s over those of the first."""
    shape_rows = [row for row in rows if row["shape"] == shape]
    return [row | {"times": row["tokens_per_s"] / shape_rows[0]["tokens_per_s"]} for row in shape_rows]


def speed_table(rows: list[dict], shape: str) -> Table:
    """Build the table of training speed of one model shape, one row per recipe."""
    header = [tr(name) for name in SPEED_COLUMNS]
    return Table(header, [[write(row) for write in SPEED_COLUMNS.values()] for row in of_shape(rows, shape)])
