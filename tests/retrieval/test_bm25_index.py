"""Rows that belong to a title: the right one, the same one each time, and a stated answer where there is none."""

import os
import random
import subprocess
import sys

import pytest
from datasets import Dataset, DatasetDict

from ftlib.retrieval import threshold as calibration
from ftlib.retrieval.bm25_index import Index, build
from ftlib.runtime.files import read_json, write_json


@pytest.mark.parametrize(("module", "starts"), [("ftlib.retrieval.bm25_index", False), ("bm25s", True)])
def test_jax_is_not_started(tmp_path, module, starts):
    """On Colab JAX starts with the index and takes most of the GPU's memory: the model does not fit. (bm25s alone starts it.)"""
    lax = tmp_path / "jax" / "lax.py"
    lax.parent.mkdir()
    (tmp_path / "jax" / "__init__.py").touch()
    lax.write_text("def top_k(*_):\n    print('JAX started')\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    code = f"import sys, {module}; assert sys.modules.get('jax', True) is not None"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert ("JAX started" in done.stdout) == starts


ROWS = [
    ("Blue Enamel Cup, 300 ml", "It holds 300 ml. Safe in the dishwasher."),
    ("Red Enamel Cup, 300 ml", "It holds 300 ml. Do not put it into the dishwasher."),
    ("Café Noir Coffee Grinder", "Grinds beans in seconds."),
    ("Steel Kettle 2 l", "Boils two litres."),
    ("Steel Kettle 5 l", "Boils five litres."),
    ("Garden Hose Reel", "Twenty metres of hose."),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Four training rows, one of validation, one of test."""
    folder = tmp_path_factory.mktemp("index")
    rows = [{"uid": f"u{n}", "title": title, "content": text} for n, (title, text) in enumerate(ROWS)]
    parts = {"train": rows[:4], "validation": rows[4:5], "test": rows[5:]}
    dataset = DatasetDict({split: Dataset.from_list(found) for split, found in parts.items()})
    assert build(dataset, folder) == 6
    write_json(folder / "threshold.json", {"threshold": 0.8})
    return Index.open(dataset, folder)


@pytest.mark.parametrize(
    ("typed", "uid"),
    [
        ("Blue Enamel Cup, 300 ml", "u0"),
        ("blue enamel cup 300 ml", "u0"),
        ("blue enamle cup, 300 ml", "u0"),
        ("red enammel cup, 300 ml", "u1"),
        ("cafe noir coffee grinder", "u2"),
        ("steel kettle 5 l", "u4"),
    ],
)
def test_titles_are_found_as_people_type_them(index, typed, uid):
    """A typo, small letters or a missing accent must not cost the source."""
    (first, *_) = index.sources(typed)
    assert (first.uid, first.title, first.content) == (uid, *ROWS[int(uid[1])])
    assert first.split == ("validation" if uid == "u4" else "train")


def test_no_source_is_better_than_a_wrong_one(index):
    """The best of all rows is always some row; cited, it lends another product's word to an invention."""
    assert index.sources("Zorblax 9000 underwater toaster") == [] == index.sources("!!") == index.sources("钢水壶")
    assert index.sources("steel kettle 7 l") == []  # a number that no row has, and numbers are never corrected
    assert [row.uid for row in index.search("steel kettle 7 l", k=2)] == ["u3", "u4"]  # but near it is


def test_the_row_that_is_asked_about_can_be_kept_out(index):
    """With it in the prompt the model reads the answer that it is measured by."""
    title = ROWS[0][0]
    assert [s.uid for s in index.search(title, k=9, without=["u0"])][0] == "u1"
    assert all(s.split == "train" for s in index.search("steel kettle 5 l hose", k=9, splits=("train",)))


def test_the_question_chooses_the_sentence(index):
    """A source that shows another sentence than the one that answers looks as if it had none."""
    (first, *_) = index.sources("Blue Enamel Cup, 300 ml", "Can it go into the dishwasher?")
    assert "Safe in the dishwasher." in first.sentences
    assert index.sources("Steel Kettle 2 l", k=1)[0].sentences == ("Boils two litres.",)


def test_the_threshold_makes_the_fewest_errors_and_says_how_many():
    """A threshold that was guessed cites wrong rows, and nobody knows how often."""
    right, wrong = [1.0, 0.9, 0.9, 0.4], [0.95, 0.5, 0.3, 0.2]
    threshold = calibration.best_threshold(right, wrong)
    assert threshold == 0.9
    assert calibration.threshold_errors(right, wrong, threshold) == {"missed": 0.25, "wrongly_cited": 0.25}


def test_the_stage_counts_errors_on_rows_that_it_did_not_choose_on(smoke_run):
    """Errors counted on the rows that the threshold was fitted to look better than they are."""
    made = smoke_run.stage("index").manifest()
    assert made["threshold"] == read_json(smoke_run.path / "index" / "threshold.json")["threshold"]
    assert made["rows"] == 248 and made["errors"]["chosen_on"] + made["errors"]["counted_on"] == 24
    words = calibration.describe(made)
    assert "12 validation titles" in words and "miss their row" in words


@pytest.mark.parametrize("way", calibration.TYPED)
def test_titles_typed_badly_are_still_those_titles(way):
    """A slip that changes nothing, or everything, measures nothing."""
    title = "Blue Enamel Coffee Cup, 300 ml"
    typed = {calibration.TYPED[way](title, random.Random(seed)) for seed in range(20)}
    assert title not in typed and all(text.startswith(("Blue", "blue", "B")) for text in typed)
