"""The text metrics as `evaluate.Metric`s, for `compute`, `add_batch` and `evaluate.combine`; `row_metrics` computes them.

They take `predictions` and `references` (lists of strings) and return means, or with `compute(..., per_row=True)` the row values
that a bootstrap needs. They are written here and never loaded with `evaluate.load`, which fetches code from the hub: an
evaluation must run offline. `ftlib evaluate` calls `row_metrics` itself: importing `evaluate` takes seconds, because it imports
the pipelines of transformers, and no metric uses them.
"""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np

from ftlib.evaluation import copied_runs, row_metrics
from ftlib.evaluation.row_metrics import RowMetric
from ftlib.prompts.templates import PREFIX


class EvaluateMetric(evaluate.Metric):
    """An `evaluate.Metric` of a metric of `row_metrics`.

    Further inputs of a metric (`titles`, `stopped`) are keyword arguments of `compute` with one entry per row; `prefix`
    (`prompt.prefix`) is stripped from the texts. Everything stays in memory: `evaluate` only creates an empty cache folder under
    HF_HOME.
    """

    def __init__(self, metric: RowMetric, **kwargs):
        self.metric = metric
        super().__init__(keep_in_memory=True, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=self.metric.__doc__ or "",
            citation="",
            inputs_description="predictions, references: lists of strings; per_row=True gives row values, not means.",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions, references, per_row: bool = False, **extra) -> dict:
        rows = row_metrics.compute_rows([self.metric], predictions, references, **extra)
        return rows if per_row else {name: float(np.mean(values)) for name, values in rows.items()}


class Rouge(EvaluateMetric):
    """ROUGE-1, -2, -L and -Lsum, see `row_metrics.Rouge`."""

    def __init__(self, prefix: str = PREFIX, **kwargs):
        super().__init__(row_metrics.Rouge(prefix), **kwargs)


class Chrf(EvaluateMetric):
    """chrF2, see `row_metrics.Chrf`."""

    def __init__(self, prefix: str = PREFIX, **kwargs):
        super().__init__(row_metrics.Chrf(prefix), **kwargs)


class Form(EvaluateMetric):
    """`format` and `stops`, see `row_metrics.Form`."""

    def __init__(self, prefix: str = PREFIX, **kwargs):
        super().__init__(row_metrics.Form(prefix), **kwargs)


class Shape(EvaluateMetric):
    """Length and repetition, see `row_metrics.Shape`."""

    def __init__(self, prefix: str = PREFIX, **kwargs):
        super().__init__(row_metrics.Shape(prefix), **kwargs)


class Grounding(EvaluateMetric):
    """What an answer takes from its title, see `row_metrics.Grounding`. Needs `titles`."""

    def __init__(self, prefix: str = PREFIX, **kwargs):
        super().__init__(row_metrics.Grounding(prefix), **kwargs)


class Context(EvaluateMetric):
    """What an answer takes from its passages, see `row_metrics.Context`. Needs `titles`; takes `passages`."""

    def __init__(self, prefix: str = PREFIX, **kwargs):
        super().__init__(row_metrics.Context(prefix), **kwargs)


class Verbatim(EvaluateMetric):
    """`gram8_r`, see `row_metrics.Verbatim`."""

    def __init__(self, prefix: str = PREFIX, **kwargs):
        super().__init__(row_metrics.Verbatim(prefix), **kwargs)


class CopiedRun(EvaluateMetric):
    """`copied_run`, see `copied_runs.CopiedRun`; built once from the training descriptions."""

    def __init__(self, training_texts: Sequence[str], prefix: str = PREFIX, **kwargs):
        super().__init__(copied_runs.CopiedRun(training_texts, prefix), **kwargs)
