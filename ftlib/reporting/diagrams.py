"""Draw the course's explanatory diagrams: the pipeline, a LoRA layer, NF4 levels, packing.

Like `ftlib.reporting.plots`, each function returns a figure with an alternative text. Text is large, because a phone
shows the figure at half of its size; colors differ in lightness too, and labels stand on what they name.
"""

from __future__ import annotations

from matplotlib.patches import FancyBboxPatch

from ftlib.reporting.plots import GREY, TUNED, Picture

PALE, INK = "#e8eef3", "#222222"
STEPS = (
    ("Data", "rows, splits"),
    ("Prompts", "ids, labels"),
    ("Training", "adapter"),
    ("Merging", "one model"),
    ("Evaluation", "metrics"),
    ("Asking", "answers"),
)


def pipeline_diagram(step: int) -> Picture:
    """Draw the six notebooks as a pipeline, with notebook `step` (1 to 6) marked "you are here"."""
    if step not in range(1, len(STEPS) + 1):
        raise ValueError(f"step is {step}; allowed are 1 to {len(STEPS)}, the number of the notebook")
    axes = _canvas(5.8, 2.8, (-0.16, 3.0), (0.02, 1.98))
    for idx, (name, result) in enumerate(STEPS):
        x, y = idx % 3, 1 - idx // 3
        here = idx == step - 1
        fill, ink = (TUNED, "white") if here else (PALE, INK)
        _box(axes, x + 0.05, y + 0.24, 0.8, 0.64, fill, INK if here else GREY)
        axes.text(
            x + 0.45, y + 0.65, f"{idx + 1} {name}", ha="center", va="center", fontsize=13, color=ink, weight="bold"
        )
        axes.text(x + 0.45, y + 0.42, result, ha="center", va="center", fontsize=12, color=ink)
        if here:
            axes.text(x + 0.45, y + 0.11, "▲ you are here", ha="center", va="center", fontsize=12, color=TUNED)
        if idx % 3 < 2:
            _arrow(axes, (x + 0.86, y + 0.56), (x + 1.04, y + 0.56))
    # from the end of the first row to the start of the second one
    axes.plot([2.86, 2.94, 2.94, -0.08, -0.08], [1.56, 1.56, 0.98, 0.98, 0.56], color=GREY, linewidth=1.5)
    _arrow(axes, (-0.09, 0.56), (0.05, 0.56), shrink=0)
    chain = ", ".join(f"{idx + 1} {name.lower()} ({result})" for idx, (name, result) in enumerate(STEPS))
    return _with_alt(
        axes, f"Diagram of the course's six steps: {chain}. You are here: {step} {STEPS[step - 1][0].lower()}."
    )


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
