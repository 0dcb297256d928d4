"""Bootstrap intervals over test rows: for a mean, for a ratio of sums, and for the difference of two systems.

What: each function takes one number a row and returns a dictionary of plain numbers, ready for `metrics.json`:
`{"mean", "ci95": [lo, hi]}`, and for a comparison `wins`, `ties` and `losses` (counts of rows) as well.
Why: a mean over a few hundred answers would come out differently on other rows. The percentile bootstrap (Efron 1979,
"Bootstrap methods: another look at the jackknife") shows by how much without assuming a distribution. Two systems
answer the same titles, so they are compared row by row on the same resampled rows (the paired bootstrap; Koehn 2004,
"Statistical significance tests for machine translation evaluation"): what makes a title hard for both cancels out.
How: `mean_interval(rouge)`, `paired_difference(tuned, base)`; for the NLL `ratio_interval(nll_sum, nll_tokens)`.

The interval speaks of other rows like these. It says nothing about other training seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

import numpy as np

RESAMPLES = 2000
TIE = 1e-12  # two rows closer than this are a tie: rounding must not make winners
_CHUNK = 256  # resamples handled at a time: 2 MB of working memory at 1,000 rows

Values = Sequence[float] | np.ndarray


def mean_interval(values: Values, resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """Mean of `values` (one a row) with its 95 % percentile interval: `{"mean", "ci95": [lo, hi]}`.

    One row gives lo = hi. Raises ValueError for no rows and for a value that is not finite.
    """
    (values,) = _columns(values=values)
    return _summary(values.mean(), _resampled_sums(values, resamples, seed) / len(values))


def ratio_interval(numerators: Values, denominators: Values, resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """sum(numerators) / sum(denominators) with its interval over rows, in the form of `mean_interval`.

    The NLL is such a ratio: nats of a row and tokens (or bytes) of a row, so a long answer weighs more than a short
    one. Raises ValueError as `mean_interval` does, and for a denominator that is not above 0.
    """
    numerators, denominators = _columns(numerators=numerators, denominators=denominators)
    _check_positive(denominators=denominators)
    return _summary(numerators.sum() / denominators.sum(), _resampled_ratios(numerators, denominators, resamples, seed))


def paired_difference(a: Values, b: Values, resamples: int = RESAMPLES, seed: int = 0, better: str = "higher") -> dict:
    """Mean of `a - b` over the rows both systems answered, with its interval and the count of rows `a` won.

    a, b: one value a row, in the same row order. The mean keeps its sign: below 0 means that `a` has the lower values.
    better: "higher" or "lower" values are the better ones; "wins" are the rows on which `a` is the better of the two,
    whatever the direction ("neutral" counts as "higher"). Rows within 1e-12 of each other are ties.
    Returns `{"mean", "ci95": [lo, hi], "wins", "ties", "losses"}`.
    """
    a, b = _columns(a=a, b=b)
    return mean_interval(a - b, resamples, seed) | _wins(a, b, better)


def paired_ratio_difference(
    num_a: Values,
    den_a: Values,
    num_b: Values,
    den_b: Values,
    resamples: int = RESAMPLES,
    seed: int = 0,
    better: str = "lower",
) -> dict:
    """Difference of two ratios of sums, a's minus b's, as `paired_difference` returns it.

    Each resample draws the same rows for both systems. A row is won by the better ratio of that row alone; `better` is
    "lower" by default because the NLL is what this is for.
    """
    num_a, den_a, num_b, den_b = _columns(num_a=num_a, den_a=den_a, num_b=num_b, den_b=den_b)
    _check_positive(den_a=den_a, den_b=den_b)
    mean = num_a.sum() / den_a.sum() - num_b.sum() / den_b.sum()
    resampled = _resampled_ratios(num_a, den_a, resamples, seed) - _resampled_ratios(num_b, den_b, resamples, seed)
    return _summary(mean, resampled) | _wins(num_a / den_a, num_b / den_b, better)


@lru_cache(maxsize=4)
def _resample_counts(n: int, resamples: int, seed: int) -> np.ndarray:
    """How often each row is drawn in each resample, shape (resamples, n).

    Kept for the next call, so that every metric and every system sees the same rows and they are drawn once. The
    smallest integer type that holds n keeps it small: 4 MB for 2,000 resamples of 1,000 rows.
    """
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, n), dtype=np.min_scalar_type(n))
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        drawn = rng.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
        counts[start : start + size] = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
    counts.flags.writeable = False
    return counts


def _resampled_sums(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sum of `values` over each resample, shape (resamples,)."""
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; give at least 1 (2000 is the usual number).")
    counts = _resample_counts(len(values), resamples, seed)
    chunks = [counts[start : start + _CHUNK].astype(np.float64) @ values for start in range(0, resamples, _CHUNK)]
    return np.concatenate(chunks)


def _resampled_ratios(numerators: np.ndarray, denominators: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    return _resampled_sums(numerators, resamples, seed) / _resampled_sums(denominators, resamples, seed)


def _summary(mean: float, resampled: np.ndarray) -> dict:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {"mean": float(mean), "ci95": [float(low), float(high)]}


def _wins(a: np.ndarray, b: np.ndarray, better: str) -> dict:
    if better not in ("higher", "lower", "neutral"):
        raise ValueError(f'better is {better!r}; use "higher", "lower" or "neutral".')
    gain = b - a if better == "lower" else a - b
    wins, losses = int((gain > TIE).sum()), int((gain < -TIE).sum())
    return {"wins": wins, "ties": len(gain) - wins - losses, "losses": losses}


def _columns(**columns: Values) -> list[np.ndarray]:
    """The arguments as float arrays of shape (rows,), after the checks that would otherwise end as nan in a table."""
    arrays = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    for name, array in arrays.items():
        if array.ndim != 1:
            raise ValueError(f"{name} has shape {array.shape}; give one number a row.")
        if not len(array):
            raise ValueError(f"{name} has no rows, so there is no mean; leave this metric out of the table.")
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array))[0])
            raise ValueError(f"{name} is {array[row]} in row {row}; leave out or repair that row before averaging.")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The columns differ in length: {lengths}; give the same rows in the same order to all.")
    return list(arrays.values())


def _check_positive(**denominators: np.ndarray) -> None:
    for name, array in denominators.items():
        if (array <= 0).any():
            row = int(np.flatnonzero(array <= 0)[0])
            raise ValueError(f"{name} is {array[row]} in row {row}; leave out the rows that have no tokens.")


def wilson(wins: int, losses: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share of wins (Wilson 1927, "Probable inference, the law of succession, and statistical inference").

    It holds for few votes too, and never leaves 0 to 1. Without votes nothing is known: (0, 1).
    """
    n = wins + losses
    if n == 0:
        return 0.0, 1.0
    share, spread = wins / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return middle - half, middle + half
