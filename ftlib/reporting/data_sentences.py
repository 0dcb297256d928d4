"""Generate the sentences of notebook 01: what the funnel, the splits and two first answers show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftlib.reporting.sentence_parts import plural


def about_rows(funnel: dict) -> str:
    """Say whether the rows that were kept add up to the splits and to what was left out."""
    splits, left_out = funnel["splits"], funnel.get("left_out", {})
    held_out, not_needed = left_out.get("held_out_groups", 0), left_out.get("not_needed", 0)
    parts = [f"{size:,} {name}" for name, size in splits.items()]
    parts += [f"{held_out:,} left out beside held-out rows", f"{not_needed:,} not needed"]
    total = sum(splits.values()) + held_out + not_needed
    adds_up = (
        "so every row is accounted for" if total == funnel["kept"] else f"which does not add up to {funnel['kept']:,}"
    )
    return f"{funnel['kept']:,} rows kept: {' + '.join(parts)} = {total:,}, {adds_up}."


def about_losses(funnel: dict) -> str:
    """Name the filter that drops most rows, and its share of all rows."""
    if not funnel["dropped"]:
        return "No filter dropped a row."
    step, count = max(funnel["dropped"].items(), key=lambda item: item[1])
    others = sum(funnel["dropped"].values()) - count
    return (
        f"The filter `{step}` drops most: {count:,} of {funnel['rows_in']:,} rows ({count / funnel['rows_in']:.0%}). "
        f"All other filters together drop {others:,}."
    )


def about_near(funnel: dict) -> str:
    """Say how many rows near-duplicates joined to a group, which an exact comparison would miss."""
    near = funnel.get("near_duplicates") or {}
    if funnel.get("split") != "near":
        return (
            f"These splits were drawn with `data.split={funnel.get('split')}`, which does not look for near-duplicates."
        )
    if not near.get("rows"):
        return "No two texts differ by a few words only: near-duplicates changed no group."
    return (
        f"{plural(near['rows'], 'row')} differ from another row by a few words only. They join {plural(near['groups'], 'group')} "
        "that an exact comparison would have kept apart."
    )


def about_leaks(by_split: Mapping[str, dict[str, int]]) -> list[str]:
    """Say for each way to split how many test rows have their title or description in training."""
    sentences = []
    for split, counts in by_split.items():
        leaked = max(counts["title"], counts["content"])
        verdict = (
            "no text of the test split is also in training"
            if not leaked
            else (
                f"{plural(counts['title'], 'title')} and {plural(counts['content'], 'description')} of "
                f"{counts['rows']:,} test rows are also in training"
            )
        )
        sentences.append(f"`{split}`: {verdict}.")
    return sentences


def about_lengths(lengths: Sequence[int], limit: int) -> str:
    """Say how many descriptions are longer than a row by themselves."""
    over, middle = sum(length > limit for length in lengths), sorted(lengths)[len(lengths) // 2]
    long = f"{over:,} of {len(lengths):,} are longer than" if over else f"none of {len(lengths):,} is longer than"
    return f"The median description has {middle:,} tokens; {long} {limit:,} tokens by itself."


def about_two_answers(answers: Mapping[str, object], title: str, prefix: str) -> list[str]:
    """Compare the answers of base and fine-tuned model: format, end, and numbers that the title does not give.

    answers: {'base', 'tuned': Answer}.
    """
    from ftlib.data.lexical import numbers

    sentences = []
    for system, name in (("base", "The base model"), ("tuned", "The fine-tuned model")):
        answer = answers[system]
        begins = "begins" if answer.text.strip().startswith(prefix.strip()) else "does not begin"
        stops = "stops by itself" if answer.stopped else "does not stop by itself (it was truncated)"
        invented = sorted(numbers(answer.text) - numbers(title))
        extra = (
            f", and names numbers that the title does not give ({', '.join(map(str, invented))})" if invented else ""
        )
        sentences.append(f'{name} {begins} with "{prefix.strip()}" and {stops}{extra}.')
    return sentences
