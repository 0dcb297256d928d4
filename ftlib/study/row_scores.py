"""Row scores: one number for each row, metric and system, stored next to the answers in `rows.npz`.

Means over seeds and differences between two runs are taken row by row, and results/ holds no rows. The file has hashes
of the uids and numbers, no text. `mean_over_seeds([...])`, then `metrics_of(...)`; `against(run, first)` for paired
differences of two runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ftlib.data.funnel import hashes64
from ftlib.evaluation.subsets import values_at
from ftlib.evaluation.summary import paired, summarize
from ftlib.runtime.files import replacing

Metrics = dict[str, dict[str, np.ndarray]]


@dataclass
class RowValues:
    """Row values of one split; generated rows come first and have text metrics, all have a likelihood.

    uids: 64-bit hashes, shape (n,). values: {system: {metric: shape (text_n,)}}. references: {metric: shape (text_n,)},
    the references' own values (see `evaluation.runner.reference_rows`). likelihoods: {system: {metric: shape (2, n)}},
    numerators and denominators (see `evaluation.runner.likelihood_sums`).
    """

    uids: np.ndarray
    values: Metrics
    likelihoods: Metrics
    references: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Return the number of rows."""
        return len(self.uids)

    @property
    def text_n(self) -> int:
        """Return the number of generated rows."""
        return max((len(values) for metrics in self.values.values() for values in metrics.values()), default=0)

    def at(self, positions: np.ndarray) -> RowValues:
        """Return some of the rows. positions: increasing, so that the generated rows stay first."""
        generated = positions[positions < self.text_n]
        return RowValues(
            self.uids[positions],
            values_at(self.values, generated),
            values_at(self.likelihoods, positions),
            values_at(self.references, generated),
        )


def hashed(uids: list[str]) -> np.ndarray:
    """Hash uids to 64 bits each."""
    return hashes64(uid.encode() for uid in uids)


def save(path: Path, key: str, splits: dict[str, RowValues]) -> None:
    """Write the rows of all splits, with the fingerprint of what they were computed from."""
    arrays = {"key": np.array(key)}
    for split, rows in splits.items():
        arrays[f"{split}/uids"] = rows.uids
        for kind, metrics in (("values", rows.values), ("likelihoods", rows.likelihoods)):
            arrays |= {f"{split}/{kind}/{s}/{name}": v for s, values in metrics.items() for name, v in values.items()}
        arrays |= {f"{split}/references/{name}": v for name, v in rows.references.items()}
    with replacing(path) as partial, open(partial, "wb") as file:  # given a file name, numpy would append .npz
        np.savez_compressed(file, **arrays)


def load(path: Path) -> tuple[str | None, dict[str, RowValues]]:
    """Return (fingerprint, {split: rows}) of a file that `save` wrote; (None, {}) if there is none."""
    if not path.exists():
        return None, {}
    splits: dict[str, RowValues] = {}
    with np.load(path) as arrays:
        for name in arrays.files:
            split, _, rest = name.partition("/")
            if rest == "uids":
                splits[split] = RowValues(arrays[name], {}, {})
        for name in arrays.files:
            if name.count("/") == 2:
                split, _, metric = name.split("/")
                splits[split].references[metric] = arrays[name]
            if name.count("/") == 3:
                split, kind, system, metric = name.split("/")
                getattr(splits[split], kind).setdefault(system, {})[metric] = arrays[name]
        for rows in splits.values():
            for system in rows.likelihoods:
                rows.values.setdefault(system, {})  # `retention` has likelihoods only
        return str(arrays["key"]), splits


def mean_over_seeds(seeds: list[RowValues]) -> RowValues:
    """Average each row over seeds, for the systems and metrics that all have. Raises ValueError for other rows."""
    first = seeds[0]
    for other in seeds[1:]:
        if not np.array_equal(other.uids, first.uids) or other.text_n != first.text_n:
            raise ValueError(
                "the seeds of one run were asked different rows; remove its folders and run the study again"
            )

    def mean(metrics: list[Metrics]) -> Metrics:
        return {
            system: {
                name: np.mean([each[system][name] for each in metrics], axis=0)
                for name in metrics[0][system]
                if all(name in each[system] for each in metrics)
            }
            for system in metrics[0]
        }

    return RowValues(
        first.uids, mean([s.values for s in seeds]), mean([s.likelihoods for s in seeds]), first.references
    )


def metrics_of(splits: dict[str, RowValues], resamples: int) -> dict:
    """Compute means and differences with intervals, in the schema of metrics.json, with the further values that a study needs."""
    return {
        split: {"n": rows.n, "text_n": rows.text_n}
        | summarize(rows.values, rows.likelihoods, rows.references, resamples)
        for split, rows in splits.items()
    }


def with_plain(mixture: RowValues, plain: RowValues) -> RowValues:
    """Return the rows of a run with the plain run's fine-tuned model beside it.

    The run's own model, asked without passages, becomes `tuned_mix`. Raises ValueError for other rows.
    """
    if not np.array_equal(mixture.uids, plain.uids):
        raise ValueError("both runs must be asked the same rows; give them the same data and evaluation settings")

    def combined(own: Metrics, other: Metrics) -> Metrics:
        renamed = {"tuned_mix" if system == "tuned" else system: metrics for system, metrics in own.items()}
        return {"base": renamed.pop("base"), "tuned": other["tuned"]} | renamed

    return RowValues(
        mixture.uids,
        combined(mixture.values, plain.values),
        combined(mixture.likelihoods, plain.likelihoods),
        mixture.references,
    )


def means_of(rows: RowValues, system: str = "tuned") -> dict[str, float]:
    """Compute {metric: mean} of one system, without intervals."""
    means = {name: float(values.mean()) for name, values in rows.values[system].items()}
    return means | {name: float(top.sum() / below.sum()) for name, (top, below) in rows.likelihoods[system].items()}


def against(run: dict[str, RowValues], first: dict[str, RowValues], resamples: int, system: str = "tuned") -> dict:
    """Compute {split: {metric: paired difference run - first}} on the rows that both were asked."""
    changes = {}
    for split in run.keys() & first.keys():
        a, b = run[split], first[split]
        text_rows, all_rows = _shared(a.uids[: a.text_n], b.uids[: b.text_n]), _shared(a.uids, b.uids)
        if not len(all_rows[0]) or not (system in a.likelihoods and system in b.likelihoods):
            continue
        values = [values_at(each.values[system], rows) for each, rows in zip((a, b), text_rows, strict=True)]
        likelihoods = [values_at(each.likelihoods[system], rows) for each, rows in zip((a, b), all_rows, strict=True)]
        references = {name: columns[text_rows[0]] for name, columns in a.references.items()}
        counts = {"n": len(all_rows[0]), "text_n": len(text_rows[0])}
        changes[split] = counts | paired(*values, *likelihoods, resamples, references)
    return changes


def _shared(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the uids that both have, in the order of `a`."""
    _, in_a, in_b = np.intersect1d(a, b, return_indices=True)
    order = np.argsort(in_a)
    return in_a[order], in_b[order]
