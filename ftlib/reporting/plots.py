"""Draw every figure of the course, one function each (matplotlib, without a display).

Figures are readable in black and white: lines differ by dash and marker as well as by color. Each has a description
(`figure.alt`) for screen readers, in notebooks and in the book, and for consoles without pictures.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ftlib.reporting.tables import SPLIT_NAMES, of_shape
from ftlib.runtime.files import replacing
from ftlib.runtime.language import to_translate, tr

BASE, TUNED, GREY = "#8c6d1f", "#1f5f8b", "#777777"
STYLES = {
    "base": (BASE, "o"),
    "base_one_shot": (BASE, "v"),
    "base_open": (BASE, "P"),
    "tuned": (TUNED, "s"),
    "tuned_open": (TUNED, "X"),
    "copy_title": (GREY, "^"),
    "nearest": ("#5a5a9e", "D"),
}


class Picture(Figure):
    """A figure that a notebook displays, with its alternative text; without pyplot, so it renders the same everywhere."""

    alt = ""

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        picture = base64.b64encode(as_png(self)).decode()
        return {"image/png": picture, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


def as_png(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _new(width: float = 5.8, height: float = 3.5) -> tuple[Figure, object]:
    figure = Picture(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def loss_plot(log: list[dict], path: Path | None = None) -> Figure:
    """Draw training and validation loss over steps, from the lines of `train_log.jsonl`.

    A log with samples (`train.sample_rows`) has a second panel: the ROUGE-L of the samples.
    """
    figure, axes = _new()
    train = [(line["step"], line["loss"]) for line in log if "loss" in line]
    validation = [(line["step"], line["validation_loss"]) for line in log if "validation_loss" in line]
    if train:
        axes.plot(
            *zip(*train, strict=True),
            color=TUNED,
            linewidth=1.5,
            label=tr("training"),
        )
    if validation:
        axes.plot(*zip(*validation, strict=True), color=BASE, linestyle="--", marker="o", label=tr("validation"))
        step, best = min(validation, key=lambda point: point[1])
        axes.annotate(
            tr("best {loss:.3f}", loss=best), (step, best), textcoords="offset points", xytext=(0, 8), ha="right"
        )
    axes.margins(y=0.1)  # a marker on the frame would be cut off
    axes.set(xlabel=tr("optimizer step"), ylabel=tr("loss (nats per answer token)"), title=tr("Loss while training"))
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    said = [tr("Line plot of the loss over optimizer steps.")]
    if train:
        said.append(
            tr(
                "Training loss: {first:.3f} at step {first_step}, {last:.3f} at step {last_step}.",
                first=train[0][1],
                first_step=train[0][0],
                last=train[-1][1],
                last_step=train[-1][0],
            )
        )
    if validation:
        said.append(
            tr(
                "Validation loss: {first:.3f} at first, lowest {best:.3f} at step {step}.",
                first=validation[0][1],
                best=best,
                step=step,
            )
        )
    samples = [(line["step"], line["rougeL"]) for line in log if "rougeL" in line]
    if samples:
        said.append(_samples_panel(figure, axes, samples))
    return _done(figure, " ".join(said), path)


def _samples_panel(figure: Figure, above, samples: list[tuple[int, float]]) -> str:
    """Draw the ROUGE-L of samples over steps below the loss; return the alternative text."""
    grid = figure.add_gridspec(2, 1, height_ratios=[3, 1])
    above.set_subplotspec(grid[0])
    above.set(xlabel=None)
    axes = figure.add_subplot(grid[1], sharex=above)
    axes.spines[["top", "right"]].set_visible(False)
    axes.plot(*zip(*samples, strict=True), color=GREY, linestyle=":", marker="s")
    axes.set(xlabel=tr("optimizer step"), ylabel=tr("ROUGE-L of\nsamples"))
    axes.set_ylim(0, 1.15 * max(value for _, value in samples) or 1.0)
    axes.grid(alpha=0.25)
    return tr(
        "ROUGE-L of the samples: {first:.3f} at step {step}, {last:.3f} at the end.",
        first=samples[0][1],
        step=samples[0][0],
        last=samples[-1][1],
    )


FILTERS = {  # {filter of the funnel: its name for a reader}
    "missing": to_translate("missing"),
    "short_title": to_translate("short title"),
    "short_content": to_translate("short content"),
    "same_as_title": to_translate("same as title"),
    "adult": to_translate("adult"),
    "duplicate": to_translate("duplicate"),
}


def funnel_plot(funnel: dict, path: Path | None = None) -> Figure:
    """Draw rows in, rows lost at each step and rows kept, from `dataset/funnel.json`."""
    malformed = sum(entry["count"] for entry in funnel["malformed"].values())
    rows_in, kept = tr("rows in"), tr("kept")
    bars = [(rows_in, funnel["rows_in"]), (tr("malformed"), -malformed)]
    bars += [
        (tr(FILTERS.get(name, name.replace("_", " "))), -count)
        for name, count in sorted(funnel["dropped"].items(), key=lambda x: -x[1])
    ]
    bars += [(kept, funnel["kept"])]
    bars += [(tr(SPLIT_NAMES.get(name, name)), size) for name, size in funnel["splits"].items()]
    left_out = funnel.get("left_out", {})  # of the kept rows, so that the splits and these add up to them
    bars += [
        (title, -left_out[key])
        for key, title in (("held_out_groups", tr("beside held-out rows")), ("not_needed", tr("not needed")))
        if left_out.get(key)
    ]
    figure, axes = _new(height=0.34 * len(bars) + 1.2)
    colors = [BASE if value < 0 else (TUNED if name in (rows_in, kept) else GREY) for name, value in bars]
    hatches = ["//" if value < 0 else "" for _, value in bars]
    drawn = axes.barh(
        range(len(bars)), [abs(value) for _, value in bars], color=colors, hatch=hatches, edgecolor="white"
    )
    axes.bar_label(drawn, [f"{value:,}" for _, value in bars], padding=4)
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set(xlabel=tr("rows (hatched: lost at this step)"), title=tr("From raw rows to three splits"))
    head = tr("Bar chart from raw rows to splits.")
    return _done(figure, f"{head} {', '.join(f'{name}: {value:,}' for name, value in bars)}.", path)


def systems_plot(metrics: dict, name: str, path: Path | None = None) -> Figure:
    """Draw one metric of every system on unseen and seen titles, mean and 95 % interval, from `metrics.json`."""
    splits = [split for split in ("unseen", "seen") if split in metrics]
    points = [
        (split, system, metrics[split]["systems"][system][name])
        for split in splits
        for system in STYLES
        if name in metrics[split]["systems"].get(system, {})
    ]
    figure, axes = _new(height=0.42 * len(points) + 1.2)
    for row_idx, (_, system, summary) in enumerate(points):
        color, mark = STYLES[system]
        low, high = summary["ci95"]
        axes.plot([low, high], [row_idx, row_idx], color=color, linewidth=2)
        axes.plot(summary["mean"], row_idx, marker=mark, color=color, markersize=7)
        axes.annotate(
            f"{summary['mean']:.3f}",
            (summary["mean"], row_idx),
            textcoords="offset points",
            xytext=(0, 7),
            ha="center",
            fontsize=9,
        )
    axes.set_yticks(range(len(points)), [f"{system} ({split}, n={metrics[split]['n']})" for split, system, _ in points])
    axes.invert_yaxis()
    axes.margins(y=0.12)
    axes.grid(axis="x", alpha=0.25)
    axes.set(xlabel=f"{name}: mean and 95 % interval", title=name)
    alt = f"Mean {name} with 95 % interval. " + "; ".join(
        f"{system}, {split}: {_interval(summary)}" for split, system, summary in points
    )
    return _done(figure, alt, path)


def padding_plot(positions: dict[str, int], tokens: int, path: Path | None = None) -> Figure:
    """Draw the share of real tokens, one bar for each way to batch (see `exploration.padded_positions`)."""
    figure, axes = _new(height=0.5 * len(positions) + 1.2)
    shares = [tokens / count for count in positions.values()]
    drawn = axes.barh(range(len(positions)), shares, color=TUNED)
    axes.barh(
        range(len(positions)), [1 - share for share in shares], left=shares, color="white", edgecolor=GREY, hatch="///"
    )
    axes.bar_label(drawn, [tr("{share:.0%} text", share=share) for share in shares], label_type="center", color="white")
    ways = [tr(name) for name in positions]
    axes.set_yticks(range(len(positions)), ways)
    axes.invert_yaxis()
    axes.set(
        xlabel=tr("share of all positions (hatched: padding)"),
        title=tr("What the model spends its work on"),
        xlim=(0, 1),
    )
    head = tr("Bar chart, share of real text among the computed positions.")
    parts = ", ".join(f"{name}: {share:.0%}" for name, share in zip(ways, shares, strict=True))
    return _done(figure, f"{head} {parts}", path)


def sweep_plot(logs: dict[str, list[dict]], path: Path | None = None) -> Figure:
    """Draw the training loss of several short runs over steps; {label: lines of train_log.jsonl}."""
    figure, axes = _new()
    losses = {}
    for (label, log), style, mark in zip(logs.items(), ("-", "--", ":", "-."), "os^D", strict=False):
        points = [(line["step"], line["loss"]) for line in log if "loss" in line]
        losses[label] = [loss for _, loss in points]
        axes.plot(*zip(*points, strict=True), linestyle=style, marker=mark, markersize=4, label=label)
    axes.set(
        xlabel="optimizer step", ylabel="loss (nats per answer token)", title="Three learning rates, the same rows"
    )
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    alt = "Line plot of the training loss over steps for several learning rates. " + ", ".join(
        f"{label}: from {lines[0]:.3f} to {lines[-1]:.3f}" for label, lines in losses.items()
    )
    return _done(figure, alt, path)


def speed_waterfall(rows: list[dict], shape: str, path: Path | None = None) -> Figure:
    """Draw tokens/s of each recipe in its order, for one model shape, on a log axis (see `tables.recorded_speed`)."""
    recipes = of_shape(rows, shape)
    figure, axes = _new(height=0.44 * len(recipes) + 1.2)
    if not recipes:
        message = tr("Nothing to draw: no speed of {shape} is recorded yet.", shape=shape)
        axes.set_axis_off()
        axes.text(0.5, 0.5, message, ha="center")
        return _done(figure, message, path)
    colors = [BASE, *[TUNED] * (len(recipes) - 1)]
    hatches = ["//", *[""] * (len(recipes) - 1)]
    bars = axes.barh(
        range(len(recipes)),
        [row["tokens_per_s"] for row in recipes],
        height=0.4,
        color=colors,
        hatch=hatches,
        edgecolor="white",
    )
    for row, bar in zip(recipes, bars, strict=True):
        label = f"{row['tokens_per_s']:,}/s   {row['times']:.1f} ×   {row['roof_share']:.1%}"
        for x, side, text in ((0, "left", tr(row["recipe"])), (1, "right", label)):
            axes.text(
                x, bar.get_y() - 0.06, text, transform=axes.get_yaxis_transform(), ha=side, va="bottom", fontsize=9
            )
    axes.set_yticks([])
    axes.set(
        xscale="log",
        ylim=(len(recipes) - 0.6, -1),
        title=tr("Training speed, one change at a time ({shape})", shape=shape),
    )
    axes.set_xlim(min(row["tokens_per_s"] for row in recipes) / 2)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(tr("tokens/s (log axis); right: times the first recipe, share of peak matmul"))
    head = tr("Bar chart of training speed on a log axis, {shape}, one recipe a bar.", shape=shape)
    parts = "; ".join(
        tr(
            "{recipe}: {speed:,} tokens/s, {times:.1f} times the first, {share:.1%} of peak matmul",
            recipe=tr(row["recipe"]),
            speed=row["tokens_per_s"],
            times=row["times"],
            share=row["roof_share"],
        )
        for row in recipes
    )
    return _done(figure, f"{head} {parts}", path)


def growing_interval_plot(intervals: dict[int, dict], path: Path | None = None) -> Figure:
    """Draw mean and 95 % interval of a difference for growing numbers of rows (see `analysis.growing_interval`)."""
    figure, axes = _new()
    for tick, interval in enumerate(intervals.values()):
        axes.plot([tick, tick], interval["ci95"], color=TUNED, linewidth=2)
        axes.plot(tick, interval["mean"], marker="s", color=TUNED)
    axes.axhline(0, color=GREY, linestyle=":")
    axes.set_xticks(range(len(intervals)), [str(size) for size in intervals])
    axes.margins(x=0.15)
    axes.set(
        xlabel="rows (K)", ylabel="ROUGE-L, tuned minus base", title="What K rows can tell: mean and 95 % interval"
    )
    alt = "Mean and 95 % interval of the difference for the first K rows. " + "; ".join(
        f"K = {size}: {_interval(interval)}" for size, interval in intervals.items()
    )
    return _done(figure, alt, path)


def forest_plot(
    name: str, intervals: dict[str, dict], first: str, spread: float | None, path: Path | None = None
) -> Figure:
    """Draw the difference of each run to the first one in one metric: mean and 95 % interval."""
    figure, axes = _new(height=0.34 * len(intervals) + 1.4)
    if spread is not None:
        axes.axvspan(-spread, spread, color=GREY, alpha=0.2, linewidth=0)
    axes.axvline(0, color=GREY, linestyle=":")
    for row_idx, interval in enumerate(intervals.values()):
        axes.plot(interval["ci95"], [row_idx, row_idx], color=TUNED, linewidth=2)
        axes.plot(interval["mean"], row_idx, marker="s", color=TUNED)
    axes.set_yticks(range(len(intervals)), list(intervals))
    axes.set_ylim(len(intervals) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.25)
    band = "" if spread is None else "; grey: spread of its seeds"
    axes.set(xlabel=f"{name} minus that of {first}{band}", title=f"{name}: difference to {first}")
    alt = f"Difference in {name} to {first}, mean and 95 % interval. " + "; ".join(
        f"{run}: {_interval(interval)}" for run, interval in intervals.items()
    )
    if spread is not None:
        alt += f". The seeds of {first} differ by {spread:.3f}"
    return _done(figure, alt, path)


def lengths_plot(lengths: dict[str, list[int]], limit: int | None = None, path: Path | None = None) -> Figure:
    """Draw a histogram of token counts for each text column; `limit` draws the line where a row is truncated."""
    figure, axes = _new()
    longest = max(max(values) for values in lengths.values())
    bins = [longest * step / 40 for step in range(41)]
    for (column, values), (color, style) in zip(lengths.items(), ((BASE, "--"), (TUNED, "-")), strict=False):
        axes.hist(values, bins=bins, histtype="step", linewidth=1.8, color=color, linestyle=style, label=column)
    if limit:
        axes.axvline(
            limit,
            color=GREY,
            linestyle=":",
            label=tr("rows are truncated at {limit} tokens, prompt included", limit=limit),
        )
    axes.set(xlabel="tokens", ylabel=tr("rows"), title=tr("How long the texts are"))
    axes.legend(frameon=False)
    head = tr("Histogram of token counts.")
    parts = "; ".join(
        tr(
            "{column}: median {median}, longest {longest}",
            column=column,
            median=sorted(values)[len(values) // 2],
            longest=max(values),
        )
        for column, values in lengths.items()
    )
    return _done(figure, f"{head} {parts}", path)


def growth_plot(measurements: list[dict], path: Path | None = None) -> Figure:
    """Draw seconds and peak memory of `ftlib prepare` over the rows of the file. measurements: [{rows, seconds, peak_mb}]."""
    figure = Picture(figsize=(7.2, 3.2), layout="constrained")
    rows = [line["rows"] / 1e6 for line in measurements]
    for axes, key, title in zip(
        figure.subplots(1, 2), ("seconds", "peak_mb"), ("seconds", "highest memory, MB"), strict=True
    ):
        axes.plot(rows, [line[key] for line in measurements], marker="o")
        axes.set(xlabel="million rows", ylabel=title, xlim=(0, None), ylim=(0, None))
    points = "; ".join(
        f"{n:.2f} million rows {line['seconds']:.0f} s, {line['peak_mb']:.0f} MB"
        for n, line in zip(rows, measurements, strict=True)
    )
    return _done(figure, f"Time and memory of ftlib prepare by the size of the file: {points}.", path)


def _done(figure: Picture, alt: str, path: Path | None) -> Picture:
    """Return the figure with its alternative text, saved as PNG if a path is given."""
    figure.alt = alt
    if path is not None:
        with replacing(path) as partial:
            figure.savefig(partial, format="png", dpi=120, metadata={"Description": alt})
    return figure


def _interval(summary: dict) -> str:
    return f"{summary['mean']:.3f} [{summary['ci95'][0]:.3f}, {summary['ci95'][1]:.3f}]"
