"""Verdicts, rules and hints in Portuguese: every mistake of the other tests, judged again, leaves no English."""

import re

import pytest
import torch
from portuguese import english_words
from test_exercises import CHECKERS, SOLUTIONS, WRONG, answer_of
from test_exercises_evaluation import WRONG as OF_EVALUATION

from ftlib.course import exercises, grading
from ftlib.runtime.language import using


@pytest.fixture(autouse=True)
def portuguese():
    """Print in Portuguese; tries are counted in the process, and each test begins at none."""
    grading._failed.clear()
    with using("pt-BR"):
        yield


ALL = [*WRONG, *OF_EVALUATION]


@pytest.mark.parametrize(("name", "mistake"), [(n, f) for n, _, f in ALL], ids=[f"{n}-{f.__name__}" for n, _, f in ALL])
def test_a_mistake_is_explained_in_portuguese(name, mistake):
    """A rule that stays English is read by the student who needs it most, in front of a failed exercise."""
    for _ in range(2):  # the second failed try adds the hint
        verdict = getattr(exercises, name)(mistake)
        shown = re.sub(r"parou com .*? Faça", "parou. Faça", str(verdict), flags=re.DOTALL)  # errors stay English
        assert not verdict and "✗ Exercício" in shown and english_words(shown) == [], verdict
    assert "\nDica: " in verdict.message


@pytest.mark.parametrize("name", CHECKERS)
def test_solution_stub_and_nonsense_are_answered_in_portuguese(name):
    """The verdict that passes is the one that every student reads in the end."""

    def broken(*_):
        raise KeyError("x")

    passed = getattr(exercises, name)(answer_of(SOLUTIONS[name], name))
    assert passed and "certo" in str(passed) and english_words(str(passed)) == []
    for answer in (None, lambda *_: None, 7, lambda *_: object(), lambda *_: "x", lambda *_: {}, broken):
        verdict = getattr(exercises, name)(answer)
        assert not verdict and english_words(str(verdict)) == [], verdict


def test_guess_and_choice_are_answered_in_portuguese():
    """The last cells of two notebooks print what these return."""
    weights = torch.randn(50, generator=torch.Generator().manual_seed(1))
    right = answer_of(SOLUTIONS["ex_4_3"], "ex_4_3")
    runs = [{"name": "small", "nll": 3.0, "parameters": 10}, {"name": "large", "nll": 2.99, "parameters": 1000}]
    texts = [
        exercises.try_guess("", None, weights),
        exercises.try_guess("float16", lambda weights, dtype: None, weights),
        exercises.try_guess("float16", right, weights),
        exercises.try_guess("bfloat16", right, weights),
        exercises.try_choice(lambda runs, noise: None, runs),
        exercises.try_choice(answer_of(SOLUTIONS["ex_5_3"], "ex_5_3"), runs),
    ]
    assert len(set(texts)) == len(texts) and [english_words(text) for text in texts] == [[]] * len(texts)
    assert "1,000 pesos treinados" in texts[-1]
