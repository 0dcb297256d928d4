"""Generate the sentences of notebook 05 on intervals: few rows, random draws, pairing, votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

from ftlib.evaluation.bootstrap import wilson
from ftlib.reporting.sentence_parts import Sentence, width


def about_rows(a: str, wins: int, n: int, other: tuple[int, int]) -> Sentence:
    """Compare the same share of wins in few and in many votes by Wilson's interval."""
    few, many = (wilson(won, total - won) for won, total in ((wins, n), other))
    texts = [f"[{low:.0%}, {high:.0%}]" for low, high in (few, many)]
    reads = ["shows a preference" if low > 0.5 or high < 0.5 else "shows no preference" for low, high in (few, many)]
    return Sentence(
        f"{wins} of {n} votes for the {a} model give {texts[0]}, which {reads[0]}; {other[0]} of {other[1]} give "
        f"{texts[1]}, which "
        f"{reads[1]}."
    )


def about_small(intervals: Mapping[int, Mapping]) -> Sentence:
    """Say from how many rows on the interval excludes 0, and how much it narrows."""
    excluded = [size for size, found in intervals.items() if not found["ci95"][0] <= 0 <= found["ci95"][1]]
    first, last = min(intervals), max(intervals)
    narrowed = width(intervals[first]) / max(width(intervals[last]), 1e-12)
    narrow = f"From {first} to {last} rows the interval gets {narrowed:.1f} times narrower."
    if not excluded:
        return Sentence(f"No interval excludes 0, not even that of all {last} rows: the sign is open. {narrow}")
    stable = (
        min(size for size in excluded if all(later in excluded for later in intervals if later >= size))
        if (last in excluded)
        else None
    )
    if stable is None:
        return Sentence(f"{min(excluded)} rows exclude 0, all {last} rows do not: the early verdict was luck. {narrow}")
    return Sentence(f"From {stable} rows on the interval excludes 0: the sign is shown, the size is not yet. {narrow}")


def about_draws(draws: Sequence[Mapping], size: int, full: Mapping) -> Sentence:
    """Say what one might have reported with few rows: the spread, wrong signs, and how often the t interval is right."""
    means = sorted(draw["mean"] for draw in draws)
    cut = len(means) // 40
    low, high, center = means[cut], means[-1 - cut], full["mean"]
    wrong = sum(mean * center < 0 for mean in means)
    covered = sum(draw["ci95"][0] <= center <= draw["ci95"][1] for draw in draws) / len(draws)
    decided = sum(not draw["ci95"][0] <= 0 <= draw["ci95"][1] for draw in draws) / len(draws)
    sign = f"{wrong} of {len(draws)} have the wrong sign" if wrong else "none has the wrong sign"
    return Sentence(
        f"All rows give {center:+.3f}. With {size} rows you might have reported anything from {low:+.3f} to {high:+.3f} "
        f"(19 of 20 "
        f"draws); {sign}. The t interval excludes 0 in {decided:.0%} of the draws and contains the mean of all rows in "
        f"{covered:.0%}."
    )


def unpaired_width(a: Mapping, b: Mapping) -> float:
    """Return the width of the interval of a difference if each system had answered rows of its own."""
    return sqrt(width(a) ** 2 + width(b) ** 2)


def about_pairing(a: Mapping, b: Mapping, paired: Mapping) -> Sentence:
    """Compare the paired interval with the unpaired one of the same systems."""
    apart, together = unpaired_width(a, b), width(paired)
    times = apart / max(together, 1e-12)
    widths = f"unpaired {apart:.3f} wide, paired {together:.3f}"
    if times > 1.1:
        return Sentence(
            f"The difference is {paired['mean']:+.3f}; its interval is {widths}: pairing makes it {times:.1f} times narrower, as "
            f"much as {times**2:.1f} times the rows would."
        )
    return Sentence(
        f"The difference is {paired['mean']:+.3f}; its interval is {widths}: pairing gains nothing here, since no row "
        f"is hard for both."
    )
