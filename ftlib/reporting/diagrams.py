"""Draw the course's explanatory diagrams: pipeline, next-token shift, packing, LoRA, NF4, memory, loss curves.

Like `ftlib.reporting.plots`, each function returns a figure with an alternative text. Text is large, because a phone
shows the figure at half of its size; colors differ in lightness too, and labels stand on what they name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.patches import FancyBboxPatch, Rectangle

from ftlib.reporting.plots import BASE, GREY, TUNED, Picture
from ftlib.reporting.run_sentences import DIAGNOSES
from ftlib.runtime.language import to_translate, tr

NAMES = (to_translate("layer 0, query matrix"),)  # what notebook 03 names to `nf4_diagram`
PALE, INK = "#e8eef3", "#222222"
STEPS = (
    (to_translate("Data"), to_translate("rows, splits")),
    (to_translate("Prompts"), to_translate("ids, labels")),
    (to_translate("Training"), to_translate("adapter")),
    (to_translate("Merging"), to_translate("one model")),
    (to_translate("Evaluation"), to_translate("metrics")),
    (to_translate("Asking"), to_translate("answers")),
)


def pipeline_diagram(step: int) -> Picture:
    """Draw the six notebooks as a pipeline, with notebook `step` (1 to 6) marked "you are here"."""
    if step not in range(1, len(STEPS) + 1):
        raise ValueError(f"step is {step}; allowed are 1 to {len(STEPS)}, the number of the notebook")
    axes = _canvas(5.8, 2.8, (-0.16, 3.0), (0.02, 1.98))
    steps = [(tr(name), tr(result)) for name, result in STEPS]
    for idx, (name, result) in enumerate(steps):
        x, y = idx % 3, 1 - idx // 3
        here = idx == step - 1
        fill, ink = (TUNED, "white") if here else (PALE, INK)
        _box(axes, x + 0.05, y + 0.24, 0.8, 0.64, fill, INK if here else GREY)
        axes.text(
            x + 0.45, y + 0.65, f"{idx + 1} {name}", ha="center", va="center", fontsize=13, color=ink, weight="bold"
        )
        axes.text(x + 0.45, y + 0.42, result, ha="center", va="center", fontsize=12, color=ink)
        if here:
            axes.text(x + 0.45, y + 0.11, tr("▲ you are here"), ha="center", va="center", fontsize=12, color=TUNED)
        if idx % 3 < 2:
            _arrow(axes, (x + 0.86, y + 0.56), (x + 1.04, y + 0.56))
    # from the end of the first row to the start of the second one
    axes.plot([2.86, 2.94, 2.94, -0.08, -0.08], [1.56, 1.56, 0.98, 0.98, 0.56], color=GREY, linewidth=1.5)
    _arrow(axes, (-0.09, 0.56), (0.05, 0.56), shrink=0)
    chain = ", ".join(f"{idx + 1} {name.lower()} ({result})" for idx, (name, result) in enumerate(steps))
    return _with_alt(
        axes,
        tr(
            "Diagram of the course's six steps: {chain}. You are here: {step} {name}.",
            chain=chain,
            step=step,
            name=steps[step - 1][0].lower(),
        ),
    )


def lora_diagram(rows: int, columns: int, r: int) -> Picture:
    """Draw a layer with LoRA: the frozen matrix W (rows x columns) beside the thin A (r x columns) and B (rows x r)."""
    axes = _canvas(5.8, 3.6, (0, 10), (0, 6.2))
    frozen, trained = rows * columns, r * (rows + columns)
    _label(axes, 5, 0.35, tr("input x"))
    _arrow(axes, (4.6, 0.65), (2.6, 1.25))
    _arrow(axes, (5.4, 0.65), (7.4, 1.25))
    _box(axes, 0.9, 1.3, 3.2, 2.9, PALE, GREY)
    _label(axes, 2.5, 3.05, tr("W  frozen"), weight="bold")
    _label(axes, 2.5, 2.3, f"{rows:,} × {columns:,}")
    _box(axes, 5.6, 1.3, 3.6, 0.85, TUNED, INK)
    _label(axes, 7.4, 1.72, f"A  {r} × {columns:,}", color="white", weight="bold")
    _arrow(axes, (7.4, 2.2), (7.4, 3.25))
    _label(axes, 7.6, 2.72, tr("r = {r} numbers", r=r), ha="left", fontsize=11)
    _box(axes, 5.6, 3.3, 3.6, 0.9, TUNED, INK)
    _label(axes, 7.4, 3.75, f"B  {rows:,} × {r}", color="white", weight="bold")
    _arrow(axes, (2.6, 4.25), (4.6, 5.0))
    _arrow(axes, (7.4, 4.25), (5.4, 5.0))
    _label(axes, 7.1, 4.85, "× alpha / r", ha="left", fontsize=11)
    _label(axes, 5, 5.2, "+", weight="bold", fontsize=17)
    _label(axes, 5, 5.85, tr("output"))
    share = f"{trained / frozen:.1%}"
    _label(axes, 0.1, 5.6, tr("{share} of W's\nnumbers are trained", share=share), ha="left", fontsize=11, color=TUNED)
    return _with_alt(
        axes,
        tr(
            "Diagram of a layer with LoRA. The input goes through the frozen matrix W ({rows:,} by {columns:,}) and through A "
            "({r} by {columns:,}) and B ({rows:,} by {r}); the second result is scaled by alpha / r, and both are added. "
            "A and B have {trained:,} numbers, {share} of the {frozen:,} of W.",
            rows=rows,
            columns=columns,
            r=r,
            trained=trained,
            share=share,
            frozen=frozen,
        ),
    )


def shift_diagram(tokens: Sequence[str], labels: Sequence[str | None]) -> Picture:
    """Draw the next-token shift: each position predicts the token to its right; None labels are masked (-100)."""
    axes = _canvas(5.8, 2.5, (-1.5, len(tokens)), (-0.1, 3.1))
    for idx, (token, label) in enumerate(zip(tokens, labels, strict=True)):
        trained = label is not None
        _box(axes, idx + 0.04, 2.1, 0.92, 0.7, PALE, GREY)
        _label(axes, idx + 0.5, 2.45, token, fontsize=12)
        _box(axes, idx + 0.04, 0.3, 0.92, 0.7, TUNED if trained else "white", INK if trained else GREY)
        _label(axes, idx + 0.5, 0.65, label if trained else "-100", fontsize=12, color="white" if trained else GREY)
        if idx:  # the prediction at the position before is compared with this label
            style = {"arrowstyle": "-|>", "color": TUNED if trained else GREY, "linewidth": 1.6 if trained else 0.8}
            axes.annotate("", (idx + 0.5, 1.04), (idx - 0.5, 2.06), arrowprops=style | {"shrinkA": 0, "shrinkB": 0})
    for y, name in ((2.45, tr("reads")), (1.55, tr("predicts")), (0.65, tr("labels"))):
        _label(axes, -1.45, y, name, ha="left", fontsize=12, color=GREY)
    counted = [label for label in labels if label is not None]
    return _with_alt(
        axes,
        tr(
            "Diagram of the next-token shift. The model reads {tokens}. The prediction at each position is compared with the "
            "label one position to the right; {masked} labels are -100 and not counted, {counted} are: {labels}.",
            tokens=", ".join(tokens),
            masked=len(labels) - len(counted),
            counted=len(counted),
            labels=", ".join(counted),
        ),
    )


def packing_diagram(lengths: Sequence[int], packed: Sequence[Sequence[int]], row_length: int) -> Picture:
    """Draw the same examples padded, one a row, and packed. packed: indices of the examples in each row."""
    lines = len(lengths) + len(packed)
    axes = _canvas(5.8, 0.34 * lines + 1.5, (-0.02 * row_length, 1.02 * row_length), (lines + 3.2, -0.2))
    colors = [TUNED, BASE, "#5a5a9e", "#3b7d4f", "#a2502b", "#4d4d4d"]

    def row_of(y: float, indices: Sequence[int]) -> None:
        axes.add_patch(
            Rectangle((0, y), row_length, 0.8, facecolor="white", edgecolor=GREY, hatch="///", linewidth=0.8)
        )
        start = 0
        for idx in indices:
            color = colors[idx % len(colors)]
            axes.add_patch(Rectangle((start, y), lengths[idx], 0.8, facecolor=color, edgecolor="white", linewidth=1.2))
            if lengths[idx] > 0.07 * row_length:
                _label(axes, start + lengths[idx] / 2, y + 0.42, str(idx + 1), color="white", fontsize=12)
            start += lengths[idx]

    shares = [sum(lengths) / (row_length * count) for count in (len(lengths), len(packed))]
    head = tr("padded: {rows} rows, {share:.0%} text", rows=len(lengths), share=shares[0])
    _label(axes, 0, 0.4, head, ha="left", weight="bold")
    for idx in range(len(lengths)):
        row_of(idx + 1, [idx])
    top = len(lengths) + 1.4
    head = tr("packed: {rows} rows, {share:.0%} text", rows=len(packed), share=shares[1])
    _label(axes, 0, top + 0.4, head, ha="left", weight="bold")
    for line, indices in enumerate(packed):
        row_of(top + 1 + line, indices)
    note = tr("hatched: padding; a row has {tokens} tokens", tokens=row_length)
    _label(axes, 0, lines + 2.85, note, ha="left", fontsize=11, color=GREY)
    return _with_alt(
        axes,
        tr(
            "Diagram of padding against packing. {examples} examples, one a row of {tokens} tokens: {padded:.0%} is text. The "
            "same examples packed into {rows} rows: {packed:.0%} is text.",
            examples=len(lengths),
            tokens=row_length,
            padded=shares[0],
            rows=len(packed),
            packed=shares[1],
        ),
    )


def nf4_diagram(weights, name: str) -> Picture:
    """Draw a real layer's weights, each divided by the largest of its block of 64, with the sixteen levels of NF4.

    weights: float array with a multiple of 64 values.
    """
    import numpy as np

    blocks = np.asarray(weights, dtype=np.float32).reshape(-1, 64)
    shares = (blocks / np.abs(blocks).max(axis=1, keepdims=True)).ravel()
    levels, name = nf4_levels(), tr(name)
    figure = Picture(figsize=(5.8, 3.3), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    heights, _, _ = axes.hist(shares, bins=81, range=(-1, 1), color=PALE, edgecolor=GREY, linewidth=0.4)
    top = sorted(heights)[-3]  # the bins at the ends hold each block's largest weight
    for level in levels:
        axes.axvline(level, ymax=0.86, color=TUNED, linewidth=1.4)
    axes.set(ylim=(0, 1.25 * top), yticks=[], xticks=[-1, -0.5, 0, 0.5, 1])
    axes.set_title(tr("lines: the 16 values that NF4 can store"), fontsize=13, color=TUNED)
    axes.set_xlabel(tr("weight / largest weight of its block"), fontsize=13)
    axes.tick_params(labelsize=12)
    axes.text(-0.98, 1.12 * top, tr("bars: {name}", name=name), fontsize=12, color=INK)
    inside = float((np.abs(shares) < 0.5).mean())
    near = sum(abs(level) < 0.5 for level in levels)
    figure.alt = tr(
        "Histogram of the weights of {name}, each divided by the largest of its block of 64, with the 16 levels of NF4. "
        "{inside:.0%} of the weights and {near} of the 16 levels lie between -0.5 and 0.5.",
        name=name,
        inside=inside,
        near=near,
    )
    return figure


def nf4_levels() -> list[float]:
    """Return the sixteen values of NF4, from -1 to 1 (Dettmers et al. 2023, appendix E), as bitsandbytes has them."""
    from bitsandbytes import functional

    return sorted(functional.get_4bit_type("nf4", device="cpu").tolist())


def memory_diagram(parts_mib: Mapping[str, float], peak_gib: float | None) -> Picture:
    """Draw what weights, gradients and optimizer need, as bars, beside the measured peak."""
    bars = {tr(name): size / 1024 for name, size in parts_mib.items()}
    rest, peak = tr("everything else"), tr("measured peak")
    known = sum(bars.values())
    if peak_gib is not None:
        bars |= {rest: peak_gib - known, peak: peak_gib}
    figure = Picture(figsize=(5.8, 0.62 * len(bars) + 0.9), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    colors = {rest: GREY, peak: INK}
    drawn = axes.barh(
        range(len(bars)), list(bars.values()), color=[colors.get(name, TUNED) for name in bars], height=0.4
    )
    axes.bar_label(drawn, [_size(value) for value in bars.values()], padding=4, fontsize=12)
    for idx, name in enumerate(bars):  # above its bar: a name beside it would take half of a phone's width
        axes.text(0.01 * max(bars.values()), idx - 0.26, name, fontsize=12, va="bottom")
    axes.set(yticks=[], ylim=(len(bars) - 0.6, -0.75))
    axes.margins(x=0.2)
    axes.set_xlabel("GiB", fontsize=12)
    axes.tick_params(labelsize=12)
    parts = "; ".join(f"{name}: {_size(value)}" for name, value in bars.items())
    figure.alt = f"{tr('Bar chart of memory.')} {parts}."
    return figure


def gallery_diagram(lines: Sequence[dict]) -> Picture:
    """Draw the recorded gallery of loss curves, one panel a run; lines of results/loss_gallery.jsonl."""
    if not lines:
        axes = _canvas(5.8, 1, (0, 1), (0, 1))
        _label(axes, 0.5, 0.5, tr("no loss curves are recorded here"))
        return _with_alt(axes, tr("Nothing to draw: no loss curves are recorded here."))
    figure = Picture(figsize=(5.8, 2.9 * math.ceil(len(lines) / 2)), layout="constrained")
    panels = figure.subplots(math.ceil(len(lines) / 2), 2, squeeze=False, sharex=True, sharey=True)
    finite = [loss for line in lines for _, loss in _curves(line)[0] if math.isfinite(loss)]
    start = max(_curves(line)[0][0][1] for line in lines)
    top = min(max(finite), 1.6 * start)
    alts = []
    for axes in panels.ravel()[len(lines) :]:
        axes.set_axis_off()
    for axes, line in zip(panels.ravel(), lines, strict=False):
        train, validation = _curves(line)
        name = tr(DIAGNOSES.get(line["run"], line["run"]))
        axes.spines[["top", "right"]].set_visible(False)
        axes.plot(*zip(*train, strict=True), color=TUNED, linewidth=1.3)
        axes.plot(*zip(*validation, strict=True), color=BASE, linestyle="--", marker="o", markersize=4)
        axes.set_title(name, fontsize=14, weight="bold")
        axes.set_ylim(0, 1.05 * top)
        if not train[-1][1] < 1.05 * top:
            worst = max((loss for _, loss in train if math.isfinite(loss)), default=math.nan)
            text = tr("off the chart:\nup to {worst:.0f},\n{end:.1f} at the end", worst=worst, end=train[-1][1])
            axes.text(0.95, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=12, color=TUNED)
        axes.tick_params(labelsize=12)
        axes.grid(alpha=0.25)
        alts.append(
            tr(
                "{run}: training loss {first:.2f} to {last:.2f}, validation loss {first_validation:.2f} to "
                "{last_validation:.2f}",
                run=name,
                first=train[0][1],
                last=train[-1][1],
                first_validation=validation[0][1],
                last_validation=validation[-1][1],
            )
        )
    first = panels[0][0]
    first.text(0.97, 0.97, tr("training"), transform=first.transAxes, color=TUNED, ha="right", va="top", fontsize=12)
    first.text(
        0.97, 0.85, f"- - {tr('validation')}", transform=first.transAxes, color=BASE, ha="right", va="top", fontsize=12
    )
    figure.supxlabel(tr("optimizer step"), fontsize=12)
    figure.supylabel(tr("loss (nats per answer token)"), fontsize=12)
    head = tr("Line plots of training and validation loss over steps, {runs} runs.", runs=len(lines))
    figure.alt = f"{head} {'; '.join(alts)}."
    return figure


def _curves(line: dict) -> tuple[list, list]:
    return tuple(
        [(entry["step"], entry[key]) for entry in line["log"] if key in entry] for key in ("loss", "validation_loss")
    )


def _size(gib: float) -> str:
    return f"{gib * 1024:.0f} MiB" if gib < 0.995 else f"{gib:.1f} GiB"


def _label(axes, x: float, y: float, text: str, **style) -> None:
    axes.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 13, "color": INK} | style)


def _canvas(width: float, height: float, xlim: tuple[float, float], ylim: tuple[float, float]):
    """Return empty axes that fill a new figure."""
    figure = Picture(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=xlim, ylim=ylim)
    axes.set_axis_off()
    return axes


def _with_alt(axes, alt: str) -> Picture:
    figure = axes.figure
    figure.alt = alt
    return figure


def _box(axes, x: float, y: float, width: float, height: float, fill: str, edge: str) -> None:
    style = "round,pad=0,rounding_size=0.06"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=fill, edgecolor=edge, linewidth=1.4))


def _arrow(axes, start: tuple[float, float], end: tuple[float, float], shrink: float = 1) -> None:
    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1.5, "shrinkA": shrink, "shrinkB": shrink}
    axes.annotate("", end, start, arrowprops=arrow)
