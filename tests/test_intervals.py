"""The bootstrap: does a 95 % interval hold what it says, and does a comparison say who won?"""

import json

import numpy as np
import pytest

from ftlib import intervals
from ftlib.intervals import mean_interval, paired_difference, paired_ratio_difference, ratio_interval


def width(result):
    return result["ci95"][1] - result["ci95"][0]


def test_interval_covers_the_true_mean():
    """The intervals in the table are too narrow or too wide to be called 95 %."""
    rng = np.random.default_rng(0)
    sets = rng.exponential(size=(300, 100))  # skewed, as scores are; the true mean is 1
    bounds = [mean_interval(values, resamples=1000)["ci95"] for values in sets]
    covered = np.mean([low <= 1.0 <= high for low, high in bounds])
    assert 0.90 <= covered <= 0.99


def test_interval_is_the_normal_one_for_normal_values():
    """The interval is off by a factor, e.g. it shows the spread of the rows and not that of their mean."""
    values = np.random.default_rng(1).normal(size=1000)
    result = mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert result["mean"] == pytest.approx(values.mean())
    assert result["ci95"] == pytest.approx([values.mean() - half, values.mean() + half], abs=0.1 * half)


def test_ratio_weighs_rows_by_their_tokens():
    """The NLL becomes a mean of row means, in which a two-token answer weighs as much as a long one."""
    assert ratio_interval([2.0, 90.0], [1.0, 99.0])["mean"] == pytest.approx(0.92)
    rng = np.random.default_rng(2)
    tokens = rng.integers(20, 200, size=500)
    nats = tokens * rng.normal(3.0, 0.5, size=500)
    residuals = nats - nats.sum() / tokens.sum() * tokens
    half = 1.96 * np.sqrt((residuals**2).sum()) / tokens.sum()  # the delta method
    result = ratio_interval(nats, tokens)
    assert width(result) == pytest.approx(2 * half, rel=0.1)


def test_equal_denominators_make_a_ratio_a_mean():
    """The two kinds of interval do not agree where they must."""
    values = np.random.default_rng(3).normal(size=50)
    ratio, mean = ratio_interval(values * 4, np.full(50, 4.0)), mean_interval(values)
    assert [ratio["mean"], *ratio["ci95"]] == pytest.approx([mean["mean"], *mean["ci95"]])


def test_pairing_narrows_the_difference():
    """A real gain is hidden because the two systems are treated as if they answered different titles."""
    rng = np.random.default_rng(4)
    difficulty = rng.normal(size=200)
    a, b = difficulty + 0.1 + 0.1 * rng.normal(size=200), difficulty + 0.1 * rng.normal(size=200)
    paired = paired_difference(a, b)
    assert width(paired) < 0.3 * np.hypot(width(mean_interval(a)), width(mean_interval(b)))
    assert paired["ci95"][0] > 0
    tokens = np.full(200, 10.0)
    as_ratio = paired_ratio_difference(a * 10, tokens, b * 10, tokens, better="higher")
    assert as_ratio["ci95"] == pytest.approx(paired["ci95"])
    assert as_ratio["wins"] == paired["wins"]


def test_wins_ties_and_losses():
    """A system that lowers the NLL is shown as the loser, or rounding decides a tie."""
    a, b = [1.0, 2.0, 0.3, 5.0], [2.0, 1.0, 0.1 + 0.2, 1.0]
    higher = paired_difference(a, b)
    assert higher["mean"] == pytest.approx(1.0)
    assert (higher["wins"], higher["ties"], higher["losses"]) == (2, 1, 1)
    lower = paired_difference(a, b, better="lower")
    assert lower["mean"] == higher["mean"]
    assert (lower["wins"], lower["ties"], lower["losses"]) == (1, 1, 2)
    nll = paired_ratio_difference([10.0, 30.0], [10, 10], [20.0, 20.0], [10, 10])
    assert (nll["mean"], nll["wins"], nll["losses"]) == (0.0, 1, 1)
    with pytest.raises(ValueError, match="better is 'less'"):
        paired_difference(a, b, better="less")


def test_same_seed_same_rows():
    """A rerun prints other intervals, or two equal systems differ because each drew its own rows."""
    values, tokens = np.random.default_rng(5).normal(size=(2, 30)) ** 2
    first = mean_interval(values, seed=7)
    intervals._resample_counts.cache_clear()  # as in a new process
    assert mean_interval(list(values), seed=7) == first
    assert mean_interval(values, seed=8) != first
    assert paired_ratio_difference(values, tokens, values, tokens)["ci95"] == [0.0, 0.0]


def test_one_row_and_plain_numbers():
    """A run on one row crashes, or metrics.json cannot be written because of a numpy number."""
    assert mean_interval(np.float32([0.5])) == {"mean": 0.5, "ci95": [0.5, 0.5]}
    assert ratio_interval([3], [2]) == {"mean": 1.5, "ci95": [1.5, 1.5]}
    result = paired_difference([1], [0])
    assert json.loads(json.dumps(result)) == {"mean": 1.0, "ci95": [1.0, 1.0], "wins": 1, "ties": 0, "losses": 0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([]), "values has no rows"),
        (lambda: mean_interval([1.0, float("nan")]), "values is nan in row 1"),
        (lambda: mean_interval([[1.0]]), "one number a row"),
        (lambda: mean_interval([1.0], resamples=0), "resamples is 0"),
        (lambda: ratio_interval([1.0], [0.0]), "denominators is 0.0 in row 0"),
        (lambda: paired_difference([1.0, 2.0], [1.0]), "same rows in the same order"),
    ],
)
def test_unusable_rows_are_named(call, message):
    """A nan or a shifted row reaches the table unseen."""
    with pytest.raises(ValueError, match=message):
        call()
