"""Natural wrong answers to the exercises of notebooks 04 to 06, beside those of test_exercises.py."""

import random
import re

import pytest
import torch

from ftlib.course import exercises, grading

WRONG = []  # (exercise, a word that its message must have, function); the function's name is the mistake


def wrong(name: str, word: str):
    return lambda function: WRONG.append((name, word, function)) or function


@pytest.fixture(autouse=True)
def first_try():
    """Tries are counted in the process; each test begins at none."""
    grading._failed.clear()


@wrong("ex_4_1", "argument r")
def has_a_rank_of_two(W, A, B, alpha, r):
    return (W.float() + alpha / 2 * B.float() @ A.float()).to(W.dtype)


@wrong("ex_4_1", "with alpha = r")
def multiplies_by_alpha(W, A, B, alpha, r):
    return (W.float() + alpha * B.float() @ A.float() / 2 / r).to(W.dtype)


@wrong("ex_4_2", "LARGEST difference")
def takes_the_mean(a, b, tolerance):
    return bool((a - b).abs().mean() <= tolerance) and torch.equal(a.argmax(-1), b.argmax(-1))


@wrong("ex_4_2", "nan must never")
def asks_the_other_way_round(a, b, tolerance):
    return not bool((a - b).abs().max() > tolerance) and torch.equal(a.argmax(-1), b.argmax(-1))


@wrong("ex_4_2", "nan must never")
def drops_nan(a, b, tolerance):
    return bool((a - b).abs().nan_to_num(0).max() <= tolerance) and torch.equal(a.argmax(-1), b.argmax(-1))


@wrong("ex_4_3", "divide by the size")
def absolute_error(weights, dtype):
    return (weights.to(dtype).float() - weights).abs().max().item()


@wrong("ex_4_3", "LARGEST")
def mean_error(weights, dtype):
    weights = weights[weights != 0]
    return ((weights.to(dtype).float() - weights).abs() / weights.abs()).mean().item()


@wrong("ex_4_3", "leave zeros out")
def divides_by_zero(weights, dtype):
    return ((weights.to(dtype).float() - weights).abs() / weights.abs()).max().item()


@wrong("ex_4_3", "abs()")
def divides_by_the_signed_weight(weights, dtype):
    part = weights[weights != 0]
    return ((part.to(dtype).float() - part).abs() / part).max().item()


@wrong("ex_4_3", "LARGEST")
def forgets_abs_of_the_difference(weights, dtype):
    part = weights[weights != 0]
    return ((part.to(dtype).float() - part) / part.abs()).max().item()


@wrong("ex_4_3", "undone")
def casts_to_nothing(weights, dtype):
    return (weights.to(dtype) - weights.to(dtype)).abs().max().item()


def by_size(run):
    return run["parameters"], run["nll"]


@wrong("ex_5_3", "smaller run must win")
def takes_the_best(runs, noise):
    return min((run for run in runs if not run["leak"]), key=lambda run: run["nll"])["name"]


@wrong("ex_5_3", "clearly worse")
def takes_the_smallest(runs, noise):
    return min((run for run in runs if not run["leak"]), key=by_size)["name"]


@wrong("ex_5_3", "leak")
def forgets_the_leak(runs, noise):
    best = min(run["nll"] for run in runs)
    return min((run for run in runs if run["nll"] <= best + noise), key=by_size)["name"]


@wrong("ex_5_3", "neither as winner nor as the best")
def compares_with_a_leaking_run(runs, noise):
    best = min(run["nll"] for run in runs)
    close = [run for run in runs if not run["leak"] and run["nll"] <= best + noise]
    return min(close or [min(runs, key=lambda run: run["nll"])], key=by_size)["name"]


@wrong("ex_5_3", "BEST run")
def goes_down_step_by_step(runs, noise):
    valid = sorted((run for run in runs if not run["leak"]), key=lambda run: run["nll"])
    chosen = valid[0]
    for run in valid[1:]:
        if run["nll"] <= chosen["nll"] + noise and run["parameters"] < chosen["parameters"]:
            chosen = run
    return chosen["name"]


@wrong("ex_5_3", "exactly at the noise")
def wants_less_than_the_noise(runs, noise):
    valid = [run for run in runs if not run["leak"]]
    best = min(run["nll"] for run in valid)
    return min((run for run in valid if run["nll"] - best < noise or run["nll"] == best), key=by_size)["name"]


@wrong("ex_5_3", "same size the lower NLL")
def takes_the_first_of_a_size(runs, noise):
    valid = [run for run in runs if not run["leak"]]
    best = min(run["nll"] for run in valid)
    return min((run for run in valid if run["nll"] <= best + noise), key=lambda run: run["parameters"])["name"]


@wrong("ex_6_1", "pattern in the seed")
def takes_odd_and_even_seeds(answers, seed):
    key = list(answers) if seed % 2 else list(answers)[::-1]
    return [answers[name] for name in key], key


@wrong("ex_6_1", "pattern in the seed")
def takes_pairs_of_seeds(answers, seed):
    key = list(answers) if seed // 2 % 2 else list(answers)[::-1]
    return [answers[name] for name in key], key


@wrong("ex_6_1", "pattern in the seed")
def changes_once(answers, seed):
    key = list(answers) if seed < 50 else list(answers)[::-1]
    return [answers[name] for name in key], key


def pairs(text):
    return re.findall(r"(\d+)[ -]+([a-z]+)", text.lower())


@wrong("ex_6_3", "number with a new unit")
def compares_numbers_only(title, text):
    return [pair for pair in pairs(text) if pair[0] not in re.findall(r"\d+", title)]


@wrong("ex_6_3", "another check's task")
def reports_every_new_pair(title, text):
    return sorted(set(pairs(text)) - set(pairs(title)))


@wrong("ex_6_3", "unit of the title")
def reports_every_number_of_the_title(title, text):
    return sorted({pair for pair in pairs(text) if pair[0] in re.findall(r"\d+", title)})


@wrong("ex_6_3", "upper and lower case")
def minds_the_case(title, text):
    def read(words):
        return re.findall(r"(\d+) ([A-Za-z]+)", words)

    return sorted(pair for pair in set(read(text)) - set(read(title)) if pair[0] in re.findall(r"\d+", title))


@wrong("ex_6_3", "counts once")
def counts_each_time(title, text):
    return [pair for pair in pairs(text) if pair not in pairs(title) and pair[0] in re.findall(r"\d+", title)]


@wrong("ex_6_3", "compared whole")
def looks_in_the_string(title, text):
    return sorted({pair for pair in pairs(text) if pair not in pairs(title) and pair[0] in title})


@wrong("ex_6_3", "list of pairs")
def gives_strings(title, text):
    return ["9000 inches"]


@pytest.mark.parametrize(("name", "word", "mistake"), WRONG, ids=[f"{name}-{f.__name__}" for name, _, f in WRONG])
def test_a_mistake_is_found_and_its_property_named(name, word, mistake):
    """A plausible mistake that passes is learned; one that fails without a name is only guessed at."""
    found = getattr(exercises, name)(mistake)
    assert not found and word in found.message, found


def test_a_shuffle_of_any_kind_passes():
    """The check of patterns must not refuse an honest draw."""

    def blind(answers, seed):
        key = random.Random(seed).sample(list(answers), 2)
        return [answers[name] for name in key], key

    def with_numpy(answers, seed):
        import numpy as np

        key = [str(name) for name in np.random.default_rng(seed).permutation(list(answers))]
        return [answers[name] for name in key], key

    assert exercises.ex_6_1(blind) and exercises.ex_6_1(with_numpy)


def relative_error(weights, dtype):
    weights = weights[weights != 0]
    return float(((weights.to(dtype).float() - weights).abs() / weights.abs()).max())


def smallest(runs, noise):
    best = min(run["nll"] for run in runs if not run["leak"])
    return min((run for run in runs if not run["leak"] and run["nll"] <= best + noise), key=by_size)["name"]


def test_a_guess_is_compared_with_the_run():
    """Predict, then run: the reader must learn whether the guess was right, and the untouched cell must be friendly."""
    weights = torch.randn(50, generator=torch.Generator().manual_seed(1))
    assert "No guess yet" in exercises.try_guess("", None, weights)
    assert "as soon as" in exercises.try_guess("float16", lambda weights, dtype: None, weights)
    assert "bfloat16 rounds more" in exercises.try_guess("bfloat16", relative_error, weights)
    assert "you guessed float16" in exercises.try_guess("float16", relative_error, weights)


def test_a_choice_is_applied_to_the_study():
    """The study is chosen from by the reader's own function, once it is right."""
    runs = [{"name": "small", "nll": 3.0, "parameters": 10}, {"name": "large", "nll": 2.99, "parameters": 1000}]
    assert "as soon as" in exercises.try_choice(lambda runs, noise: None, runs)
    said = exercises.try_choice(smallest, runs)
    assert "noise 0: large, 1,000" in said and "noise 0.02: small" in said
