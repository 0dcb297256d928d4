"""Render results: tables, figures and the HTML report."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "sentences": ["findings"],
        "tables": ["frame", "table", "trained_on"],
        "plots": [
            "funnel_plot",
            "growing_interval_plot",
            "lengths_plot",
            "loss_plot",
            "padding_plot",
            "speed_waterfall",
            "sweep_plot",
            "systems_plot",
        ],
    },
)
