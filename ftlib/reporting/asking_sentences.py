"""Generate the sentences on a model's own texts: their form, refusals, wordings, knowledge, invented numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import sqrt

from ftlib.reporting.sentence_parts import Sentence, width
from ftlib.reporting.tables import label
from ftlib.runtime.language import tr

REFUSAL = re.compile(
    r"\b(do not know|don't know|not sure|no information|unknown product|does not exist)\b", re.IGNORECASE
)


def about_model(cfg) -> Sentence:
    """Say what can be expected of the profile's model: noise from random weights, or text."""
    if cfg.model.name.startswith("tiny:"):
        return Sentence(
            tr(
                "This profile's model has random weights: its text is noise, and only the mechanics can be checked here."
            )
        )
    return Sentence(tr("This profile's model has real weights: its text can be read and judged."))


def about_answers(answers: Mapping[str, str], prefix: str) -> Sentence:
    """Say which of the completions has the requested form."""
    right = [system for system, text in answers.items() if text.strip().startswith(prefix.strip())]
    prefix = prefix.strip()
    if len(answers) == 1 and right:
        return Sentence(tr('The completion begins with "{prefix}".', prefix=prefix))
    if len(answers) == 1:
        return Sentence(tr('The completion does not begin with "{prefix}".', prefix=prefix))
    if len(right) == len(answers):
        return Sentence(
            tr(
                'Both completions begin with "{prefix}": the form does not tell the models apart here.',
                prefix=prefix,
            )
        )
    if not right:
        return Sentence(
            tr('Neither completion begins with "{prefix}": the form was not learned, or not yet.', prefix=prefix)
        )
    return Sentence(
        tr(
            'Only the {model} model begins with "{prefix}", as the prompt demands.',
            model=label(right[0]),
            prefix=prefix,
        )
    )


def about_refusal(answers: Mapping[str, str]) -> Sentence:
    """Say whether a model admits that it has no knowledge of a product."""
    refused = [label(system) for system, text in answers.items() if REFUSAL.search(text)]
    if len(refused) > 1:
        return Sentence(
            tr(
                "The {first} and the {last} model hints that it does not know the product. Read on: does it stay with that?",
                first=" and the ".join(refused[:-1]),
                last=refused[-1],
            )
        )
    if refused:
        return Sentence(
            tr(
                "The {model} model hints that it does not know the product. Read on: does it stay with that?",
                model=refused[0],
            )
        )
    return Sentence(
        tr(
            "No model says that it does not know the product. Each row of the training data has a description, none a refusal."
        )
    )


def about_wordings(answers: Mapping[str, str], prefix: str) -> Sentence:
    """Say how many wordings get the form, and how many different completions one product has."""
    formed = sum(text.strip().startswith(prefix.strip()) for text in answers.values())
    different = len({text.strip() for text in answers.values()})
    values = {"formed": formed, "wordings": len(answers), "prefix": prefix.strip()}
    if different == 1:
        return Sentence(
            tr(
                '{formed} of {wordings} wordings get a completion that begins with "{prefix}", and all are the same: the '
                "wording does not matter for this product.",
                **values,
            )
        )
    return Sentence(
        tr(
            '{formed} of {wordings} wordings get a completion that begins with "{prefix}"; {different} different completions '
            "describe one product. A customer who asks twice notices.",
            **values,
            different=different,
        )
    )


def about_reading(found: Mapping[str, Mapping], n: int) -> Sentence:
    """Read the easy test of knowledge: can a higher share than the base's be shown at all? found: {system: interval}."""
    base = found["base"]
    low, high = base["ci95"]
    figures = tr(
        "The base is right in {mean:.0%} of {n} cases, interval [{low:.0%}, {high:.0%}]",
        mean=base["mean"],
        n=n,
        low=low,
        high=high,
    )
    if high > 0.99:
        reading = tr("it is at the ceiling, so this test cannot show that training added knowledge.")
    elif low > 0.5:
        reading = tr("better than a coin without training on these rows. Reading is enough for that.")
    else:
        reading = tr("not shown to be better than a coin.")
    return Sentence(f"{figures}: {reading}")


def about_knowledge(found: Mapping[tuple[str, str], Mapping]) -> Sentence:
    """Read the hard test of knowledge. found: {(split, system): share interval}, of splits 'test' and 'train'."""
    parts = []
    for split in ("test", "train"):
        if (split, "tuned") not in found:
            continue
        (low, high), mean = found[split, "tuned"]["ci95"], found[split, "tuned"]["mean"]
        if low > 0.5:
            side = tr("better than a coin")
        elif high < 0.5:
            side = tr("worse than a coin")
        else:
            side = tr("not shown to differ from a coin")
        share = f"{mean:.0%} [{low:.0%}, {high:.0%}]"
        if split == "test":
            parts.append(tr("on unseen rows the fine-tuned model is right in {share}: {side}", share=share, side=side))
        else:
            parts.append(tr("on trained rows the fine-tuned model is right in {share}: {side}", share=share, side=side))
    apart = ""
    if {("test", "tuned"), ("train", "tuned")} <= found.keys():
        extra = found["train", "tuned"]["mean"] - found["test", "tuned"]["mean"]
        half = sqrt(sum((width(found[split, "tuned"]) / 2) ** 2 for split in ("test", "train")))
        apart = " " + (
            tr("What it does better on trained rows is memory of products.")
            if extra > half
            else tr("No memory of products is shown.")
        )
    return Sentence(tr("Without the words of the title: {parts}.", parts="; ".join(parts)) + apart)


def about_invented(numbers: Iterable[str], moved: Iterable[str] = ()) -> Sentence:
    """Read the list of unsupported numbers, empty or not, and what the check is blind to."""
    numbers, moved = sorted(numbers), sorted(moved)
    first = (
        tr("Not in the title, so guesses: {numbers}.", numbers=", ".join(numbers))
        if numbers
        else tr(
            "The list is empty. That does not mean that nothing is invented: the check compares numbers, not meanings."
        )
    )
    if not moved:
        return Sentence(first)
    second = tr("Numbers of the title stand beside another word than there: {numbers}.", numbers=", ".join(moved))
    return Sentence(f"{first} {second}")
