"""The sentences of notebooks 04 to 06: each says the opposite when the numbers do."""

import pytest

from ftlib.reporting import result_sentences as sentences


def interval(mean, half=0.01, **more):
    return {"mean": mean, "ci95": [mean - half, mean + half]} | more


def ways(nf4, plain):
    return {
        "adapter on NF4, as trained": {"largest": 0.0, "nll": 3.0},
        "merged into NF4": {"largest": 9.0, "nll": 3.0 + nf4},
        "merged onto the dequantised base": {"largest": 1e-4, "nll": 3.0 - 1e-9},
        "merged onto the 16-bit base": {"largest": 5.0, "nll": 3.0 + plain},
    }


def proof(largest=1e-5, greedy=4, saved=True, nf4=None):
    same = {"largest": largest, "greedy_equal": greedy}
    found = {"merged_vs_adapter_float32": same, "tolerance": 1e-3, "prompts": 4}
    return (
        found
        | {"saved_weights_are_the_cast_weights": saved}
        | ({"adapter_on_nf4": {"largest": nf4}} if nf4 is not None else {})
    )


def block(**changes):
    """A split of metrics.json with the values of one metric: {metric: (base, tuned, other systems)}."""
    systems = {"base": {}, "tuned": {}, "copy_title": {}, "nearest": {}}
    for name, values in changes.items():
        for system, value in zip(systems, values, strict=False):
            systems[system][name] = interval(value)
    pairs = (("tuned", "base"), ("tuned", "nearest"))
    differences = {
        f"{a}-{b}": {
            name: interval(systems[a][name]["mean"] - systems[b][name]["mean"])
            for name in systems[a]
            if name in systems[b]
        }
        for a, b in pairs
    }
    return {"n": 100, "systems": systems, "differences": differences, "reference": {}}


def memory(seen, unseen):
    return {
        split: {"differences": {"tuned-base": {"nll": interval(change, 0.1)}}}
        for split, change in (("seen", seen), ("unseen", unseen))
    }


def copying(seen, unseen):
    return {
        split: {"systems": {"tuned": {"copied_run": interval(run, 1)}}, "reference": {"copied_run": {"mean": 12.0}}}
        for split, run in (("seen", seen), ("unseen", unseen))
    }


def shares(test, train, half=0.1):
    return {(split, "tuned"): interval(mean, half) for split, mean in (("test", test), ("train", train))}


def with_nearer(nearer):
    found = block(title_coverage=(0.9, 0.7))
    found["differences"]["tuned-base"]["title_coverage"]["nearer"] = interval(nearer)
    return found


def stopping(reference, **more):
    found = block(stops=(0.6, 0.7))
    found["systems"]["tuned"]["stops"] |= more
    return found | {"reference": {"stops": {"mean": reference}}}


def result(*supported, sources=True):
    return {"sources": ["row"] if sources else [], "sentences": [{"supported": each} for each in supported]}


class Named:
    def __init__(self, name):
        self.model = self
        self.name = name


def lookups(*means):
    return block(rougeL=(0.1, means[0], means[2] if len(means) > 2 else 0.1, means[1]))


def many(shown):
    found = block(rougeL=(0.1, 0.2), chrf=(1.0, 1.0 + 9 * shown), nll=(3.0, 3.0 - shown))
    return found if shown else block(rougeL=(0.1, 0.1), chrf=(1.0, 1.0), nll=(3.0, 3.0))


def draws(*means):
    return [interval(mean, 0.05) for mean in means]


PREFIX = "Description: "
GOOD, OTHER = "Description: a cup", "A cup"
CASES = {  # name: (sentence, words that it must have)
    "random weights": (sentences.about_model(Named("tiny:llama")), "noise"),
    "real weights": (sentences.about_model(Named("pypi:x")), "can be read"),
    "a costly merge": (sentences.about_merge(ways(0.35, 0.01)), "merged into NF4 costs (+0.3500 nats)"),
    "a merge that changes nothing": (sentences.about_merge(ways(0.35, 0.01)), "base changes nothing that shows (+0.0000"),
    "a merge that gains": (sentences.about_merge(ways(-0.2, 0.01)), "merged into NF4 gains (-0.2000 nats)"),
    "level merges": (sentences.about_merge(ways(0.001, 0.001)), "three ways are level"),
    "the dtype": (sentences.about_dtype(ways(0, 0), proof(nf4=4.0)), "dtype makes the difference, not the merge"),
    "no dtype": (sentences.about_dtype(ways(0, 0), proof(nf4=2e-4)), "adds nothing that matters"),
    "no NF4": (sentences.about_dtype(ways(0, 0), proof()), "not quantized"),
    "a proof": (sentences.about_proof(proof()), "the merge is accepted"),
    "a far merge": (sentences.about_proof(proof(largest=1.0)), "the merge is refused"),
    "another completion": (sentences.about_proof(proof(greedy=3)), "3 of 4 prompts"),
    "a wrong file": (sentences.about_proof(proof(saved=False)), "does not hold the cast weights: the merge is refused"),
    "an export": (
        sentences.about_export({"prompts": 2, "f16": {"same_ids": True, "same_words": 2, "bytes": 2**20}}),
        "the same prompt ids, 2 of 2",
    ),
    "another export": (
        sentences.about_export({"prompts": 2, "f16": {"same_ids": False, "same_words": 1, "bytes": 2**20}}),
        "other prompt ids, 1 of 2",
    ),
    "small adapters": (sentences.about_sizes(5, 260), "the room of 52 adapters"),
    "tiny base": (sentences.about_sizes(1, 1.5), "makes no difference"),
    "lookup ahead": (sentences.about_lookup(lookups(0.13, 0.2)), "the lookup beats the fine-tuned model"),
    "model ahead": (sentences.about_lookup(lookups(0.3, 0.2)), "fine-tuned model beats the lookup"),
    "lookup level": (sentences.about_lookup(lookups(0.2, 0.205)), "no difference between"),
    "copy beaten": (sentences.about_copy(lookups(0.3, 0.2, 0.05)), "less than both"),
    "copy ahead": (sentences.about_copy(lookups(0.3, 0.2, 0.15)), "no less than the base model. One line"),
    "nearer": (sentences.about_reference(with_nearer(-0.2)), "Nearer to the references after fine-tuning: `title_coverage`"),
    "farther": (sentences.about_reference(with_nearer(0.2)), "Farther from them: `title_coverage`"),
    "as near": (sentences.about_reference(with_nearer(0.0)), "none of the metrics"),
    "forced end": (sentences.about_stops(stopping(0.9, forced=True)), "says nothing about the model"),
    "ceiling": (sentences.about_stops(stopping(0.65)), "Only 65% of the reference texts fit"),
    "no ceiling": (sentences.about_stops(stopping(0.99)), "nothing limits this metric"),
    "memorized": (sentences.about_memory(memory(-2, -1)), "memorized some"),
    "not memorized": (sentences.about_memory(memory(-1.05, -1)), "no memory is shown"),
    "less on seen": (sentences.about_memory(memory(-0.5, -1)), "memory cannot explain"),
    "no seen rows": (sentences.about_memory({}), "cannot be judged"),
    "recites": (sentences.about_copying(copying(60, 7)), "recites more"),
    "no reciting": (sentences.about_copying(copying(7.5, 7)), "no reciting is shown"),
    "nothing seen": (sentences.about_copying({}), "cannot be compared"),
    "many shown": (sentences.about_comparisons(many(1)), "Far more are shown than chance"),
    "none shown": (sentences.about_comparisons(many(0)), "shows 0 differences"),
    "chance": (sentences.about_comparisons(many(0)), "Chance alone could explain"),
    "fewer numbers": (
        sentences.about_numbers(block(unsupported_numbers=(1.0, 0.5)) | {"reference": {"unsupported_numbers": {"mean": 0}}}),
        "fewer numbers that the title does not give (0.500 a row, base 1.000). The reference texts have none here",
    ),
    "more numbers": (
        sentences.about_numbers(block(unsupported_numbers=(0.5, 1.0)) | {"reference": {"unsupported_numbers": {"mean": 2}}}),
        "more numbers that the title does not give (1.000 a row, base 0.500). The reference texts have 2.000",
    ),
    "as many numbers": (sentences.about_numbers(block(unsupported_numbers=(0.5, 0.5))), "as many numbers"),
    "votes": (sentences.about_rows("x", 8, 10, (80, 100)), "shows no preference; 80 of 100"),
    "few clear votes": (sentences.about_rows("x", 10, 10, (50, 100)), "shows a preference; 50 of 100"),
    "draws": (sentences.about_draws(draws(0.1, 0.2, 0.3), 12, interval(0.2)), "none has the wrong sign"),
    "wrong draws": (sentences.about_draws(draws(-0.1, 0.2, 0.3), 12, interval(0.2)), "1 of 3 have the wrong sign"),
    "paired": (sentences.about_pairing(interval(0, 1), interval(0, 1), interval(-0.3, 0.5)), "2.8 times narrower"),
    "not paired": (sentences.about_pairing(interval(0, 1), interval(0, 1), interval(0, 1.41)), "gains nothing here"),
    "form of one": (sentences.about_answers({"base": OTHER, "tuned": GOOD}, PREFIX), "Only the fine-tuned model begins"),
    "form of both": (sentences.about_answers({"base": GOOD, "tuned": GOOD}, PREFIX), "Both completions begin"),
    "form of none": (sentences.about_answers({"base": OTHER, "tuned": OTHER}, PREFIX), "Neither completion"),
    "one form": (sentences.about_answers({"tuned": GOOD}, PREFIX), "The completion begins"),
    "one without": (sentences.about_answers({"tuned": OTHER}, PREFIX), "does not begin"),
    "refusal": (sentences.about_refusal({"base": "I do not know it.", "tuned": GOOD}), "The base model hints"),
    "no refusal": (sentences.about_refusal({"base": OTHER, "tuned": GOOD}), "No model says"),
    "one wording": (sentences.about_wordings({"a": GOOD, "b": GOOD}, PREFIX), "2 of 2 wordings"),
    "wordings": (sentences.about_wordings({"a": GOOD, "b": OTHER}, PREFIX), "2 different completions"),
    "ceiling of reading": (sentences.about_reading({"base": {"mean": 1, "ci95": [0.91, 1.0]}}, 40), "at the ceiling"),
    "reading": (sentences.about_reading({"base": {"mean": 0.8, "ci95": [0.6, 0.9]}}, 40), "better than a coin without"),
    "no reading": (sentences.about_reading({"base": {"mean": 0.5, "ci95": [0.3, 0.7]}}, 40), "not shown to be better"),
    "memory of products": (sentences.about_knowledge(shares(0.5, 0.9)), "is memory of products"),
    "no products": (sentences.about_knowledge(shares(0.5, 0.52)), "No memory of products is shown"),
    "knowledge": (sentences.about_knowledge(shares(0.9, 0.9)), "90% [80%, 100%]: better than a coin"),
    "worse than a coin": (sentences.about_knowledge(shares(0.2, 0.2)), "worse than a coin"),
    "invented": (sentences.about_invented({"12"}), "guesses: 12."),
    "nothing invented": (sentences.about_invented(()), "The list is empty. That does not mean"),
    "moved": (sentences.about_invented((), {"9000 inches"}), "another word than there: 9000 inches"),
    "retrieval helps": (
        sentences.about_retrieval({("base", "with - without retrieval"): interval(-0.5)}),
        "Retrieval helps the base model",
    ),
    "retrieval hurts": (
        sentences.about_retrieval({("tuned", "with - without retrieval"): interval(0.5)}),
        "Retrieval hurts the fine-tuned model",
    ),
    "retrieval": (sentences.about_retrieval({("base", "with - without retrieval"): interval(0.0)}), "is not shown to help"),
    "no source": (sentences.about_marks(result(sources=False)), "No row reached the threshold"),
    "all marked": (sentences.about_marks(result(True, True)), "All 2 sentences"),
    "some marked": (sentences.about_marks(result(True, False)), "1 of 2 sentences"),
    "misses": (sentences.about_threshold({"errors": {"missed": 0.2, "wrongly_cited": 0.1, "counted_on": 50}}), "misses more"),
    "cites": (sentences.about_threshold({"errors": {"missed": 0.1, "wrongly_cited": 0.1, "counted_on": 50}}), "cites wrongly"),
    "no errors": (sentences.about_threshold({}), "were not counted"),
    "support": (sentences.about_support(sentences.recorded("support.json")), "most often right"),
    "no support": (sentences.about_support(None), "not here"),
    "no retention": (sentences.about_retention({}), "was not scored"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sentence_fits_its_numbers(name):
    """A re-recording that turns a result around would leave a sentence that its own output contradicts."""
    sentence, words = CASES[name]
    assert words in sentence
    assert repr(sentence) == str(sentence) == sentence._repr_markdown_()


@pytest.mark.parametrize(
    ("change", "words"),
    [(0.1, "some general language was forgotten"), (-0.1, "nothing was forgotten"), (0.0, "beyond chance")],
)
def test_retention_is_read_in_its_direction(change, words):
    """ "It forgot nothing" beside an NLL that rose would be the one false sentence that an examiner finds."""
    metrics = {"retention": {"differences": {"tuned-base": {"nll_per_byte": interval(change)}}}}
    assert words in sentences.about_retention(metrics)


def test_a_file_that_was_not_recorded_is_none():
    """A notebook outside of the repository has no results/, and must run."""
    assert sentences.recorded("no_such_file.json") is None


def test_each_shown_metric_is_defined():
    """A column that nobody explains is read as whatever the reader hopes."""
    page = sentences.metric_definitions(block(rougeL=(0.1, 0.2), nll=(3.0, 2.0)))
    assert "`rougeL`" in page and "`nll`" in page and "lower is better" in page


def test_marks_are_shown_with_their_blind_spot():
    """The example of the notebook must show a right mark, a wrong number and the negation that passes."""
    page = sentences.mark_examples(
        "Blue cup, 300 ml",
        "The rim is steel. Made for picnics.",
        ["Made for picnics.", "It holds 350 ml.", "The rim is not steel."],
    )
    marks = [line.split("|")[1].strip() for line in page.splitlines()[2:]]
    assert marks == ["✓ in the source", "? not in the source", "✓ in the source"]
