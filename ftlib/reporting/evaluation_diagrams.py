"""Draw the figures of notebooks 04 to 06: three merges, paired difference, few rows, what matters, retrieval.

As in `ftlib.reporting.plots`, each function returns a figure with an alternative text. Figures are narrow and their text
is large, because a phone shows them at 390 pixels; labels stand beside what they name.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from ftlib.reporting.diagrams import INK, PALE, _arrow, _box, _canvas, _with_alt
from ftlib.reporting.merging_sentences import merge_ways, signed, way_name
from ftlib.reporting.plots import BASE, GREY, STYLES, TUNED, Picture, _done, _interval, _new
from ftlib.reporting.sentence_parts import width
from ftlib.reporting.tables import label
from ftlib.runtime.files import repository
from ftlib.runtime.language import tr

LEVELS = (
    -1.0,
    -0.696,
    -0.525,
    -0.395,
    -0.284,
    -0.185,
    -0.091,
    0.0,
    0.08,
    0.161,
    0.246,
    0.338,
    0.441,
    0.563,
    0.723,
    1.0,
)
WEIGHT, CHANGE = 0.39, 0.045  # an example: the weight of the 16-bit base, and the change that training learned
GOOD, BAD = TUNED, "#b3401a"


def nearest_level(value: float) -> float:
    """Round a value to the NF4 levels."""
    return min(LEVELS, key=lambda level: abs(level - value))


def three_merges_diagram(weight: float = WEIGHT, change: float = CHANGE) -> Picture:
    """Draw one weight and its change B A in the three ways to merge, beside the weight as training used it."""
    rounded = nearest_level(weight)
    rows = (
        (tr("as trained: NF4 weight + change"), rounded, rounded + change, None),
        (tr("1  into NF4: rounded again"), rounded, rounded + change, nearest_level(rounded + change)),
        (tr("2  onto the dequantized weight"), rounded, rounded + change, None),
        (tr("3  onto the 16-bit weight"), weight, weight + change, None),
    )
    axes = _canvas(5.0, 4.9, (0.30, 0.60), (-0.72, 4.05))
    target, results = rounded + change, {}
    for row_idx, (name, start, moved, again) in enumerate(rows):
        y, end = 3 - row_idx, moved if again is None else again
        right = abs(end - target) < 1e-9
        color = GOOD if right else BAD
        results[name] = end
        axes.plot([0.31, 0.59], [y, y], color=GREY, linewidth=1)
        axes.plot([target, target], [y - 0.28, y + 0.28], color=GREY, linestyle=":", linewidth=1.5)
        for level in (level for level in LEVELS if 0.31 < level < 0.59):
            axes.plot([level, level], [y - 0.07, y + 0.07], color=GREY, linewidth=3)
        axes.text(0.31, y + 0.42, name, fontsize=13, weight="bold", color=INK, va="center")
        axes.plot(start, y, "o", color=INK, markersize=7)
        axes.annotate("", (moved, y + 0.14), (start, y + 0.14), arrowprops={"arrowstyle": "-|>", "color": INK})
        if again is not None:
            back = {"arrowstyle": "-|>", "color": BAD, "connectionstyle": "arc3,rad=-0.5", "linestyle": "--"}
            axes.annotate("", (again, y - 0.07), (moved, y - 0.07), arrowprops=back)
        axes.plot(end, y, "s" if right else "X", color=color, markersize=11, zorder=3)
        note = tr("exact") if right else tr("off by {gap:+.3f}", gap=end - target)
        axes.text(0.59, y + 0.17, note, fontsize=12, color=color, ha="right", va="bottom", weight="bold")
    axes.text(0.31, -0.36, tr("●  start    ■ / ✖  result    |  NF4 level"), fontsize=12, color=INK, va="center")
    axes.text(0.31, -0.6, tr("dotted: what the trained model computes with"), fontsize=12, color=GREY, va="center")
    alt = tr(
        "Number lines with NF4 levels. The 16-bit weight {weight:.3f} is stored as the level {rounded:.3f}; training learned a "
        "change of {change:+.3f}, so the trained model computes with {target:.3f}. Results: {results}.",
        weight=weight,
        rounded=rounded,
        change=change,
        target=target,
        results="; ".join(f"{name}: {end:.3f}" for name, end in results.items()),
    )
    return _with_alt(axes, alt)


def merge_ways_plot(ways: Mapping[str, Mapping[str, float]]) -> Picture:
    """Draw the change in NLL of each way to merge against the adapter as trained."""
    _, *merges = merge_ways(ways).items()
    figure, axes = _new(4.8, 2.6)
    changes = [values["change"] for _, values in merges]
    top = max(*map(abs, changes), 1e-4)
    bars = axes.barh(range(len(merges)), changes, height=0.4, color=[BAD if c > 0.005 else GOOD for c in changes])
    for (name, values), bar in zip(merges, bars, strict=True):
        y = bar.get_y() - 0.08
        axes.text(0, y, way_name(name), fontsize=11, va="bottom", ha="left")
        axes.text(top * 1.22, y, signed(values["change"]), fontsize=11, va="bottom", ha="right", weight="bold")
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set(yticks=[], ylim=(len(merges) - 0.6, -0.75), xlim=(min(0, *changes) * 1.1 - top * 0.02, top * 1.25))
    axes.set_xlabel(tr("NLL minus that of the adapter as trained (nats)"), fontsize=11)
    parts = "; ".join(f"{way_name(name)}: {signed(values['change'])}" for name, values in merges)
    head = tr("Bar chart, change of the NLL by the way of merging, in nats.")
    return _done(figure, f"{head} {parts}.", None)


def systems_chart(block: Mapping, metric: str = "rougeL", name: str = "ROUGE-L") -> Picture:
    """Draw one metric of every system of a split with its 95 % interval; each label stands above its line."""
    values = {
        system: block["systems"][system][metric] for system in STYLES if metric in block["systems"].get(system, {})
    }
    figure, axes = _new(4.8, 0.62 * len(values) + 0.9)
    for y, (system, value) in enumerate(values.items()):
        color, mark = STYLES[system]
        axes.plot(value["ci95"], [y, y], color=color, linewidth=3)
        axes.plot(value["mean"], y, mark, color=color, markersize=9)
        transform = axes.get_yaxis_transform()
        axes.text(0.02, y - 0.2, label(system), transform=transform, fontsize=12, va="bottom", color=color)
        axes.text(
            0.98,
            y - 0.2,
            f"{value['mean']:.3f}",
            transform=transform,
            fontsize=12,
            ha="right",
            va="bottom",
            color=color,
        )
    axes.margins(x=0.1)
    axes.set(yticks=[], ylim=(len(values) - 0.5, -0.8))
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlabel(tr("{name}, mean and 95 % interval of {rows} rows", name=name, rows=block["n"]), fontsize=11)
    parts = "; ".join(f"{label(system)}: {_interval(value)}" for system, value in values.items())
    head = tr("{name} with its 95 % interval on {rows} rows.", name=name, rows=block["n"])
    return _done(figure, f"{head} {parts}.", None)


def draws_plot(draws: Sequence[Mapping], size: int, full: Mapping, name: str = "ROUGE-L") -> Picture:
    """Draw the means of many small random samples of rows as a histogram, with the mean of all rows and zero."""
    means = np.array([draw["mean"] for draw in draws])
    figure, axes = _new(4.8, 3.4)
    counts, edges, patches = axes.hist(means, bins=20, color=TUNED, edgecolor="white")
    for edge, patch in zip(edges, patches, strict=False):
        if (edge + (edges[1] - edges[0]) / 2) * full["mean"] < 0:
            patch.set(facecolor=BAD, hatch="//")
    top = counts.max() or 1
    axes.axvline(full["mean"], color=INK, linewidth=2)
    axes.axvline(0, color=GREY, linestyle=":", linewidth=2)
    axes.set_ylim(0, top * 1.4)
    low, high = axes.get_xlim()
    reach = max(abs(low), abs(high))
    low, high = min(low, -0.3 * reach), max(high, 0.3 * reach)
    axes.set_xlim(low, high)
    for x, text, y in (
        (full["mean"], tr("all rows: {mean:+.3f}", mean=full["mean"]), 1.33),
        (0, tr("no difference"), 1.18),
    ):
        right = (x - low) / (high - low) > 0.5  # the label goes where there is room
        place = {"ha": "right", "xytext": (-5, 0)} if right else {"ha": "left", "xytext": (5, 0)}
        axes.annotate(text, (x, top * y), textcoords="offset points", va="center", fontsize=11, **place)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(tr("{name}, fine-tuned minus base, mean of {size} rows", name=name, size=size), fontsize=11)
    axes.set_ylabel(tr("draws"), fontsize=11)
    wrong = int((means * full["mean"] < 0).sum())
    alt = tr(
        "Histogram of the mean difference in {name} of {draws} random draws of {size} rows: from {low:+.3f} to {high:+.3f}; "
        "all rows give {mean:+.3f}; {wrong} draws have the wrong sign.",
        name=name,
        draws=len(means),
        size=size,
        low=means.min(),
        high=means.max(),
        mean=full["mean"],
        wrong=wrong,
    )
    return _done(figure, alt, None)


def paired_diagram(base: Sequence[float], tuned: Sequence[float], rows: int = 12, name: str = "NLL") -> Picture:
    """Draw some rows under both systems, each joined by a line, and the two intervals of the difference."""
    from ftlib.evaluation.bootstrap import mean_interval, paired_difference

    base, tuned = np.asarray(base, dtype=float), np.asarray(tuned, dtype=float)
    paired, (a, b) = paired_difference(tuned, base), map(mean_interval, (base, tuned))
    apart = (width(a) ** 2 + width(b) ** 2) ** 0.5
    figure = Picture(figsize=(4.8, 5.0), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[2.2, 1])
    for left, right in zip(base[:rows], tuned[:rows], strict=True):
        down = right < left
        above.plot([0, 1], [left, right], color=TUNED if down else BAD, linestyle="-" if down else "--", marker="o")
    above.set(xlim=(-0.25, 1.25), xticks=[0, 1])
    above.set_xticklabels([label("base"), label("tuned")], fontsize=12)
    above.set_ylabel(tr("{name} of one row", name=name), fontsize=11)
    above.set_title(tr("{rows} rows, each asked of both", rows=min(rows, len(base))), fontsize=12)
    halves = (
        (tr("unpaired: {width:.3f} wide", width=apart), apart / 2, BASE),
        (tr("paired: {width:.3f} wide", width=width(paired)), width(paired) / 2, TUNED),
    )
    for y, (text, half, color) in enumerate(halves):
        center = paired["mean"]
        below.plot([center - half, center + half], [y, y], color=color, linewidth=4, solid_capstyle="butt")
        below.plot(center, y, "s", color=color, markersize=8)
        below.text(0.5, y + 0.28, text, transform=below.get_yaxis_transform(), ha="center", va="bottom", fontsize=11)
    low, high = paired["mean"] - 0.8 * apart, paired["mean"] + 0.8 * apart
    shows_zero = low < 0 < high
    if shows_zero:
        below.axvline(0, color=GREY, linestyle=":", linewidth=2)
    below.set(yticks=[], ylim=(-0.5, 1.75), xlim=(low, high))
    below.xaxis.set_major_locator(MaxNLocator(4))
    zero = tr(" (dotted: 0)") if shows_zero else ""
    below.set_xlabel(
        tr("difference in {name} over all {rows} rows{zero}", name=name, rows=len(base), zero=zero), fontsize=11
    )
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    fell = int((tuned[:rows] < base[:rows]).sum())
    alt = tr(
        "Above: {rows} rows, each a line from its {name} under the base to that under the fine-tuned model; {fell} of them "
        "fall. Below: the 95 % interval of the mean difference {mean:+.3f}, {apart:.3f} wide if the rows were not paired and "
        "{together:.3f} wide paired.",
        rows=min(rows, len(base)),
        name=name,
        fell=fell,
        mean=paired["mean"],
        apart=apart,
        together=width(paired),
    )
    return _done(figure, alt, None)


def what_matters_plot(rows: Sequence[Mapping], noise: float) -> Picture:
    """Draw each ablation's change in NLL with its interval, and whether what was expected was found.

    rows: of `study.what_matters.ablations`, in the order to draw. noise: the spread of the first run's seeds.
    """
    figure, axes = _new(5.2, 0.33 * len(rows) + 1.5)
    limit = np.quantile([abs(row["change"]["mean"]) for row in rows], 0.93) * 1.25
    axes.axvspan(-noise, noise, color=GREY, alpha=0.3, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=1)
    marks = {True: ("o", TUNED), False: ("X", BAD), None: ("D", GREY)}
    for y, row in enumerate(rows):
        mark, color = marks[row["as_expected"]]
        mean, (low, high) = row["change"]["mean"], row["change"]["ci95"]
        axes.axhline(y, color=GREY, alpha=0.18, linewidth=0.8)
        axes.plot(np.clip([low, high], -limit, limit), [y, y], color=color, linewidth=2)
        axes.plot(np.clip(mean, -limit, limit), y, mark, color=color, markersize=7)
        if abs(mean) > limit:
            side = {"ha": "right", "xytext": (-9, 0)} if mean > 0 else {"ha": "left", "xytext": (9, 0)}
            axes.annotate(
                f"{mean:+.2f}",
                (np.clip(mean, -limit, limit), y),
                textcoords="offset points",
                va="center",
                fontsize=10,
                **side,
            )
    axes.set_yticks(range(len(rows)), [row["run"].replace("_", " ") for row in rows], fontsize=11)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(-limit * 1.06, limit * 1.06))
    axes.set_xlabel(tr("◀ better      NLL minus the headline's      worse ▶"), fontsize=11)
    axes.set_title(tr("● as expected   ✖ not as expected   ◆ no direction expected"), fontsize=10, loc="right")
    words = {True: tr("as expected"), False: tr("not as expected"), None: tr("no direction expected")}
    parts = "; ".join(f"{row['run']}: {row['change']['mean']:+.3f}, {words[row['as_expected']]}" for row in rows)
    head = tr(
        "Change in NLL of {runs} ablations against the headline, whose seeds differ by {noise:.3f}.",
        runs=len(rows),
        noise=noise,
    )
    return _done(figure, f"{head} {parts}.", None)


def retrieval_diagram() -> Picture:
    """Draw retrieval: the title searches the index, passages join the prompt, sentences are checked against sources."""
    axes = _canvas(5.0, 5.3, (0, 4), (0.02, 4.3))
    boxes = {
        "title": (0.1, 3.45, 1.6, 0.7, tr("title"), tr("what is asked")),
        "index": (2.3, 3.45, 1.6, 0.7, tr("index"), tr("training rows")),
        "passages": (2.3, 2.35, 1.6, 0.7, tr("passages"), tr("similar rows")),
        "prompt": (0.1, 2.35, 1.6, 0.7, tr("prompt"), tr("title + passages")),
        "model": (0.1, 1.25, 1.6, 0.7, tr("model"), tr("base or fine-tuned")),
        "answer": (2.3, 1.25, 1.6, 0.7, tr("description"), tr("sentence by sentence")),
        "marks": (1.2, 0.12, 1.6, 0.7, tr("marks"), tr("✓ in a source   ? not")),
    }
    for name, (x, y, wide, high, head, text) in boxes.items():
        fill = TUNED if name in ("passages", "marks") else PALE
        ink = "white" if name in ("passages", "marks") else INK
        _box(axes, x, y, wide, high, fill, GREY)
        axes.text(x + wide / 2, y + 0.46, head, ha="center", va="center", fontsize=14, weight="bold", color=ink)
        axes.text(x + wide / 2, y + 0.2, text, ha="center", va="center", fontsize=11.5, color=ink)
    for start, end in (
        ((1.7, 3.8), (2.3, 3.8)),
        ((3.1, 3.45), (3.1, 3.05)),
        ((2.3, 2.7), (1.7, 2.7)),
        ((0.9, 3.45), (0.9, 3.05)),
        ((0.9, 2.35), (0.9, 1.95)),
        ((1.7, 1.6), (2.3, 1.6)),
        ((2.9, 1.25), (2.3, 0.82)),
    ):
        _arrow(axes, start, end)
    axes.text(2.0, 3.9, "BM25", ha="center", va="bottom", fontsize=12, color=GREY)
    axes.plot([3.95, 3.98, 3.98, 2.86], [2.7, 2.7, 0.47, 0.47], color=TUNED, linewidth=1.5, linestyle="--")
    _arrow(axes, (2.9, 0.47), (2.8, 0.47), shrink=0)
    axes.text(3.93, 0.6, tr("compared"), ha="right", va="bottom", fontsize=11.5, color=TUNED)
    alt = tr(
        "Diagram of retrieval. The title is searched in the index of training rows with BM25. The similar rows found are "
        "passages; title and passages are the prompt; the model writes a description. Each of its sentences is compared with "
        "the passages and marked: in a source, or not."
    )
    return _with_alt(axes, alt)


class SavedPicture:
    """A PNG file of the repository that a notebook displays, with its alternative text."""

    def __init__(self, path: Path, alt: str):
        self.path, self.alt = path, alt

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        if not self.path.exists():
            return {
                "text/plain": tr(
                    "{alt} ({name} is in the repository, which is not here.)", alt=self.alt, name=self.path.name
                )
            }, {}
        picture = base64.b64encode(self.path.read_bytes()).decode()
        return {"image/png": picture, "text/plain": self.alt}, {"image/png": {"alt": self.alt, "width": 480}}


def page_picture() -> SavedPicture:
    """Return the picture of the demo page that `benchmarks/page_picture.py` has made."""
    alt = tr(
        "The demo page after a question, on a phone: the two descriptions with a mark behind each sentence, then the buttons to "
        "vote, then the sources."
    )
    return SavedPicture(repository() / "docs" / "demo_page.png", alt)
