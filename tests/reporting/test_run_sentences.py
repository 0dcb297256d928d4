"""The computed sentences of notebook 03: each says what its numbers show, in both directions."""

import math

import pytest
from portuguese import english_words

from ftlib.reporting import run_sentences as sentences
from ftlib.runtime.language import using


def log(*validation: float) -> list[dict]:
    return [{"step": 10 * (idx + 1), "validation_loss": loss} for idx, loss in enumerate(validation)]


def line(run: str, train: list[float], validation: list[float]) -> dict:
    steps = [{"step": idx + 1, "loss": loss} for idx, loss in enumerate(train)]
    return {"run": run, "settings": {"train.learning_rate": 0.004}, "rows": 16, "log": steps + log(*validation)}


RIGHT = line("right", [3.6, 2.0, 1.5], [3.4, 2.4, 1.9])
CASES = {  # {name: (sentence, what it must contain)}
    "NF4 is better": (
        lambda: sentences.about_levels({"even": (0.02, 0.1), "NF4": (0.01, 0.2)}),
        "50% smaller than that of even; its largest error is larger",
    ),
    "NF4 is worse": (
        lambda: sentences.about_levels({"even": (0.01, 0.2), "NF4": (0.02, 0.1)}),
        "larger than that of even; its largest error is smaller",
    ),
    "4-bit base": (lambda: sentences.about_rounded(16, 32), "NF4 rounds them a second time"),
    "16-bit base": (lambda: sentences.about_rounded(32, 32), "was not rounded"),
    "layer learns": (lambda: sentences.about_learned(3.0, 2.0, 5), "5 steps on one row lower its loss"),
    "layer does not learn": (lambda: sentences.about_learned(3.0, 3.1, 1), "nothing is learned"),
    "base in NF4": (lambda: sentences.about_base_size(100, 2**20 * 100), "50% and not a quarter"),
    "large base in NF4": (lambda: sentences.about_base_size(52, 2**20 * 100), "a quarter"),
    "base in 16 bits": (lambda: sentences.about_base_size(200, 2**20 * 100), "it is not quantized"),
    "curve falls": (lambda: sentences.about_curve(log(3.0, 2.0)), "lowest at the end"),
    "curve is flat": (lambda: sentences.about_curve(log(3.0, 2.99)), "hardly moves"),
    "curve turns": (
        lambda: sentences.about_curve(log(3.0, 2.0, 2.5)),
        "lowest at step 20 (2.000) and 2.500 at the end",
    ),
    "curve is nan": (lambda: sentences.about_curve(log(3.0, math.nan)), "diverged"),
    "no curve": (lambda: sentences.about_curve(log(3.0)), "no curve to read"),
    "part of the rows": (
        lambda: sentences.about_coverage({"trained_rows": 5, "examples": 10, "trained_epochs": 0.5}),
        "as new to the model as test rows",
    ),
    "all rows": (
        lambda: sentences.about_coverage({"trained_rows": 10, "examples": 10, "trained_epochs": 2.0}),
        "every row at least once: 10 of 10 training rows, 2 epochs",
    ),
    "memory: rest is most": (lambda: sentences.about_memory({"base": 512}, 4.0), "0.50 of 4.00 GiB. Most of the peak"),
    "memory: parts are most": (lambda: sentences.about_memory({"base": 3072}, 4.0), "3.00 of 4.00 GiB. The rest"),
    "memory: no peak": (lambda: sentences.about_memory({"base": 512}, None), "was not measured"),
    "same training": (lambda: sentences.about_same_loss([3.0, 2.0], [3.001, 2.0]), "it is the same training"),
    "another training": (
        lambda: sentences.about_same_loss([3.0, 2.0], [3.0, 2.5]),
        "something in the two recipes differs",
    ),
    "starts at the base": (lambda: sentences.about_start(True), "is the base"),
    "starts elsewhere": (lambda: sentences.about_start(False), "Not equal"),
    "gallery: right": (lambda: sentences.about_gallery(RIGHT, RIGHT), "fall together, to 1.50 and 1.90"),
    "gallery: too low": (
        lambda: sentences.about_gallery(line("too low", [3.6, 3.5], [3.5, 3.4, 3.4]), RIGHT),
        "hardly falls: 3.50 at step 10, 3.40 at the end. At step 30 the right run has 1.90",
    ),
    "gallery: too high": (
        lambda: sentences.about_gallery(line("too high", [3.6, 9.0], [9.0, 8.0]), RIGHT),
        "as much as 9.00",
    ),
    "gallery: overfitting": (
        lambda: sentences.about_gallery(line("overfitting", [3.6, 0.1], [3.0, 2.5, 3.5]), RIGHT),
        "turns at step 20 (2.50) and ends at 3.50, while the training loss falls to 0.10",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_sentence_says_what_its_numbers_show(name):
    """A sentence that fits the recording of today is false after the next one."""
    write, expected = CASES[name]
    assert expected in write()


def speed(recipe: str, times: float, padding: float = 0.1) -> dict:
    return {"recipe": recipe, "times": times, "padding_share": padding, "examples_per_s": 2.8 * times}


def test_speed_names_the_largest_gain_and_the_lines_that_cost_time():
    """A reader who sees a slower line without a word on it takes the table for a mistake."""
    rows = [
        speed("reference", 1.0),
        speed("packed", 1.5, 0.4),
        speed("fused", 1.2),
        speed("graph", 6.0),
        speed("other", 3.0),
    ]
    gain, slower, padded, yardstick = sentences.about_speed(rows)
    assert '"graph": 5.0 times' in gain and '1 line made it slower than the line before: "fused" (0.80 ×)' in slower
    assert '"other"' not in slower, "branches after the fastest line compare with another one"
    assert "'packed'" in padded and "2.8 examples per second" in yardstick
    assert len(sentences.about_speed([speed("a", 1.0), speed("b", 2.0)])) == 2
    assert sentences.about_speed([]) == ["No speed is recorded for this shape."]
    with using("pt-BR"):
        said = [*sentences.about_speed(rows), *sentences.about_speed([])]
    assert len(said) == 5 and english_words(" ".join(said)) == []


def test_samples_are_chosen_by_step():
    """Steps that were not recorded must not be shown as if they were."""
    recorded = [{"step": step, "samples": [{"text": f"text\n{step}"}]} for step in (0, 5, 10)] + [
        {"step": 5, "loss": 1.0}
    ]
    assert sentences.text_while_training(recorded, (0, 10, 20)) == [(0, "text 0"), (10, "text 10")]
    assert len(sentences.text_while_training(recorded)) == 3


def test_recorded_gallery_shows_what_its_names_say():
    """A panel called "too low" that shows a good run would teach the opposite."""
    from ftlib.reporting.recipe import recorded_gallery

    for recorded in recorded_gallery():
        curves = [[loss for _, loss in sentences.losses(recorded["log"], key)] for key in ("loss", "validation_loss")]
        assert sentences.diagnose(*curves) == recorded["run"]


@pytest.mark.parametrize("name", CASES)
def test_sentence_is_portuguese_in_a_portuguese_notebook(name):
    """Half a sentence in English is read twice and believed less."""
    with using("pt-BR"):
        sentence = CASES[name][0]()
    assert sentence != CASES[name][0]() and english_words(sentence) == []
