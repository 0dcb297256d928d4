"""The checkers' common part: how an answer is called, and how the verdict is shown.

A wrong answer must not raise, or a notebook with open exercises stops in the middle. A verdict names the first property
that fails, the input on which it fails, and why it matters. A hint follows the second failed attempt; an unchanged stub
does not count as an attempt. `@exercise(hint)` turns a function that calls `answer(...)` and `answer.must(...)` into a
checker; see `ftlib.course.exercises`.
"""

from __future__ import annotations

import functools
import html
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ftlib.runtime.language import to_translate, tr

_failed: Counter[str] = Counter()  # failed tries of this process, by exercise


class Wrong(Exception):
    """An answer lacks a property; the text says which one, on which input, and why it matters."""


class NotWritten(Exception):
    """The stub is unchanged, or the function returns None."""


@dataclass(frozen=True, repr=False)
class Verdict:
    """The result of a check: the exercise's number, whether every property holds, and the message. True if passed.

    started: False for an unchanged stub, which is shown as open and not as failed.
    """

    name: str
    passed: bool
    message: str
    started: bool = True

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return f"{self._heading()}\n{self.message}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        heading, message = html.escape(self._heading()), html.escape(self.message).replace("\n", "<br>")
        line = "solid" if self.passed else "dashed" if self.started else "dotted"
        return f'<div style="border-left:4px {line};padding:4px 12px"><b>{heading}</b><br>{message}</div>'

    def _heading(self) -> str:
        if not self.started:
            return tr("○ Exercise {name}: open", name=self.name)
        if self.passed:
            return tr("✓ Exercise {name}: passed", name=self.name)
        return tr("✗ Exercise {name}: not yet", name=self.name)


def exercise(hint: str, **values):
    """Turn `ex_1_2(answer: Answer)`, which raises Wrong, into a checker that takes any object and returns a Verdict.

    hint: a text that was marked with `to_translate`. values: of its placeholders.
    """

    def decorate(properties: Callable[[Answer], None]) -> Callable[[object], Verdict]:
        name = properties.__name__.removeprefix("ex_").replace("_", ".")

        @functools.wraps(properties)
        def checker(answer) -> Verdict:
            try:
                properties(Answer(answer))
                held = tr("Every property holds. Compare with the solution at the end of the notebook.")
                return Verdict(name, True, held)
            except NotWritten as nothing:
                return Verdict(name, False, str(nothing), started=False)
            except Wrong as wrong:
                message = str(wrong)
            except Exception as error:  # a result that makes a comparison raise is a wrong answer too
                message = tr(
                    "The result cannot be compared ({kind}: {error}); is its type the one asked for?",
                    kind=type(error).__name__,
                    error=error,
                )
            _failed[name] += 1
            if _failed[name] > 1:
                message += "\n" + tr("Hint: {hint}", hint=tr(hint, **values))
            return Verdict(name, False, message)

        return checker

    return decorate


class Kind(NamedTuple):
    """A type of result: its name in a sentence, and what turns a result into it or raises TypeError or ValueError.

    words: marked with `to_translate`, or translated already.
    """

    words: str
    convert: Callable


class Answer:
    """The reader's function. Whatever goes wrong inside it becomes Wrong, with the reason."""

    def __init__(self, function):
        if function is None or function is ...:
            raise NotWritten(tr("Yours to write: the function above the check. Then run the cell again."))
        if not callable(function):
            raise Wrong(
                tr(
                    "The check wants the function itself and got {given}: pass its name without brackets.",
                    given=show(function),
                )
            )
        self.function, self.name = function, getattr(function, "__name__", tr("your function"))
        self.call = self.given = ""  # the last call and its result, as a message shows them

    def __call__(self, *inputs, kind: Kind):
        """Return the function's result as `kind`. Raises Wrong for an error or another type, NotWritten for no result."""
        self.call = f"{self.name}({', '.join(map(show, inputs))})"
        try:
            result = self.function(*inputs)
        except (Exception, SystemExit) as error:
            if isinstance(error, NotImplementedError) and not str(error):
                unwritten = tr("Yours to write: {name}. Then run the cell again.", name=self.name)
                raise NotWritten(unwritten) from error
            raised = tr(
                "{call} raised {kind}: {error}. "
                "Call it with such inputs in a cell of its own: the traceback names the line.",
                call=self.call,
                kind=type(error).__name__,
                error=error,
            )
            raise Wrong(raised) from error
        if result is None or result is ...:
            raise NotWritten(
                tr(
                    "Yours to write: replace the dots in {name}, end with return, and run the cell again.",
                    name=self.name,
                )
            )
        self.given = show(result)
        try:
            return kind.convert(result)
        except (TypeError, ValueError, RuntimeError) as error:
            raise Wrong(
                tr(
                    "{call} gives {given}; the result must be {kind}.",
                    call=self.call,
                    given=self.given,
                    kind=tr(kind.words),
                )
            ) from error

    def must(self, holds, rule: str, want=None, given: str | None = None) -> None:
        """Raise Wrong with `rule` (the property, and why it matters) unless it holds; `want` is the value expected.

        rule and given are in the reader's language already.
        """
        if holds:
            return
        given = given or self.given
        if want is None:
            raise Wrong(tr("{call} gives {given}: {rule}", call=self.call, given=given, rule=rule))
        raise Wrong(
            tr(
                "{call} gives {given}, expected {expected}: {rule}",
                call=self.call,
                given=given,
                expected=show(want),
                rule=rule,
            )
        )


def show(value) -> str:
    """Format a value for a sentence; of arrays and tensors only shape and type."""
    if getattr(value, "shape", ()) != ():
        size, dtype = "x".join(map(str, value.shape)), str(value.dtype).removeprefix("torch.")
        return f"{type(value).__name__}({size} {dtype})"
    text = f"{value:.4g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _is(kind: type, result):
    if not isinstance(result, kind):
        raise TypeError
    return result


def _list(result) -> list:
    if isinstance(result, str):  # a sequence too, but never the expected one
        raise TypeError
    return list(result)


def _number(result) -> float:
    if isinstance(result, str | bool):
        raise TypeError
    return float(result)


def _integers(result) -> list[int]:
    numbers = [_number(part) for part in _list(result)]
    if any(not number.is_integer() for number in numbers):
        raise ValueError
    return [int(number) for number in numbers]


def _truth(result) -> bool:
    return _is(bool, result.item() if hasattr(result, "item") else result)  # NumPy's and torch's True count


TEXT = Kind(to_translate("a string"), functools.partial(_is, str))
NUMBER = Kind(to_translate("a number"), _number)
TRUTH = Kind(to_translate("True or False"), _truth)
LIST = Kind(to_translate("a list"), _list)
INTEGERS = Kind(to_translate("a list of whole numbers"), _integers)


def pair_of(kind: Kind) -> Kind:
    """Describe a pair (tuple, list, array) of two results of one kind."""

    def convert(result) -> tuple:
        first, second = _list(result)
        return kind.convert(first), kind.convert(second)

    return Kind(tr("a pair, each part {kind}", kind=tr(kind.words)), convert)


def tensor_of(shape: tuple[int, ...]) -> Kind:
    """Describe a torch tensor of this shape."""

    def convert(result):
        import torch

        if _is(torch.Tensor, result).shape != shape:
            raise ValueError
        return result

    return Kind(tr("a torch tensor of shape {shape}", shape=shape), convert)
