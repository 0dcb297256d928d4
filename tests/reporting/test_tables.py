"""Tables: one set of cells as Markdown, console text and data frame."""

import pytest
from portuguese import english_words

from ftlib.reporting import tables
from ftlib.reporting.tables import DASH, Table, cells, center
from ftlib.runtime.language import using

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


SETTINGS = {"steps": 40, "examples_per_step": 16, "train_rows": 1781}


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda: " ".join(map(tables.label, tables.LABELS)), "ajustado, com recuperação"),
        (lambda: tables.trained_on(SETTINGS), "sorteados entre 1,781 linhas"),
        (lambda: tables.trained_on(SETTINGS | {"trained_rows": 640, "trained_epochs": 0.36}), "640 de 1,781 linhas"),
        (lambda: tables.interval({"mean": 1.0, "ci95": [1.0, 1.0], "forced": True}), "forçado (1.000)"),
        (lambda: tables.center({"mean": 1.0, "forced": True}), "forçado"),
        (lambda: tables.with_seeds({"mean": 1.0, "ci95": [0.5, 1.5]}, (0.9, 1.1)), "sementes de 0.900 a 1.100"),
        (lambda: " ".join(tables.header({"systems": tables.BASELINES})), "vitória/empate/derrota"),
        (lambda: " ".join(tables.speed_table(tables.recorded_speed(), "tinyllama-1.1b").header), "do pico de matmul"),
    ],
)
def test_what_a_notebook_shows_of_a_table_is_portuguese_there(write, expected):
    """A heading in English above Portuguese cells is the first thing that a reader asks about."""
    with using("pt-BR"):
        text = write()
    assert expected in text and english_words(text) == []


def test_every_recorded_recipe_has_a_name_in_portuguese():
    """A recipe that is measured anew would stand in English among the others."""
    with using("pt-BR"):
        table = tables.speed_table(tables.recorded_speed(), "tinyllama-1.1b")
    assert english_words(" ".join(row[0] for row in table.rows)) == []
    assert {row["recipe"] for row in tables.recorded_speed()} <= set(tables.RECIPES)
