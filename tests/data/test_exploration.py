"""The looks and counts of notebook 01, and what a notebook gets from ftlib."""

import subprocess
import sys

import ftlib
from ftlib.data.exploration import before_and_after, leaks, padded_positions
from ftlib.prompts.packing import pack


def test_before_and_after_shows_only_rows_that_changed(settings, write_rows, products):
    """Ten pairs that look alike teach nothing about cleaning."""
    rows = products(3) + [{"uid": "x", "title": "Cup &amp; saucer", "content": "A <b>cup</b> with its saucer."}]
    found = before_and_after(write_rows(rows), 10, settings())
    assert [(pair["before"], pair["after"]) for pair in found] == [
        ("Cup &amp; saucer | A <b>cup</b> with its saucer.", "Cup & saucer | A cup with its saucer.")
    ]


def test_leaks_are_counted_whatever_their_case():
    """A leak that hides behind a full stop is a leak."""
    data = {
        "train": {"title": ["Blue Cup", "Pot"], "content": ["It holds tea.", "Of clay."]},
        "test": Rows({"title": ["blue cup!", "Jug"], "content": ["Other.", "of clay"]}),
    }
    assert leaks(data) == {"rows": 2, "title": 1, "content": 1}


class Rows(dict):
    """Columns that know their number of rows, as a data set does."""

    def __len__(self) -> int:
        return len(self["title"])


def test_slots_of_the_four_ways_to_batch():
    """The bar chart that argues for packing must count what the collators do."""
    lengths = [100, 20, 60, 50]
    assert padded_positions(lengths, 2, 128) == {
        "every row to the full length": 4 * 128,
        "to the longest of the batch": 200 + 120,
        "the same, similar lengths together": 100 + 200,
        "packed": 128 * (len(pack([100, 20], 128)) + len(pack([60, 50], 128))),
    }


def test_show_source_and_labels_print_outside_a_notebook(capsys):
    """The same line must work in a script, where nothing can be highlighted."""
    import smoke

    ftlib.show_source(pack)
    assert "def pack(" in capsys.readouterr().out
    ftlib.show_labels(smoke.tokenizer(), smoke.examples(1)[0])
    assert "[[Description: A blue kettle" in capsys.readouterr().out


def test_report_says_profile_and_reason():
    """The first thing a reader must know is which size runs, and why."""
    code = "import ftlib; print(ftlib.report_environment().profile)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "profile: smoke" in said and "FTLIB_PROFILE is set" in said and said.strip().endswith("smoke")
