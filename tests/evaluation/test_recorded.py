"""Figures recorded under older definitions: what is computed anew, what is marked, and nothing that was not measured."""

import copy

import pytest

from ftlib.evaluation.recorded import upgraded, upgraded_changes
from ftlib.evaluation.significance import verdict_of
from ftlib.reporting.tables import frame, rerun_note, table, table_rows


def value(mean, low=None, high=None, **more):
    return {"mean": mean, "ci95": [mean if low is None else low, mean if high is None else high]} | more


@pytest.fixture
def old():
    """A split as version 1 recorded it, with 200 rows."""
    rows = {"wins": 150, "ties": 0, "losses": 50}
    base = {"format": value(0.0), "copied_run": value(1.0, 0.8, 1.2), "length_ratio": value(2.6, 2.2, 3.0)}
    tuned = {"format": value(1.0), "copied_run": value(6.8, 6.1, 7.5), "length_ratio": value(2.4, 2.1, 2.6)}
    change = {
        "format": value(1.0, wins=200, ties=0, losses=0),
        "copied_run": value(5.8, 5.1, 6.5) | rows,
        "length_ratio": value(-0.2, -0.4, 0.1) | rows,
    }
    base["stops"] = tuned["stops"] = value(1.0)
    base["nll"], tuned["nll"], change["nll"] = (
        value(3.7, 3.6, 3.8),
        value(2.9, 2.8, 3.0),
        value(-0.8, -0.9, -0.7) | rows,
    )
    return {
        "n": 200,
        "median_length_ratio": {"base": 0.9, "tuned": 1.1},
        "systems": {"base": base, "tuned": tuned},
        "differences": {"tuned-base": change},
        "reference": {"copied_run": value(17.6, 14.6, 21.0), "stops": value(0.98, 0.97, 0.99)},
    }


def test_recorded_figures_get_the_intervals_of_today(old):
    """A table keeps 1.000 [1.000, 1.000], or wins that counted the wrong direction."""
    before, found = copy.deepcopy(old), upgraded(old, {"length_decay": [200, 1.02], "max_new_tokens": 512})
    assert old == before  # the recorded file is not changed in passing
    tuned, change = found["systems"]["tuned"], found["differences"]["tuned-base"]
    assert tuned["format"]["ci95"] == [pytest.approx(0.981, abs=1e-3), 1.0] and change["format"]["ci95"][0] < 1
    assert change["format"]["wins"] == 200 and change["nll"] == old["differences"]["tuned-base"]["nll"]
    assert "wins" not in change["copied_run"] and change["copied_run"]["nearer"]["ci95"] == [-6.5, -5.1]
    assert verdict_of(change["copied_run"], "copied_run") == "better"  # more, and nearer to 17.6
    assert tuned["stops"]["forced"] and tuned["length_ratio"]["median"] == 1.1
    assert change["length_ratio"]["median"] == pytest.approx(0.2) and "nearer" not in change["length_ratio"]
    (row,) = (row for row in table_rows(found) if row[0].startswith("length_ratio"))
    assert row[0] == "length_ratio †" and row[1:3] == ["0.900", "1.100"] and row[5] == "1.000"
    assert "length_ratio" in rerun_note(found)[0] and "nll_content" in rerun_note(found, ())[0]


def test_an_older_run_is_shown_with_todays_figures(old):
    """A notebook that opens a run from last month shows its wins, which counted the other direction."""
    found = frame({"unseen": old, "settings": {"generation": {"length_decay": [10, 2], "max_new_tokens": 50}}})
    assert found.loc["copied_run", "win/tie/loss"] == "–" and found.loc["copied_run", "reference"] == "17.6"
    assert found.loc["stops", "fine-tuned"] == "forced (1.000)"
    assert "1.000 [0.981, 1.000]" in table({"unseen": old})


def test_on_both_sides_of_the_reference_nothing_is_shown_that_is_not_sure(old):
    """A model that falls as far below the reference as the base lay above it counts as better."""
    change = {"copied_run": value(-10.0, -11.0, -9.0)}
    a, b, own = ({"copied_run": value(*each)} for each in ((12.0, 11, 13), (22.0, 21, 23), (17.0, 15, 19)))
    found = upgraded_changes(change | {"n": 200}, a, b, own)["copied_run"]
    assert found["nearer"]["mean"] == 0 and verdict_of(found, "copied_run") is None
    a["copied_run"] = value(17.0, 16, 18)
    assert upgraded_changes(change, a, b, own)["copied_run"]["nearer"]["mean"] == -5


def test_few_recorded_rows_get_the_interval_of_t(old):
    """A recorded bootstrap interval of 12 rows stays as narrow as it was."""
    old["n"] = 12
    found = upgraded(old, {})
    low, high = found["systems"]["base"]["copied_run"]["ci95"]
    assert (high - low) / 0.4 == pytest.approx(2.201 / 1.96 * (12 / 11) ** 0.5, abs=0.01)


def test_what_was_recorded_today_stays_as_it_is(old):
    """New figures are taken for old ones and marked to be run again."""
    assert upgraded(old | {"definitions": 2}, {}) == old | {"definitions": 2}
    assert rerun_note(old | {"definitions": 2}) == []
