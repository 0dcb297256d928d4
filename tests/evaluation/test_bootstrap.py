"""The bootstrap: does a 95 % interval hold what it says, and does a comparison say who won?"""

import json

import numpy as np
import pytest

from ftlib.evaluation import bootstrap
from ftlib.evaluation.bootstrap import (
    mean_interval,
    median_interval,
    nearer_median,
    paired_difference,
    paired_median_difference,
    paired_ratio_difference,
    paired_share_difference,
    ratio_interval,
    share_interval,
    t_quantile,
    wilson,
)


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
    values, tokens = np.random.default_rng(5).normal(size=(2, 130)) ** 2
    first = mean_interval(values, seed=7)
    bootstrap._resample_counts.cache_clear()  # as in a new process
    assert mean_interval(list(values), seed=7) == first
    assert mean_interval(values, seed=8) != first
    assert paired_ratio_difference(values, tokens, values, tokens)["ci95"] == [0.0, 0.0]


def test_one_row_and_plain_numbers():
    """A run on one row crashes, or metrics.json cannot be written because of a numpy number."""
    assert mean_interval(np.float32([0.5])) == {"mean": 0.5, "ci95": [0.5, 0.5]}
    assert ratio_interval([3], [2]) == {"mean": 1.5, "ci95": [1.5, 1.5]}
    result = paired_difference([1], [0])
    assert json.loads(json.dumps(result)) == {"mean": 1.0, "ci95": [1.0, 1.0], "wins": 1, "ties": 0, "losses": 0}


DRAWS = 400  # data sets of each simulated coverage; the standard error of 95 % is 1.1 points


def covered(truth, intervals_of_sets) -> float:
    return float(np.mean([low <= truth <= high for low, high in intervals_of_sets]))


@pytest.mark.parametrize("rows", [5, 12, 50])
def test_few_rows_are_covered_as_the_table_says(rows):
    """A quick look at 12 rows prints an interval that misses the truth three times as often as the 5 % it claims."""
    rng = np.random.default_rng(rows)
    normal, skewed = rng.normal(size=(DRAWS, rows)), rng.exponential(size=(DRAWS, rows))
    assert 0.92 <= covered(0.0, [mean_interval(values)["ci95"] for values in normal]) <= 0.98
    assert (
        covered(1.0, [mean_interval(values)["ci95"] for values in skewed]) >= 0.87
    )  # percentile bootstrap at 12: 0.86
    paired = [paired_difference(a, b)["ci95"] for a, b in zip(normal + skewed, skewed, strict=True)]
    assert 0.92 <= covered(0.0, paired) <= 0.98


def test_few_rows_of_a_ratio_are_covered_as_the_table_says():
    """The NLL of 12 rows is a ratio, and its interval would still be that of many rows."""
    rng = np.random.default_rng(12)
    tokens = rng.integers(40, 200, size=(DRAWS, 12))
    nats = tokens * (3 + 0.5 * rng.normal(size=tokens.shape))
    found = [ratio_interval(*each)["ci95"] for each in zip(nats, tokens, strict=True)]
    assert 0.91 <= covered(3.0, found) <= 0.98
    other = tokens * (3 + 0.5 * rng.normal(size=tokens.shape))
    pairs = [paired_ratio_difference(a, n, b, n)["ci95"] for a, b, n in zip(nats, other, tokens, strict=True)]
    assert 0.91 <= covered(0.0, pairs) <= 0.98


@pytest.mark.parametrize(("share", "rows"), [(0.02, 12), (0.02, 200), (0.5, 30), (0.98, 100)])
def test_shares_near_0_and_100_percent_are_covered(share, rows):
    """All of 200 answers end, and the table says that it is certain: 1.000 [1.000, 1.000]."""
    drawn = (np.random.default_rng(rows).random((DRAWS, rows)) < share).astype(float)
    assert covered(share, [share_interval(values)["ci95"] for values in drawn]) >= 0.89
    other = (np.random.default_rng(1).random((DRAWS, rows)) < share).astype(float)
    found = [paired_share_difference(a, b)["ci95"] for a, b in zip(drawn, other, strict=True)]
    assert covered(0.0, found) >= 0.9


def test_a_share_of_all_rows_is_not_certain():
    """1.000 [1.000, 1.000], which more rows of the same kind would contradict."""
    found = share_interval(np.ones(40))
    assert found == {"mean": 1.0, "ci95": [pytest.approx(0.912, abs=5e-4), 1.0]}  # Wilson's 40 of 40
    change = paired_share_difference(np.ones(40), np.zeros(40))
    assert change["ci95"] == [pytest.approx(0.876, abs=5e-4), 1.0] and (change["wins"], change["ties"]) == (40, 0)
    assert share_interval([1.0, 0.5])["mean"] == 0.75  # a mean of two seeds
    with pytest.raises(ValueError, match="a share has values from 0 to 1"):
        share_interval([2.0])


def test_a_paired_difference_of_shares_is_that_of_newcombe():
    """Cells 36, 12, 2 and 0, an example of Newcombe 1998: without the correlation, the interval is another one."""
    a = np.array([1.0] * 36 + [1.0] * 12 + [0.0] * 2)
    b = np.array([1.0] * 36 + [0.0] * 12 + [1.0] * 2)
    found = paired_share_difference(a, b)
    assert found["mean"] == pytest.approx(0.2)
    assert (found["wins"], found["ties"], found["losses"]) == (12, 36, 2)
    assert found["ci95"] == pytest.approx([0.0569, 0.3404], abs=1e-4)


def test_a_median_is_not_moved_by_one_answer_that_loops():
    """One looping answer of 80 times the reference's length makes a short-spoken model look long-winded."""
    ratios = [0.8, 0.9, 1.0, 1.1, 0.7, 1.2, 0.9, 1.0, 1.1, 0.95, 1.05, 80.0]
    found = median_interval(ratios)
    assert found["median"] == 1.0 and found["median_ci95"] == [0.9, 1.1]  # the third and the tenth of twelve
    rng = np.random.default_rng(3)
    for rows in (12, 200):
        a, b = np.exp(rng.normal(size=(2, 150, rows)))
        assert covered(1.0, [median_interval(values)["median_ci95"] for values in a]) >= 0.91
        pairs = [paired_median_difference(x, y, 300)["median_ci95"] for x, y in zip(a, b, strict=True)]
        assert covered(0.0, pairs) >= 0.91
    assert nearer_median([1.0] * 20, [3.0] * 20, 1.0) == {"mean": -2.0, "ci95": [-2.0, -2.0]}


@pytest.mark.parametrize("rows", [30, 300])
def test_nearer_to_the_reference_is_better_from_either_side(rows):
    """A model that copies as much as a true description does counts as worse than one that copies nothing."""
    rng = np.random.default_rng(rows)
    own = 5 + rng.normal(size=rows)
    near, far, above = own + 0.5, own - 3, own + 3
    found = paired_difference(near, far, better="reference", reference=own)
    assert found["nearer"]["ci95"][1] < 0 and (found["wins"], found["losses"]) == (rows, 0)
    same = paired_difference(above + 0.1 * rng.normal(size=rows), far, better="reference", reference=own)
    assert same["mean"] > 5 and same["nearer"]["ci95"][0] < 0 < same["nearer"]["ci95"][1]
    assert set(paired_difference(near, far, better="neutral")) == {"mean", "ci95"}
    with pytest.raises(ValueError, match="`reference` must hold"):
        paired_difference(near, far, better="reference")


def test_the_quantile_of_t():
    """A typo in the table narrows every small interval."""
    published = {1: 12.706, 4: 2.776, 10: 2.228, 11: 2.201, 20: 2.086, 30: 2.042, 60: 2.000, 98: 1.984}
    assert {n: round(t_quantile(n), 3) for n in published} == published


def test_wilson_by_hand():
    """The interval of votes and shares: 10 of 10 are not certain, and no votes say nothing."""
    assert wilson(10, 0) == (pytest.approx(0.7225, abs=1e-4), pytest.approx(1.0))
    assert wilson(0, 0) == (0.0, 1.0)


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
