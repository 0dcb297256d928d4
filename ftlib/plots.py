"""Every figure of the course, one function each (matplotlib, drawn to a file without a screen).

Figures are readable in black and white: lines differ by dash and mark as well as by colour.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

BASE, TUNED, GREY = "#8c6d1f", "#1f5f8b", "#777777"
STYLES = {"base": (BASE, "o"), "tuned": (TUNED, "s"), "copy_title": (GREY, "^"), "nearest": ("#5a5a9e", "D")}


def _new(width: float = 7, height: float = 4) -> tuple[Figure, object]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def loss_plot(log: list[dict], path: Path | None = None) -> Figure:
    """Training and validation loss over steps, from the lines of `train_log.jsonl`; saved as PNG if a path is given."""
    figure, axes = _new()
    train = [(line["step"], line["loss"]) for line in log if "loss" in line]
    validation = [(line["step"], line["validation_loss"]) for line in log if "validation_loss" in line]
    if train:
        axes.plot(*zip(*train, strict=True), color=TUNED, linewidth=1.5, label="training (mean of the steps since the last point)")
    if validation:
        axes.plot(*zip(*validation, strict=True), color=BASE, linestyle="--", marker="o", label="validation")
        step, best = min(validation, key=lambda point: point[1])
        axes.annotate(f"best {best:.3f}", (step, best), textcoords="offset points", xytext=(0, 9), ha="center")
    axes.set(xlabel="optimiser step", ylabel="loss (nats per answer token)", title="Loss while training")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return _save(figure, path)


def _save(figure: Figure, path: Path | None) -> Figure:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    return figure
