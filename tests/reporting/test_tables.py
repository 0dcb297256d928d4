"""Tables: one set of cells as Markdown, console text and data frame."""

from ftlib.reporting.tables import DASH, Table, cells, center

TABLE = Table(["metric", "base"], [["nll", "3.0 [2.0, 4.0]"], ["a longer name", DASH]])


def test_all_views_of_a_table_have_the_same_cells():
    """A page and a terminal that differ leave the reader with two results."""
    frame = TABLE.frame()
    assert frame.loc["nll", "base"] == "3.0 [2.0, 4.0]" and list(frame.columns) == ["base"]
    assert TABLE.markdown() == [
        "| metric | base |",
        "|---|---|",
        "| nll | 3.0 [2.0, 4.0] |",
        "| a longer name | – |",
        "",
    ]
    assert TABLE.console().splitlines() == [
        "metric         base",
        "nll            3.0 [2.0, 4.0]",
        "a longer name  –",
    ]


def test_a_console_table_is_not_wrapped_and_keeps_brackets():
    """An interval is no markup, and a wrapped line cannot be found in a log."""
    text = Table(["x"] * 30, [["[bold] 1.000 [0.999, 1.001]"] * 30]).console()
    assert len(text.splitlines()) == 2 and text.count("[bold] 1.000 [0.999, 1.001]") == 30


def test_a_value_that_is_missing_is_a_dash():
    """A metric that one system lacks must not shift the cells of its row."""
    values = {"nll": {"mean": 3.0, "ci95": [2.0, 4.0]}}
    assert cells(values, ["nll", "chrf"]) == ["3.000 [2.000, 4.000]", DASH]
    assert cells(values, ["chrf", "nll"], center) == [DASH, "3.000"]
    assert Table.of_columns({"a": ["1", "2"], "b": ["3", "4"]}).rows == [("1", "3"), ("2", "4")]


def test_a_console_table_is_returned_in_a_notebook_too(monkeypatch):
    """rich displays a table in Jupyter and returns nothing: the notebooks showed each table twice."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert TABLE.console().splitlines()
