"""Generate the sentences of notebook 05 on intervals: few rows, random draws, pairing, votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

from ftlib.evaluation.bootstrap import wilson
from ftlib.reporting.sentence_parts import Sentence, width
from ftlib.runtime.language import tr


def about_rows(a: str, wins: int, n: int, other: tuple[int, int]) -> Sentence:
    """Compare the same share of wins in few and in many votes by Wilson's interval."""
    few, many = (wilson(won, total - won) for won, total in ((wins, n), other))
    first, second = (f"[{low:.0%}, {high:.0%}]" for low, high in (few, many))
    reads = [
        tr("shows a preference") if low > 0.5 or high < 0.5 else tr("shows no preference") for low, high in (few, many)
    ]
    return Sentence(
        tr(
            "{few} of {n} votes for the {model} model give {first}, which {reads}; {many} of {total} give {second}, which "
            "{reads_then}.",
            few=wins,
            n=n,
            model=tr(a),
            first=first,
            reads=reads[0],
            many=other[0],
            total=other[1],
            second=second,
            reads_then=reads[1],
        )
    )


def about_small(intervals: Mapping[int, Mapping]) -> Sentence:
    """Say from how many rows on the interval excludes 0, and how much it narrows."""
    excluded = [size for size, found in intervals.items() if not found["ci95"][0] <= 0 <= found["ci95"][1]]
    first, last = min(intervals), max(intervals)
    narrowed = width(intervals[first]) / max(width(intervals[last]), 1e-12)
    narrow = tr(
        "From {first} to {last} rows the interval gets {times:.1f} times narrower.",
        first=first,
        last=last,
        times=narrowed,
    )
    if not excluded:
        verdict = tr("No interval excludes 0, not even that of all {last} rows: the sign is open.", last=last)
        return Sentence(f"{verdict} {narrow}")
    stable = (
        min(size for size in excluded if all(later in excluded for later in intervals if later >= size))
        if (last in excluded)
        else None
    )
    if stable is None:
        verdict = tr(
            "{few} rows exclude 0, all {last} rows do not: the early verdict was luck.", few=min(excluded), last=last
        )
        return Sentence(f"{verdict} {narrow}")
    verdict = tr(
        "From {stable} rows on the interval excludes 0: the sign is shown, the size is not yet.", stable=stable
    )
    return Sentence(f"{verdict} {narrow}")


def about_draws(draws: Sequence[Mapping], size: int, full: Mapping) -> Sentence:
    """Say what one might have reported with few rows: the spread, wrong signs, and how often the t interval is right."""
    means = sorted(draw["mean"] for draw in draws)
    cut = len(means) // 40
    low, high, center = means[cut], means[-1 - cut], full["mean"]
    wrong = sum(mean * center < 0 for mean in means)
    covered = sum(draw["ci95"][0] <= center <= draw["ci95"][1] for draw in draws) / len(draws)
    decided = sum(not draw["ci95"][0] <= 0 <= draw["ci95"][1] for draw in draws) / len(draws)
    sign = (
        tr("{wrong} of {draws} have the wrong sign", wrong=wrong, draws=len(draws))
        if wrong
        else tr("none has the wrong sign")
    )
    return Sentence(
        tr(
            "All rows give {center:+.3f}. With {size} rows you might have reported anything from {low:+.3f} to {high:+.3f} (19 "
            "of 20 draws); {sign}. The t interval excludes 0 in {decided:.0%} of the draws and contains the mean of all rows "
            "in {covered:.0%}.",
            center=center,
            size=size,
            low=low,
            high=high,
            sign=sign,
            decided=decided,
            covered=covered,
        )
    )


def unpaired_width(a: Mapping, b: Mapping) -> float:
    """Return the width of the interval of a difference if each system had answered rows of its own."""
    return sqrt(width(a) ** 2 + width(b) ** 2)


def about_pairing(a: Mapping, b: Mapping, paired: Mapping, block: Mapping | None = None) -> Sentence:
    """Compare the paired interval with the unpaired one of the same systems.

    block: the split of metrics.json whose table shows the same difference as a mean over tokens; a sentence explains it
    where the two are not the same.
    """
    apart, together = unpaired_width(a, b), width(paired)
    times = apart / max(together, 1e-12)
    values = {"mean": paired["mean"], "apart": apart, "together": together}
    if times > 1.1:
        first = tr(
            "The difference is {mean:+.3f}; its interval is unpaired {apart:.3f} wide, paired {together:.3f}: pairing makes it "
            "{times:.1f} times narrower, as much as {rows:.1f} times the rows would.",
            **values,
            times=times,
            rows=times**2,
        )
    else:
        first = tr(
            "The difference is {mean:+.3f}; its interval is unpaired {apart:.3f} wide, paired {together:.3f}: pairing gains "
            "nothing here, since no row is hard for both.",
            **values,
        )
    return Sentence(f"{first}{_about_tokens(paired['mean'], block)}")


def _about_tokens(by_row: float, block: Mapping | None) -> str:
    """Explain why the table has another difference in NLL than the rows, '' where both are the same."""
    by_token = (block or {}).get("differences", {}).get("tuned-base", {}).get("nll", {}).get("mean")
    if by_token is None or f"{by_token:+.3f}" == f"{by_row:+.3f}":
        return ""
    return " " + tr(
        "The table of section 5.3 has {by_token:+.3f} because it averages over tokens, where a long description counts more; "
        "{by_row:+.3f} averages over rows, where each counts once.",
        by_token=by_token,
        by_row=by_row,
    )
