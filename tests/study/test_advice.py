"""Sentences about when to look up and when to fine-tune: each branch, from figures that say so."""

import pytest
from portuguese import english_words

from ftlib.runtime.language import using
from ftlib.study import advice, headline


def change(mean: float, half: float = 0.01) -> dict:
    return {"mean": mean, "ci95": [mean - half, mean + half], "wins": 5, "ties": 1, "losses": 4}


def block(lookup: float, plain: float = 0.02, title: float = 0.02) -> dict:
    """A block of metrics in which tuned_open has ROUGE-L 0.15 and is ahead by these amounts."""
    values = {
        "nearest": 0.15 - lookup,
        "tuned": 0.15 - plain,
        "copy_title": 0.15 - title,
        "base": 0.1,
        "base_open": 0.11,
    }
    systems = {name: {"rougeL": {"mean": mean, "ci95": [mean - 0.01, mean + 0.01]}} for name, mean in values.items()}
    systems["tuned_open"] = {"rougeL": {"mean": 0.15, "ci95": [0.14, 0.16]}}
    ahead = {"nearest": lookup, "tuned": plain, "copy_title": title, "base_open": 0.04}
    return {
        "n": 100,
        "systems": systems,
        "differences": {f"tuned_open-{other}": {"rougeL": change(by)} for other, by in ahead.items()},
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (block(0.03), "fine-tune with retrieval: ahead of the lookup (+0.030 [0.020, 0.040])"),
        (block(-0.03), "look it up; fine-tuned with retrieval reaches 83% of the lookup's ROUGE-L (-0.030"),
        (block(0.001), "look it up, or fine-tune with retrieval: no difference shown (+0.001"),
        (block(0.03, plain=0.001), "passages change nothing that shows (+0.001"),
        (block(0.03, plain=-0.03), "without passages the fine-tuned model is better (-0.030"),
        (block(0.03, title=0.001), "it is not ahead of a copied title (+0.001 [-0.009, 0.011])."),
    ],
)
def test_the_advice_says_what_the_differences_show(found, said):
    """A sentence that was typed once is wrong after the next recording."""
    assert said in advice.advice(found)
    with using("pt-BR"):
        assert english_words(advice.advice(found)) == [] and advice.advice(found)[0].islower()


def test_a_claim_that_does_not_hold_is_called_so():
    """A headline that a second set of rows contradicts must not look confirmed."""
    studies = {"headline": {"unseen": block(0.03, title=0.001)}, "confirmation": {"unseen": block(0.001)}}
    lines = "\n".join(advice.confirmed(studies))
    assert "| fine-tuned, with retrieval - nearest title's text | rougeL | better |" in lines
    assert "no: no difference shown |" in lines and "2 of 3 differences that test rows show hold" in lines
    assert "copy the title" not in lines, "what test rows do not show is no claim"


def test_near_duplicates_flatter_whom_they_raise():
    """A lookup that is praised for its near-duplicates was not measured on new products."""
    whole, new = block(-0.05), block(0.03)
    lines = advice.flattered({"headline_group": {"unseen": whole, "unseen_new": new}})
    assert "They flatter nearest title's text the most: +0.080." in lines


def test_situations_that_were_not_measured_are_left_out():
    """An empty row would be read as a result."""
    assert advice.render({"headline": {"unseen": {"systems": {"tuned": {}}}}}) == []
    text = "\n".join(advice.render({"headline": {"unseen": block(0.03), "unseen_new": block(-0.03)}}))
    assert "| new products | 100 |" in text and "look it up;" in text and "catalog" not in text


def test_the_readmes_claims_follow_the_differences():
    """The README would go on praising a model that a new recording does not praise."""
    metrics = {"unseen": block(lookup=-0.03, plain=0.03, title=0.001)}
    lines = headline.short_claims(metrics)
    assert lines == [
        "- **fine-tuned, with retrieval** against **fine-tuned**: better by ROUGE-L.",
        "- **fine-tuned, with retrieval** against **nearest title's text**: worse by ROUGE-L.",
        "- **fine-tuned, with retrieval** against **copied title**: no difference shown by ROUGE-L.",
        "",
    ]


@pytest.mark.parametrize(
    ("nll", "by_words", "said"),
    [
        (-0.5, 0.03, "how such texts sound, and some of their words"),
        (-0.5, 0.001, "nothing that shows about the product itself"),
        (0.001, 0.03, "finds the true text no more likely"),
        (0.001, 0.001, "fine-tuning shows no gain there"),
    ],
)
def test_what_is_known_of_new_products_follows_both_measures(nll, by_words, said):
    """A model that only sounds better must not be said to know more."""
    new = block(0.03)
    new["differences"]["tuned-base"] = {"nll": change(nll), "rougeL": change(by_words)}
    assert said in advice.known({"unseen": block(0.03), "unseen_new": new})[0]
    assert advice.known({"unseen": block(0.03)}) == []


def test_pages_of_the_repository_are_english_whatever_the_notebooks_speak(monkeypatch):
    """`make docs` in the shell of a Portuguese reader must not rewrite the results."""
    from ftlib.study import what_matters

    studies = what_matters.headline_files()
    expected = advice.render(studies)
    monkeypatch.setenv("FTLIB_LANGUAGE", "pt-BR")
    assert expected and advice.render(studies) == expected
    assert advice.when_to_use(studies) != expected[: len(advice.when_to_use(studies))]
