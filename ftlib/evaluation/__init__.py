"""Compare base model, fine-tuned model and baselines on the same rows, with intervals."""

from ftlib.runtime.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "runner": ["evaluate"],
        "analysis": ["extremes", "growing_interval", "likelihoods_of", "rows_of", "small_draws", "verdicts"],
        "bootstrap": ["mean_interval", "paired_difference", "share_interval"],
        "metric_table": ["METRICS"],
        "row_metrics": ["score_rows"],
        "systems": ["passages_for"],
    },
)
