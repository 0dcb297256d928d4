"""Generate the sentences of notebook 01: what the funnel, the splits and two first answers show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftlib.reporting.tables import SPLIT_NAMES
from ftlib.runtime.language import to_translate, tr, tr_n

NAMES = {"base": to_translate("The base model"), "tuned": to_translate("The fine-tuned model")}
BEGINS_AND_STOPS = {  # {(begins with the prefix, stops): sentence}
    (True, True): to_translate('{name} begins with "{prefix}" and stops by itself{extra}.'),
    (True, False): to_translate('{name} begins with "{prefix}" and does not stop by itself (it was truncated){extra}.'),
    (False, True): to_translate('{name} does not begin with "{prefix}" and stops by itself{extra}.'),
    (False, False): to_translate(
        '{name} does not begin with "{prefix}" and does not stop by itself (it was truncated){extra}.'
    ),
}


def about_rows(funnel: dict) -> str:
    """Say whether the rows that were kept add up to the splits and to what was left out."""
    splits, left_out = funnel["splits"], funnel.get("left_out", {})
    held_out, not_needed = left_out.get("held_out_groups", 0), left_out.get("not_needed", 0)
    parts = [f"{size:,} {tr(SPLIT_NAMES.get(name, name))}" for name, size in splits.items()]
    parts += [
        tr("{held_out:,} left out beside held-out rows", held_out=held_out),
        tr("{not_needed:,} not needed", not_needed=not_needed),
    ]
    total = sum(splits.values()) + held_out + not_needed
    adds_up = (
        tr("so every row is accounted for")
        if total == funnel["kept"]
        else tr("which does not add up to {kept:,}", kept=funnel["kept"])
    )
    return tr(
        "{kept:,} rows kept: {parts} = {total:,}, {adds_up}.",
        kept=funnel["kept"],
        parts=" + ".join(parts),
        total=total,
        adds_up=adds_up,
    )


def about_losses(funnel: dict) -> str:
    """Name the filter that drops most rows, and its share of all rows."""
    if not funnel["dropped"]:
        return tr("No filter dropped a row.")
    step, dropped = max(funnel["dropped"].items(), key=lambda item: item[1])
    others = sum(funnel["dropped"].values()) - dropped
    return tr(
        "The filter `{step}` drops most: {dropped:,} of {rows:,} rows ({share:.0%}). All other filters together drop "
        "{others:,}.",
        step=step,
        dropped=dropped,
        rows=funnel["rows_in"],
        share=dropped / funnel["rows_in"],
        others=others,
    )


def about_near(funnel: dict) -> str:
    """Say how many rows near-duplicates joined to a group, which an exact comparison would miss."""
    near = funnel.get("near_duplicates") or {}
    if funnel.get("split") != "near":
        return tr(
            "These splits were drawn with `data.split={split}`, which does not look for near-duplicates.",
            split=funnel.get("split"),
        )
    if not near.get("rows"):
        return tr("No two texts differ by a few words only: near-duplicates changed no group.")
    return tr(
        "{rows} differ from another row by a few words only. They join {groups} that an exact comparison would have kept "
        "apart.",
        rows=tr_n("{count} row", "{count:,} rows", near["rows"]),
        groups=tr_n("{count} group", "{count:,} groups", near["groups"]),
    )


def about_leaks(by_split: Mapping[str, dict[str, int]]) -> list[str]:
    """Say for each way to split how many test rows have their title or description in training."""
    sentences = []
    for split, counts in by_split.items():
        leaked = max(counts["title"], counts["content"])
        if not leaked:
            sentences.append(tr("`{split}`: no text of the test split is also in training.", split=split))
            continue
        sentences.append(
            tr(
                "`{split}`: {titles} and {descriptions} of {rows:,} test rows are also in training.",
                split=split,
                titles=tr_n("{count} title", "{count:,} titles", counts["title"]),
                descriptions=tr_n("{count} description", "{count:,} descriptions", counts["content"]),
                rows=counts["rows"],
            )
        )
    return sentences


def about_lengths(lengths: Sequence[int], limit: int) -> str:
    """Say how many descriptions are longer than a row by themselves."""
    over, middle = sum(length > limit for length in lengths), sorted(lengths)[len(lengths) // 2]
    if over:
        return tr(
            "The median description has {middle:,} tokens; {over:,} of {rows:,} are longer than {limit:,} tokens by itself.",
            middle=middle,
            over=over,
            rows=len(lengths),
            limit=limit,
        )
    return tr(
        "The median description has {middle:,} tokens; none of {rows:,} is longer than {limit:,} tokens by itself.",
        middle=middle,
        rows=len(lengths),
        limit=limit,
    )


def about_two_answers(answers: Mapping[str, object], title: str, prefix: str) -> list[str]:
    """Compare the answers of base and fine-tuned model: format, end, and numbers that the title does not give.

    answers: {'base', 'tuned': Answer}.
    """
    from ftlib.data.lexical import numbers

    sentences = []
    for system, name in NAMES.items():
        answer = answers[system]
        begins = answer.text.strip().startswith(prefix.strip())
        invented = sorted(numbers(answer.text) - numbers(title))
        extra = (
            tr(
                ", and names numbers that the title does not give ({numbers})",
                numbers=", ".join(map(str, invented)),
            )
            if invented
            else ""
        )
        sentences.append(
            tr(BEGINS_AND_STOPS[begins, bool(answer.stopped)], name=tr(name), prefix=prefix.strip(), extra=extra)
        )
    return sentences
