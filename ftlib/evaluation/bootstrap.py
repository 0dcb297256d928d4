"""95 % intervals over test rows: for means, shares, medians, ratios of sums, and paired differences of two systems.

Each function takes one number per row and returns a dictionary of plain numbers, ready for `metrics.json`: `{"mean",
"ci95": [lo, hi]}`, and for a comparison `wins`, `ties` and `losses` (counts of rows) as well. There are several methods
because no single one covers 95 % everywhere (a test simulates the coverage of each). From `SMALL` rows on, the
percentile bootstrap (Efron 1979); below, where it is too narrow, Student's t (for a ratio with the residuals of the
delta method). Shares have Wilson's interval (1927) and differences of shares Newcombe's (1998), which stay wide at 0
and 100 %; medians have the exact interval of order statistics. Two systems answer the same titles, so they are compared
row by row (paired; Koehn 2004): what makes a title hard for both cancels out. Usage: `mean_interval(rouge)`,
`paired_difference(tuned, base)`; for the NLL `ratio_interval(nll_sum, nll_tokens)`.

The intervals cover the sampling of rows, not the training seed: tables also print the range over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import comb, sqrt

import numpy as np

RESAMPLES = 2000
SMALL = 100  # below this number of rows the percentile bootstrap covers less than 95 %
Z = 1.959964  # 97.5 % quantile of the normal distribution
BETTER = ("higher", "lower", "reference", "neutral")
TIE = 1e-12  # two rows closer than this are a tie: rounding must not make winners
_CHUNK = 256  # resamples in a chunk: 2 MB of working memory at 1,000 rows

Values = Sequence[float] | np.ndarray


def mean_interval(values: Values, resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """Compute the mean of `values` (one a row) with its 95 % interval: `{"mean", "ci95": [lo, hi]}`.

    One row gives lo = hi. Raises ValueError for no rows and for a value that is not finite.
    """
    (values,) = _columns(values=values)
    if _is_small(values, resamples):
        return _t_summary(values.mean(), values)
    return _summary(values.mean(), _resampled_sums(values, resamples, seed) / len(values))


def share_interval(values: Values) -> dict:
    """Compute a share of rows (values 0 or 1; means over seeds may lie between) with Wilson's interval.

    1,000 of 1,000 give [0.996, 1], not [1, 1]: resampling identical values shows no spread.
    """
    (values,) = _columns(values=values)
    if values.min() < 0 or values.max() > 1:
        raise ValueError(f"a share has values from 0 to 1, not {values.min()} to {values.max()}; use mean_interval")
    return _wilson_summary(values.mean(), len(values))


def median_interval(values: Values) -> dict:
    """Compute the median with its exact interval of order statistics: `{"median", "median_ci95": [lo, hi]}`.

    Below six rows no pair of order statistics covers the median with 95 %; the interval is then minimum to maximum.
    """
    (values,) = _columns(values=values)
    ordered, n = np.sort(values), len(values)
    below, limit, rank = 1, 2**n // 40, 0  # rank: how many values are left out at each end (2.5 % of 2 ** n outcomes)
    while below <= limit:
        rank += 1
        below += comb(n, rank)
    rank = max(rank - 1, 0)
    return {"median": float(np.median(values)), "median_ci95": [float(ordered[rank]), float(ordered[n - 1 - rank])]}


def ratio_interval(numerators: Values, denominators: Values, resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """Compute sum(numerators) / sum(denominators) with its interval over rows, as `mean_interval` returns it.

    The NLL is such a ratio: nats of a row and tokens (or bytes) of a row, so a long answer weighs more than a short
    one. Raises ValueError as `mean_interval` does, and for a denominator that is not above 0.
    """
    numerators, denominators = _columns(numerators=numerators, denominators=denominators)
    _check_positive(denominators=denominators)
    mean = numerators.sum() / denominators.sum()
    if _is_small(numerators, resamples):
        return _t_summary(mean, _residuals(numerators, denominators))
    return _summary(mean, _resampled_ratios(numerators, denominators, resamples, seed))


def paired_difference(
    a: Values,
    b: Values,
    resamples: int = RESAMPLES,
    seed: int = 0,
    better: str = "higher",
    reference: Values | None = None,
) -> dict:
    """Compute the mean of `a - b` over the rows both systems answered, with its interval and the rows that `a` won.

    a, b: one value a row, in the same row order. The mean keeps its sign: below 0 means that `a` has the lower values.
    better: "higher" or "lower" values are the better ones, or those nearer to the `reference`, the value that each row's
    reference text has itself; "wins" are the rows on which `a` is the better of the two, whatever the direction. Rows within
    1e-12 of each other are ties. A "neutral" metric has no wins.
    Returns `{"mean", "ci95": [lo, hi], "wins", "ties", "losses"}`; with a reference also `nearer`: the difference of the
    distances of both means to the reference's mean, below 0 where `a` is nearer.
    """
    a, b = _columns(a=a, b=b)
    found = mean_interval(a - b, resamples, seed) | _wins(a, b, better, reference)
    return found | ({"nearer": _nearer(a, b, reference, resamples, seed)} if better == "reference" else {})


def paired_share_difference(a: Values, b: Values, better: str = "higher") -> dict:
    """Compute the difference of two shares on the same rows, a's minus b's, as `paired_difference` returns it.

    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    method 10 without continuity correction: both Wilson intervals, put together with the correlation of the rows.
    """
    a, b = _columns(a=a, b=b)
    varied = a.std() > 0 and b.std() > 0
    correlation = float(np.corrcoef(a, b)[0, 1]) if varied else 0.0
    return newcombe(share_interval(a), share_interval(b), correlation) | _wins(a, b, better)


def newcombe(a: dict, b: dict, correlation: float = 0.0) -> dict:
    """Compute `{"mean", "ci95"}` of the difference of two shares that have their Wilson intervals."""
    (low_a, high_a), (low_b, high_b) = a["ci95"], b["ci95"]
    under, over = (a["mean"] - low_a, high_b - b["mean"]), (high_a - a["mean"], b["mean"] - low_b)
    down, up = (sqrt(max(x * x - 2 * correlation * x * y + y * y, 0.0)) for x, y in (under, over))
    mean = a["mean"] - b["mean"]
    return {"mean": mean, "ci95": [mean - down, mean + up]}


def paired_median_difference(a: Values, b: Values, resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """Compute the difference of two medians on the same rows, `{"median", "median_ci95"}`, by bootstrap over rows.

    It is the difference of the medians that a table shows, not the median of the differences.
    """
    a, b = _columns(a=a, b=b)
    resampled = _resampled_medians(a, resamples, seed) - _resampled_medians(b, resamples, seed)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {"median": float(np.median(a) - np.median(b)), "median_ci95": [float(low), float(high)]}


def nearer_median(a: Values, b: Values, reference: float, resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """Compute `{"mean", "ci95"}` of the distance of a's median to `reference` minus that of b's; below 0: `a` is nearer."""
    a, b = _columns(a=a, b=b)
    mean = abs(np.median(a) - reference) - abs(np.median(b) - reference)
    distances = (np.abs(_resampled_medians(each, resamples, seed) - reference) for each in (a, b))
    return _summary(mean, next(distances) - next(distances))


def paired_ratio_difference(
    num_a: Values,
    den_a: Values,
    num_b: Values,
    den_b: Values,
    resamples: int = RESAMPLES,
    seed: int = 0,
    better: str = "lower",
) -> dict:
    """Compute the difference of two ratios of sums, a's minus b's, as `paired_difference` returns it.

    Each resample draws the same rows for both systems. A row is won by the better ratio of that row alone; `better` is
    "lower" by default because the NLL is what this is for.
    """
    num_a, den_a, num_b, den_b = _columns(num_a=num_a, den_a=den_a, num_b=num_b, den_b=den_b)
    _check_positive(den_a=den_a, den_b=den_b)
    mean = num_a.sum() / den_a.sum() - num_b.sum() / den_b.sum()
    wins = _wins(num_a / den_a, num_b / den_b, better)
    if _is_small(num_a, resamples):
        return _t_summary(mean, _residuals(num_a, den_a) - _residuals(num_b, den_b)) | wins
    resampled = _resampled_ratios(num_a, den_a, resamples, seed) - _resampled_ratios(num_b, den_b, resamples, seed)
    return _summary(mean, resampled) | wins


def _nearer(a: np.ndarray, b: np.ndarray, reference: Values, resamples: int, seed: int) -> dict:
    """Compute the distance of a's mean to the reference's mean minus that of b's mean, with its interval."""
    a, b, ref = _columns(a=a, b=b, reference=reference)
    gap_a, gap_b = (a - ref), (b - ref)
    mean = abs(gap_a.mean()) - abs(gap_b.mean())
    if _is_small(a, resamples):  # the distance of each side changes with its rows as the mean does, up to its sign
        return _t_summary(mean, np.sign(gap_a.mean()) * gap_a - np.sign(gap_b.mean()) * gap_b)
    sums = [np.abs(_resampled_sums(gap, resamples, seed)) for gap in (gap_a, gap_b)]
    return _summary(mean, (sums[0] - sums[1]) / len(a))


@lru_cache(maxsize=4)
def _resample_counts(n: int, resamples: int, seed: int) -> np.ndarray:
    """Draw how often each row is in each resample, shape (resamples, n).

    Cached, so that all metrics and systems share the same resamples. The counts use the smallest integer type that
    holds n: 4 MB for 2,000 resamples of 1,000 rows.
    """
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, n), dtype=np.min_scalar_type(n))
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        indices = rng.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
        counts[start : start + size] = np.bincount(indices.ravel(), minlength=size * n).reshape(size, n)
    counts.flags.writeable = False
    return counts


def _resampled_sums(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Compute the sum of `values` over each resample, shape (resamples,)."""
    counts = _resample_counts(len(values), resamples, seed)
    chunks = [counts[start : start + _CHUNK].astype(np.float64) @ values for start in range(0, resamples, _CHUNK)]
    return np.concatenate(chunks)


def _resampled_ratios(numerators: np.ndarray, denominators: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    return _resampled_sums(numerators, resamples, seed) / _resampled_sums(denominators, resamples, seed)


def _resampled_medians(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Compute the median of each resample, shape (resamples,); of an even number of rows the middle of both."""
    order = np.argsort(values, kind="stable")
    ordered, n = values[order], len(values)
    counts, medians = _resample_counts(n, resamples, seed), []
    for start in range(0, resamples, _CHUNK):
        below = np.cumsum(counts[start : start + _CHUNK][:, order], axis=1, dtype=np.int64)  # (chunk, rows)
        lower, upper = ((below > rank).argmax(axis=1) for rank in ((n - 1) // 2, n // 2))
        medians.append((ordered[lower] + ordered[upper]) / 2)
    return np.concatenate(medians)


def _is_small(values: np.ndarray, resamples: int) -> bool:
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; give at least 1 (2000 is the usual number).")
    return len(values) < SMALL


def _residuals(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Compute what each row adds to the ratio of sums (delta method): mean 0, the spread of the ratio."""
    ratio = numerators.sum() / denominators.sum()
    return (numerators - ratio * denominators) / denominators.mean()


def _t_summary(mean: float, values: np.ndarray) -> dict:
    """Compute the t interval around `mean`, with the spread of `values`."""
    n = len(values)
    half = t_quantile(n - 1) * values.std(ddof=1) / sqrt(n) if n > 1 else 0.0
    return {"mean": float(mean), "ci95": [float(mean - half), float(mean + half)]}


def _wilson_summary(share: float, n: int) -> dict:
    low, high = wilson(share * n, n - share * n)
    return {"mean": float(share), "ci95": [min(low, float(share)), max(high, float(share))]}


def t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t: a table, then Abramowitz and Stegun 1964, 26.7.5."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    terms = ((Z**3 + Z) / 4, (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96, (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384)
    return Z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


_T = (
    12.7062,
    4.30265,
    3.18245,
    2.77645,
    2.57058,
    2.44691,
    2.36462,
    2.306,
    2.26216,
    2.22814,
)  # 1 to 10 degrees of freedom


def _summary(mean: float, resampled: np.ndarray) -> dict:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {"mean": float(mean), "ci95": [float(low), float(high)]}


def _wins(a: np.ndarray, b: np.ndarray, better: str, reference: Values | None = None) -> dict:
    if better not in BETTER:
        raise ValueError(f"better is {better!r}; use one of {', '.join(BETTER)}.")
    if better == "neutral":
        return {}
    if better == "reference":
        if reference is None:
            raise ValueError("better is 'reference', so `reference` must hold each row's own value.")
        a, b, ref = _columns(a=a, b=b, reference=reference)
        a, b, better = np.abs(a - ref), np.abs(b - ref), "lower"
    gain = b - a if better == "lower" else a - b
    wins, losses = int((gain > TIE).sum()), int((gain < -TIE).sum())
    return {"wins": wins, "ties": len(gain) - wins - losses, "losses": losses}


def _columns(**columns: Values) -> list[np.ndarray]:
    """Return the arguments as float arrays of shape (rows,), after the checks that would otherwise end as nan in a table."""
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


def wilson(wins: float, losses: float, z: float = 1.96) -> tuple[float, float]:
    """Compute the 95 % interval of a share of wins (Wilson 1927, "Probable inference, the law of succession").

    It is valid for few votes too, and stays within 0 to 1. Without votes it is (0, 1).
    """
    n = wins + losses
    if n == 0:
        return 0.0, 1.0
    share, spread = wins / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return middle - half, middle + half
