"""How many rows are asked: what is asked for, unless it is more than there are."""

import pytest

from ftlib.config.settings import ConfigError
from ftlib.evaluation.systems import row_counts


def test_more_rows_than_a_split_has_are_refused_but_for_the_unused_ones(settings):
    """How many rows no split uses is known only when the data is prepared; a study then asks all of them."""
    cfg = settings(**{"evaluation.rows": 9, "evaluation.seen_rows": 1})
    with pytest.raises(ConfigError, match="evaluation.rows = 9: allowed is at most 5, the rows of the test split"):
        row_counts(cfg, {"test": 5, "train": 10})
    counts, notes = row_counts(cfg, {"unused": 5, "train": 10}, "unused")
    assert counts == {"unseen": 5, "seen": 1} and "evaluation.rows is 5 instead of 9" in notes[0]
