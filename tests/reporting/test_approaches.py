"""When to fine-tune: the table and the advice follow the recorded differences, whichever way they point."""

import pytest
from portuguese import english_words

from ftlib.reporting import approaches
from ftlib.runtime.language import using


def study(split: str | None = None, **changes: tuple[float, float, float]) -> dict:
    """Return a study's metrics; changes: {system_minus_other: (mean, low, high)} in ROUGE-L."""
    systems = {
        name: {"rougeL": {"mean": 0.1, "ci95": [0.09, 0.11]}} for name in ("base", "nearest", "tuned", "tuned_open")
    }
    differences = {
        pair.replace("_minus_", "-"): {"rougeL": {"mean": mean, "ci95": [low, high], "wins": 5, "ties": 0, "losses": 2}}
        for pair, (mean, low, high) in changes.items()
    }
    settings = {"settings": {"set": {"data.split": split} if split else {}}}
    return {"unseen": {"n": 1000, "systems": systems, "differences": differences, "seeds": {}}} | settings


@pytest.mark.parametrize(
    ("change", "relation", "advice"),
    [
        ((0.05, 0.02, 0.08), "is ahead of", "fine-tune"),
        ((-0.05, -0.08, -0.02), "is behind", "look up the nearest title"),
        ((0.001, -0.02, 0.02), "are level", "the cheapest of 2 that are level"),
    ],
)
def test_advice_follows_the_difference(change, relation, advice):
    """Advice typed by hand would outlive the result that it came from."""
    block = study(tuned_minus_nearest=change)["unseen"]
    block["systems"].pop("tuned_open")
    assert relation in approaches.compared(block, "tuned", "nearest")
    assert advice in approaches.advice(block)
    with using("pt-BR"):
        said = [approaches.compared(block, "tuned", "nearest"), approaches.advice(block)]
    assert said[1] != approaches.advice(block) and english_words(" ".join(said).replace('"', "")) == []


def test_a_difference_is_found_in_either_direction():
    """A study may hold nearest - tuned only; the sentence must turn the sign and the verdict."""
    block = study(nearest_minus_tuned=(0.05, 0.02, 0.08))["unseen"]
    change, verdict = approaches.difference(block, "tuned", "nearest")
    assert change == {"mean": -0.05, "ci95": [-0.08, -0.02]} and verdict == "worse"
    assert approaches.difference(block, "tuned_open", "base") is None


def test_situations_are_named_by_the_split_of_their_rows():
    """Figures of a catalog with near-duplicates must not be shown as those of new products."""
    studies = {"headline": study("near"), "headline_group": study(), "confirmation": study("near")}
    assert list(approaches.situations(studies)) == [
        "new products",
        "a catalog with near-duplicates",
        "new products, confirmation rows",
    ]
    assert list(approaches.situations({"headline": study()})) == ["a catalog with near-duplicates"]
    table = approaches.approaches_table(studies)
    assert len(table.header) == 4 and [row[0] for row in table.rows][:2] == [
        "prompt the base model",
        "look up the nearest title",
    ]


def test_new_products_are_the_rows_without_a_similar_training_row():
    """Rows of split `near` may still resemble training rows a little, and a lookup lives on those."""
    metrics = study("near")
    new = {"n": 911, "systems": {}, "differences": {}}
    assert approaches.situations({"headline": metrics | {"unseen_new": new}})["new products"] is new
    assert approaches.situations({"headline": metrics})["new products"] is metrics["unseen"]


def test_without_results_the_notebook_says_so():
    """A notebook alone in a folder has no results; an error there would stop the first page."""
    assert "clone the repository" in approaches.approaches_sentences({})[0]


def test_recorded_results_render():
    """The committed files are what notebook 01 shows."""
    studies = approaches.recorded()
    assert studies and approaches.approaches_table(studies).rows
    assert any("What follows" in sentence for sentence in approaches.approaches_sentences(studies))
    with using("pt-BR"):
        table, said = approaches.approaches_table(studies), approaches.approaches_sentences(studies)
    cells = [*table.header, *(cell for row in table.rows for cell in row)]
    assert english_words(" ".join([*cells, *said]).replace('"', "").replace("*", "")) == []
