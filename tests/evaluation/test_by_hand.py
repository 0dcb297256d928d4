"""ROUGE by hand, moved numbers, and few rows: what notebook 05 and 06 show step by step."""

import json
from fractions import Fraction

import pytest

from ftlib.evaluation import likelihoods_of, rouge_by_hand, small_draws
from ftlib.evaluation.moved_numbers import moved_numbers


def test_rouge_by_hand_agrees_with_the_library_and_with_the_pencil():
    """The example of the notebook: 5 shared words of 6 written and 8 expected."""
    steps = rouge_by_hand.by_hand("A blue enamel cup with a steel rim.", "Description: A blue cup with a handle.")
    f1 = round(float(2 * Fraction(5, 6) * Fraction(5, 8) / (Fraction(5, 6) + Fraction(5, 8))), 3)
    for name in ("rouge1", "rougeL"):
        assert steps[name]["precision"].startswith("5 / 6") and steps[name]["recall"].startswith("5 / 8")
        assert steps[name]["F1"] == steps[name]["rouge_score"] == f1
    assert steps["rougeL"]["shared words"] == "a blue cup with a"


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("The cat sat on the mat.", "On the mat the cat sat."),
        ("Cups, running cups", "cup runs"),
        ("One", "two"),
        ("One", ""),
    ],
)
def test_by_hand_is_the_metric(reference, answer):
    """A table that differs from the metric in one case teaches a wrong metric."""
    for step in rouge_by_hand.by_hand(reference, answer).values():
        assert step["F1"] == pytest.approx(step["rouge_score"], abs=1e-3)


@pytest.mark.parametrize(
    ("answer", "title", "found"),
    [
        ("It is 9000 inches wide.", "Zorblax 9000 toaster", {"9000 inches"}),
        ("It holds 300 ml.", "Cup, 300 ml", set()),
        ("A cup of 12 inches.", "Cup, 300 ml", set()),
        ("A 2-pack of cups", "Cups, 2-Pack", set()),
        ("2 packs", "Cups, 2-Pack", set()),
        ("Holds 1,000 liters", "Tank, 1000 ml", {"1000 liters"}),
        ("14 inch wide", "Lamp, 14 inches", set()),
    ],
)
def test_a_number_of_the_title_in_another_place_is_found(answer, title, found):
    """The blind spot of `unsupported`: 9000 is in the title, 9000 inches is not."""
    assert moved_numbers(answer, title) == found


def test_small_draws_are_samples_without_repetition_and_come_again():
    """The picture "what you might have reported" must be the same for everybody who runs the cell."""
    values = [float(value) for value in range(100)]
    draws = small_draws(values, size=12, times=50)
    assert draws == small_draws(values, size=12, times=50) and draws != small_draws(values, 12, 50, seed=1)
    assert all(draw["rows"] == 12 and draw["ci95"][0] < draw["mean"] < draw["ci95"][1] for draw in draws)
    assert small_draws(values[:10], size=12, times=1)[0]["rows"] == 5


def test_t_intervals_of_few_rows_cover_what_they_promise():
    """The percentile bootstrap of 12 rows covers less than 95 %; the notebook says that ours does not."""
    import random

    rng = random.Random(0)
    values = [rng.gauss(1, 2) for _ in range(2000)]
    mean = sum(values) / len(values)
    draws = small_draws(values, size=12, times=1000)
    assert 0.93 < sum(low <= mean <= high for low, high in (draw["ci95"] for draw in draws)) / 1000 < 0.97


def test_likelihoods_are_read_from_the_evaluation(tmp_path):
    """The paired picture takes them from rows.csv, one split at a time."""
    lines = ["uid,split,nll_tokens,nll_base,nll_tuned", "a,unseen,9,3.5,2.5", "b,seen,9,1,1", "c,unseen,9,3,2"]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    assert (
        likelihoods_of(tmp_path) == ([3.5, 3.0], [2.5, 2.0])
        and json.dumps(likelihoods_of(tmp_path, "seen")) == "[[1.0], [1.0]]"
    )
