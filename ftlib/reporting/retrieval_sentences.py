"""Generate the sentences of notebook 06 on retrieval: what passages change, and how far the marks can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftlib.reporting.sentence_parts import Sentence, joined
from ftlib.reporting.tables import LABELS, Table
from ftlib.retrieval.attribution import supports


def about_retrieval(found: Mapping[tuple[str, str], Mapping]) -> Sentence:
    """Say what passages change for each model. found: {(system, condition): interval}."""
    parts = []
    for (system, condition), change in found.items():
        if condition.startswith("with - without"):
            low, high = change["ci95"]
            how = "helps" if high < 0 else "hurts" if low > 0 else "is not shown to help"
            parts.append(
                f"retrieval {how} the {LABELS[system]} model ({change['mean']:+.3f} nats [{low:+.3f}, {high:+.3f}])"
            )
    return joined(parts)


def about_marks(result: Mapping) -> Sentence:
    """Count the supported sentences of an answer. result: of `app.tell`."""
    if not result["sources"]:
        return Sentence(
            "No row reached the threshold, so no source is shown and no sentence can be marked as supported."
        )
    supported, total = sum(each["supported"] for each in result["sentences"]), len(result["sentences"])
    if supported == total:
        return Sentence(
            f"All {total} sentences are marked as supported. Read the quoted source sentences: do they say the same?"
        )
    return Sentence(f"Supported by a source: {supported} of {total} sentences. What remains rests on the model alone.")


def mark_examples(title: str, content: str, examples: Sequence[str]) -> Sentence:
    """Return sentences with the mark that each gets from one row, as a table."""
    rows = [["✓ in the source" if supports(title, content, text) else "? not in the source", text] for text in examples]
    return Sentence("\n".join(Table(["mark", "sentence"], rows).markdown()))


def about_threshold(manifest: Mapping) -> Sentence:
    """Say how often the threshold of the index errs in each direction. manifest: of the stage `index`."""
    errors = manifest.get("errors") or {}
    if not errors:
        return Sentence("The errors of this index were not counted: it has too few validation rows.")
    more = (
        "misses more than it cites wrongly"
        if errors["missed"] > errors["wrongly_cited"]
        else "cites wrongly at least as often as it misses"
    )
    return Sentence(
        f"On {errors['counted_on']} titles that the threshold was not set on, {errors['missed']:.0%} of the right rows "
        f"are missed and "
        f"{errors['wrongly_cited']:.0%} of the titles get a wrong row: it {more}."
    )


def about_support(block: Mapping | None) -> Sentence:
    """Say how often the marks are right, from results/support.json."""
    if block is None:
        return Sentence("How often the marks are right is recorded in the repository, which is not here.")
    best, worst = (pick(block["rows"], key=lambda row: row["marked_rightly"]["mean"]) for pick in (max, min))
    shares = [row["marked_rightly"] for row in (best, worst)]
    figures = [f"{share['mean']:.0%} [{share['ci95'][0]:.0%}, {share['ci95'][1]:.0%}]" for share in shares]
    return Sentence(
        f'Measured on constructed sentences, the marks are most often right for "{best["sentence"]}" ({figures[0]}) and '
        f'least often for "{worst["sentence"]}" ({figures[1]}).'
    )
