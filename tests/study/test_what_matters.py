"""The studies as notebooks 05 and 06 show them: complete, in both directions, and without a file that is not recorded."""

import re

import pytest
from portuguese import english_words

from ftlib.runtime.files import repository
from ftlib.runtime.language import using
from ftlib.study import log, what_matters

ROWS = what_matters.ablations()


def interval(mean, half=0.01):
    return {"mean": mean, "ci95": [mean - half, mean + half]}


def test_each_ablation_has_an_expected_outcome_and_a_topic():
    """A new ablation that nobody sorted would be missing from the chapter without a word."""
    names = {run.name for run in log.files(repository())["ablations"].runs} - {"headline"}
    topics = [name for runs, _ in what_matters.GROUPS.values() for name in runs]
    assert names == what_matters.EXPECTED.keys() == set(topics) and len(topics) == len(set(topics))


def test_ablations_are_sorted_and_say_what_was_found():
    """The chart is read from the largest gain to the largest loss."""
    means = [row["change"]["mean"] for row in ROWS]
    assert means == sorted(means) and len(means) > 20
    for row in ROWS:
        assert row["as_expected"] in (True, False, None) and row["expected"] and row["lesson"]
        assert row["found"] in what_matters.ablation_table(ROWS)


@pytest.mark.parametrize(
    ("change", "verdict", "found"),
    [
        (-0.1, "better", "better"),
        (0.2, "worse", "worse"),
        (0.05, "worse", "slightly worse"),
        (0.001, "worse", "same"),
        (0.5, "no finding", "same"),
        (-0.5, None, "same"),
    ],
)
def test_outcome_needs_a_verdict_and_a_size(change, verdict, found):
    """A change within the spread of the seeds is no finding, however the mean looks."""
    assert what_matters.outcome(change, verdict) == found


def row(run, mean, right):
    return {"run": run, "change": interval(mean), "found": "same", "as_expected": right, "expected": "", "lesson": ""}


def test_sentence_on_the_guesses_goes_both_ways():
    """ "Most guesses were right" must not outlive a study in which they were wrong."""
    rows = [row("a", -0.1, True), row("b", 0.0, True), row("c", 0.2, False)]
    assert "were right: 2 of 3" in what_matters.about_ablations(rows)
    rows = [row("a", -0.1, False), row("b", 0.0, None), row("c", 0.2, False)]
    said = what_matters.about_ablations(rows)
    assert "were wrong: 0 of 2" in said and "gain is `a` (-0.100" in said and "loss `c` (+0.200)" in said
    assert "not here" in what_matters.about_ablations([]) and "not here" in what_matters.ablation_groups([])


def test_sentence_on_wordings_goes_both_ways():
    """Finding 15: the experiment was run, so the text must give its result."""
    rows = [row("asked_pt", 0.01, True), row("mixed", 0.0, True), row("mixed_asked_pt", 0.001, True)]
    assert "removes that loss" in what_matters.about_wording(rows)
    rows[2] = row("mixed_asked_pt", 0.02, False)
    assert "do not help" in what_matters.about_wording(rows) and "not recorded" in what_matters.about_wording([])


def test_groups_show_each_run_without_a_negative_zero():
    """-0.000 looks like a result."""
    page = what_matters.ablation_groups(ROWS)
    assert "-0.000" not in page and all(f"`{each['run']}`" in page for each in ROWS)


def group(new, near):
    """A headline_group.json in which (fine-tuned, lookup) score so on new rows and on near-duplicates."""
    blocks = {"unseen": {"n": 100}}
    for name, (ours, theirs) in (("new", new), ("near", near)):
        systems = {"tuned": {"rougeL": interval(ours)}, "nearest": {"rougeL": interval(theirs)}}
        blocks[f"unseen_{name}"] = {"n": 50, "systems": systems, "differences": {}}
    return {"headline_group": blocks}


@pytest.mark.parametrize(
    ("new", "near", "words"),
    [
        ((0.12, 0.12), (0.2, 0.6), "Near-duplicates explain the lookup's lead"),
        ((0.12, 0.3), (0.2, 0.6), "On new products: the lookup is ahead; on near-duplicates: the lookup is ahead."),
        ((0.3, 0.12), (0.6, 0.2), "On new products: the model is ahead; on near-duplicates: the model is ahead."),
    ],
)
def test_variants_say_who_is_ahead_where(new, near, words):
    """The explanation must vanish if the numbers no longer support it."""
    page = what_matters.variants(group(new, near))
    assert words in page and "test rows" in page


def test_a_paired_difference_is_preferred_where_there_is_one():
    """The unpaired interval is wider and hides differences that the pairing shows."""
    studies = group((0.125, 0.12), (0.2, 0.6))
    assert "nearly level" in what_matters.variants(studies)
    block = studies["headline_group"]["unseen_new"]
    block["differences"] = {"tuned-nearest": {"rougeL": interval(0.005, 0.001)}}
    assert "the model is ahead" in what_matters.variants(studies)


def test_before_the_headline_is_recorded_the_study_context_is_used():
    """The notebook must not be empty while the long runs are on their way."""
    assert "study `context`" in what_matters.variants({})


def context(plain, trained):
    def run(value):
        systems = {
            name: {"rougeL": interval(value), "nll": interval(3.0)} for name in ("tuned", "tuned_open", "nearest")
        }
        return {"metrics": {"unseen": {"n": 10, "systems": systems}}}

    return {"first": "two_rows", "runs": {"plain": run(plain), "two_rows": run(trained)}}


def test_training_with_passages_is_judged_by_its_gain():
    """RAFT is praised in every blog; here it must earn it."""
    assert "adds 0.030 ROUGE-L" in what_matters.with_passages(context(0.16, 0.19))
    assert "adds nothing that shows" in what_matters.with_passages(context(0.19, 0.19))
    assert "not recorded" in what_matters.with_passages({"first": "x", "runs": {}})


def test_what_is_not_recorded_is_said():
    """A cell that raises stops "Run all"; an empty one is a riddle."""
    assert "not recorded yet" in what_matters.confirmation({}) and "No headline" in what_matters.when_to_use({})


def block_of_a_headline(difference):
    systems = {
        name: {"rougeL": interval(0.2), "nll": interval(3.0)}
        for name in ("tuned", "tuned_open", "nearest", "copy_title")
    }
    pairs = [("tuned_open", other) for other in ("nearest", "copy_title", "tuned")]
    changes = {f"{a}-{b}": {"rougeL": interval(difference)} for a, b in pairs}
    return {"unseen": {"n": 1000, "systems": systems, "differences": changes, "reference": {}}}


def test_confirmation_counts_what_holds():
    """The files will be there at recording; the cell must then show them."""
    studies = {"headline": block_of_a_headline(0.05), "confirmation": block_of_a_headline(0.04)}
    assert "3 of 3 differences" in what_matters.confirmation(studies)
    studies["confirmation"] = block_of_a_headline(0.0)
    assert "0 of 3 differences" in what_matters.confirmation(studies)
    assert "new products" in what_matters.when_to_use(studies)


def test_recipes_have_what_a_choice_needs():
    """Exercise 5.3 chooses by NLL and size."""
    runs = what_matters.recipe_runs()
    assert len(runs) > 5 and all(run["nll"] > 0 and run["parameters"] > 1e6 for run in runs)


def test_pages_are_tables_that_render():
    """A row with another number of cells than its header is shown as text."""
    for page in (what_matters.variants(), what_matters.with_passages(), what_matters.ablation_table(ROWS)):
        lines = [line for line in page.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"\|", line)) for line in lines}) == 1


def quoting(gain):
    def run(value):
        systems = {name: {"rougeL": interval(value)} for name in ("tuned_open", "nearest")}
        return {"metrics": {"unseen": {"n": 1000, "systems": systems}}}

    runs = {"greedy": run(0.2), "mbr_16": run(0.2 + gain) | {"against": {"unseen": {"rougeL": interval(gain)}}}}
    return {"first": "greedy", "runs": runs}


def test_choosing_among_samples_is_judged_by_its_interval():
    """Sixteen times the cost needs a gain that is shown."""
    assert "Choosing helps: 16 samples" in what_matters.candidates(quoting(0.03))
    assert "No gain over one greedy" in what_matters.candidates(quoting(0.0))
    assert "not recorded" in what_matters.candidates({"first": "x", "runs": {}})


WORDINGS = [row("asked_pt", 0.01, True), row("mixed", 0.0, True), row("mixed_asked_pt", 0.001, True)]
GUESSES = [row("a", -0.1, False), row("b", 0.0, None), row("c", 0.2, False)]
SHOWN = {
    "guesses": lambda: what_matters.about_ablations(ROWS),
    "wrong guesses": lambda: what_matters.about_ablations(GUESSES),
    "no guesses": lambda: what_matters.about_ablations([]),
    "topics": lambda: what_matters.ablation_groups(ROWS),
    "no topics": lambda: what_matters.ablation_groups([]),
    "wordings": lambda: what_matters.about_wording(WORDINGS),
    "useless wordings": lambda: what_matters.about_wording([*WORDINGS[:2], row("mixed_asked_pt", 0.02, False)]),
    "no wordings": lambda: what_matters.about_wording([]),
    "variants": lambda: what_matters.variants(group((0.12, 0.12), (0.2, 0.6))),
    "variants, all behind": lambda: what_matters.variants(group((0.12, 0.3), (0.2, 0.6))),
    "variants, all ahead": lambda: what_matters.variants(group((0.3, 0.12), (0.6, 0.2))),
    "variants of the study": lambda: what_matters.variants({}),
    "passages": lambda: what_matters.with_passages(context(0.16, 0.19)),
    "useless passages": lambda: what_matters.with_passages(context(0.19, 0.19)),
    "no passages": lambda: what_matters.with_passages({"first": "x", "runs": {}}),
    "samples": lambda: what_matters.candidates(quoting(0.03)),
    "useless samples": lambda: what_matters.candidates(quoting(0.0)),
    "no samples": lambda: what_matters.candidates({"first": "x", "runs": {}}),
    "confirmation": lambda: what_matters.confirmation(),
    "failed confirmation": lambda: what_matters.confirmation(
        {"headline": block_of_a_headline(0.05), "confirmation": block_of_a_headline(0.0)}
    ),
    "no confirmation": lambda: what_matters.confirmation({}),
    "when": lambda: what_matters.when_to_use(),
    "never": lambda: what_matters.when_to_use({}),
    "when it helps": lambda: what_matters.when_to_use({"headline": block_of_a_headline(0.05)}),
    "when it hurts": lambda: what_matters.when_to_use({"headline": block_of_a_headline(-0.05)}),
    "when nothing shows": lambda: what_matters.when_to_use({"headline": block_of_a_headline(0.0)}),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_study_shows_is_portuguese_in_a_portuguese_notebook(name):
    """The chapter on what matters is read by those who choose a recipe from it."""
    with using("pt-BR"):
        page = SHOWN[name]()
    assert page != SHOWN[name]() and english_words(page.replace("**", "")) == []


def test_the_table_of_lessons_is_portuguese_but_for_the_names_of_its_fields():
    """A lesson that its reader does not understand was learned in vain."""
    with using("pt-BR"):
        head, _, *lines = what_matters.ablation_table(ROWS).splitlines()
    assert head == "| execução | expected | found (NLL) | lição |"
    assert len(lines) == len(ROWS) and english_words(" ".join(lines)) == []
