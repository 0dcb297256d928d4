"""Generate the sentences on a model's own texts: their form, refusals, wordings, knowledge, invented numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import sqrt

from ftlib.reporting.sentence_parts import Sentence, width
from ftlib.reporting.tables import LABELS

REFUSAL = re.compile(
    r"\b(do not know|don't know|not sure|no information|unknown product|does not exist)\b", re.IGNORECASE
)


def about_model(cfg) -> Sentence:
    """Say what can be expected of the profile's model: noise from random weights, or text."""
    if cfg.model.name.startswith("tiny:"):
        return Sentence(
            "This profile's model has random weights: its text is noise, and only the mechanics can be checked here."
        )
    return Sentence("This profile's model has real weights: its text can be read and judged.")


def about_answers(answers: Mapping[str, str], prefix: str) -> Sentence:
    """Say which of the completions has the requested form."""
    right = [system for system, text in answers.items() if text.strip().startswith(prefix.strip())]
    named = {system: LABELS.get(system, system) for system in answers}
    if len(answers) == 1:
        begins = "begins" if right else "does not begin"
        return Sentence(f'The completion {begins} with "{prefix.strip()}".')
    if len(right) == len(answers):
        return Sentence(
            f'Both completions begin with "{prefix.strip()}": the form does not tell the models apart here.'
        )
    if not right:
        return Sentence(f'Neither completion begins with "{prefix.strip()}": the form was not learned, or not yet.')
    return Sentence(f'Only the {named[right[0]]} model begins with "{prefix.strip()}", as the prompt demands.')


def about_refusal(answers: Mapping[str, str]) -> Sentence:
    """Say whether a model admits that it has no knowledge of a product."""
    refused = [LABELS.get(system, system) for system, text in answers.items() if REFUSAL.search(text)]
    if refused:
        return Sentence(
            f"The {' and the '.join(refused)} model hints that it does not know the product. Read on: does it stay with that?"
        )
    return Sentence(
        "No model says that it does not know the product. Each row of the training data has a description, none a refusal."
    )


def about_wordings(answers: Mapping[str, str], prefix: str) -> Sentence:
    """Say how many wordings get the form, and how many different completions one product has."""
    formed = sum(text.strip().startswith(prefix.strip()) for text in answers.values())
    different = len({text.strip() for text in answers.values()})
    form = f'{formed} of {len(answers)} wordings get a completion that begins with "{prefix.strip()}"'
    if different == 1:
        return Sentence(f"{form}, and all are the same: the wording does not matter for this product.")
    return Sentence(
        f"{form}; {different} different completions describe one product. A customer who asks twice notices."
    )


def about_reading(found: Mapping[str, Mapping], n: int) -> Sentence:
    """Read the easy test of knowledge: can a higher share than the base's be shown at all? found: {system: interval}."""
    base = found["base"]
    low, high = base["ci95"]
    figures = f"The base is right in {base['mean']:.0%} of {n} cases, interval [{low:.0%}, {high:.0%}]"
    if high > 0.99:
        return Sentence(f"{figures}: it is at the ceiling, so this test cannot show that training added knowledge.")
    if low > 0.5:
        return Sentence(f"{figures}: better than a coin without training on these rows. Reading is enough for that.")
    return Sentence(f"{figures}: not shown to be better than a coin.")


def about_knowledge(found: Mapping[tuple[str, str], Mapping]) -> Sentence:
    """Read the hard test of knowledge. found: {(split, system): share interval}, of splits 'test' and 'train'."""
    parts = []
    for split, where in (("test", "unseen"), ("train", "trained")):
        if (split, "tuned") not in found:
            continue
        (low, high), mean = found[split, "tuned"]["ci95"], found[split, "tuned"]["mean"]
        side = (
            "better than a coin"
            if low > 0.5
            else "worse than a coin"
            if high < 0.5
            else "not shown to differ from a coin"
        )
        parts.append(f"on {where} rows the fine-tuned model is right in {mean:.0%} [{low:.0%}, {high:.0%}]: {side}")
    apart = ""
    if {("test", "tuned"), ("train", "tuned")} <= found.keys():
        extra = found["train", "tuned"]["mean"] - found["test", "tuned"]["mean"]
        half = sqrt(sum((width(found[split, "tuned"]) / 2) ** 2 for split in ("test", "train")))
        apart = (
            " What it does better on trained rows is memory of products."
            if extra > half
            else " No memory of products is shown."
        )
    return Sentence(f"Without the words of the title: {'; '.join(parts)}.{apart}")


def about_invented(numbers: Iterable[str], moved: Iterable[str] = ()) -> Sentence:
    """Read the list of unsupported numbers, empty or not, and what the check is blind to."""
    numbers, moved = sorted(numbers), sorted(moved)
    first = (
        f"Not in the title, so guesses: {', '.join(numbers)}."
        if numbers
        else "The list is empty. That does not mean that nothing is invented: the check compares numbers, not meanings."
    )
    second = f" Numbers of the title stand beside another word than there: {', '.join(moved)}." if moved else ""
    return Sentence(first + second)
