"""Checkers of the exercises: `exercises.ex_1_1(answer)` is for the first exercise of notebook 01, and so on.

Each calls the reader's function on small inputs and returns a `Verdict`. Properties are checked in order, from the
simple case to the pitfall that the notebook warns of, so the first failure is the next thing to fix. End the cell with
`exercises.ex_1_1(without_links)`; in a script, print it. Where ftlib computes the expected value itself, it is called;
torch is imported by the exercises that need it.
"""

from __future__ import annotations

from ftlib.course.exercises_data import ex_1_1, ex_1_2, ex_1_3, ex_2_1, ex_2_2, ex_2_3, ex_2_4
from ftlib.course.exercises_evaluation import ex_5_1, ex_5_2, ex_5_3, ex_6_1, ex_6_2, ex_6_3, try_choice
from ftlib.course.exercises_training import ex_3_1, ex_3_2, ex_3_3, ex_4_1, ex_4_2, ex_4_3, try_guess

__all__ = [
    "ex_1_1",
    "ex_1_2",
    "ex_1_3",
    "ex_2_1",
    "ex_2_2",
    "ex_2_3",
    "ex_2_4",
    "ex_3_1",
    "ex_3_2",
    "ex_3_3",
    "ex_4_1",
    "ex_4_2",
    "ex_4_3",
    "try_guess",
    "ex_5_1",
    "ex_5_2",
    "ex_5_3",
    "try_choice",
    "ex_6_1",
    "ex_6_2",
    "ex_6_3",
]
