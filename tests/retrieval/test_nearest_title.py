"""The nearest training title: the right one, the same one each time, and a stated answer where there is none."""

import pytest

from ftlib.retrieval.nearest_title import Nearest

TITLES = ["Red wool hat", "Steel kettle 2 l", "Steel kettle 5 l", "Red wool hat", "???"]
TEXTS = ["hat", "small kettle", "large kettle", "other hat", "nothing"]


def test_finds_the_row_that_shares_the_rare_words():
    """The baseline answers with some other product's description, e.g. because single characters are dropped."""
    nearest = Nearest(TITLES, TEXTS)
    assert nearest.answers(["A RED hat", "kettle, 5 l", "the kettle of 2 l"]) == ["hat", "large kettle", "small kettle"]
    (index, score), _ = nearest.best(["Steel kettle 5 l", "hat"])
    assert index == 2 and score > 0
    assert nearest.best([]) == []


def test_ties_go_to_the_first_row():
    """A rerun shows another source for the same title."""
    assert [index for index, _ in Nearest(TITLES, TEXTS).best(["wool hat"] * 3)] == [0, 0, 0]


def test_a_title_without_a_known_word():
    """A title in another script stops the evaluation, or its answer pretends to rest on a source."""
    nearest = Nearest(TITLES, TEXTS)
    assert nearest.best(["", "!!", "zeppelin"]) == [(0, 0.0)] * 3
    assert nearest.answers(["zeppelin"]) == ["hat"]


def test_prints_nothing(capfd):
    """Progress bars of the index fill a notebook or the JSON on standard output."""
    Nearest(TITLES, TEXTS).answers(["hat"])
    assert capfd.readouterr() == ("", "")


def test_unusable_rows_are_named():
    """Titles and descriptions are shifted against each other, or an empty split ends in an error of a library."""
    with pytest.raises(ValueError, match="2 titles but 1 texts"):
        Nearest(["a", "b"], ["x"])
    with pytest.raises(ValueError, match="No title has a word"):
        Nearest([], [])
    with pytest.raises(ValueError, match="No title has a word"):
        Nearest(["!!"], ["x"])


def test_a_neighbor_is_another_row():
    """A row that is its own neighbor would be compared with itself."""
    titles = ["blue cup", "blue cup small", "garden hose", "hose for the garden"]
    assert Nearest(titles, titles).neighbors() == [1, 0, 3, 2]
