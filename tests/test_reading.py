"""Looking back at a finished evaluation, as notebook 05 does."""

from ftlib.reading import extremes, growing_interval, rows_of, verdicts
from ftlib.runs import read_json


def test_rows_and_extremes_of_a_finished_run(smoke_run):
    """The best and the worst row are the first that a reader asks for; swapped, they would tell the opposite story."""
    lines = rows_of(smoke_run)
    assert len(lines) == 12 and all(isinstance(line["delta"], float) for line in lines)
    found = extremes(lines)
    assert list(found) == ["best", "worst", "random 1", "random 2", "random 3"]
    assert found["best"]["delta"] == max(line["delta"] for line in lines) >= found["worst"]["delta"]
    assert len(rows_of(smoke_run, "seen")) == 6


def test_interval_is_given_for_the_sizes_there_are_and_narrows():
    """A K of 1,000 drawn from 200 rows would be an invention."""
    found = growing_interval([0.0, 1.0] * 100, (12, 50, 1000))
    assert list(found) == [12, 50, 200]
    widths = [found[size]["ci95"][1] - found[size]["ci95"][0] for size in found]
    assert widths == sorted(widths, reverse=True)


def test_verdicts_know_which_direction_is_better(smoke_run):
    """Fewer invented numbers are a gain, a higher NLL is a loss."""
    change = {
        "nll": {"ci95": [-0.5, -0.4]},
        "rougeL": {"ci95": [-0.2, -0.1]},
        "rep4": {"ci95": [0.1, 0.2]},
        "chrf": {"ci95": [-1, 1]},
        "length_ratio": {"ci95": [1, 2]},
    }
    found = verdicts({"unseen": {"differences": {"tuned-base": change}}})
    assert found == {"better": ["nll"], "worse": ["rougeL", "rep4"], "no difference shown": ["chrf"]}
    assert verdicts(read_json(smoke_run.path / "evaluation" / "metrics.json"))["better"]
