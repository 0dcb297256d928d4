"""Generate the sentences of notebook 06 on retrieval: what passages change, and how far the marks can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftlib.reporting.sentence_parts import Sentence, joined
from ftlib.reporting.tables import Table, label
from ftlib.retrieval.attribution import supports
from ftlib.runtime.language import to_translate, tr

SENTENCES = (  # the kinds of constructed sentences in results/support.json
    to_translate("supported, in other words"),
    to_translate("a number changed"),
    to_translate("a colour changed"),
    to_translate("a material changed"),
    to_translate("a sentence about another article"),
    to_translate("its use invented"),
    to_translate("the first four together"),
)


def about_retrieval(found: Mapping[tuple[str, str], Mapping]) -> Sentence:
    """Say what passages change for each model. found: {(system, condition): interval}."""
    parts = []
    for (system, condition), change in found.items():
        if condition.startswith("with - without"):
            low, high = change["ci95"]
            values = {"model": label(system), "figures": f"{change['mean']:+.3f} nats [{low:+.3f}, {high:+.3f}]"}
            if high < 0:
                parts.append(tr("retrieval helps the {model} model ({figures})", **values))
            elif low > 0:
                parts.append(tr("retrieval hurts the {model} model ({figures})", **values))
            else:
                parts.append(tr("retrieval is not shown to help the {model} model ({figures})", **values))
    return joined(parts)


def about_marks(result: Mapping) -> Sentence:
    """Count the supported sentences of an answer. result: of `app.tell`."""
    if not result["sources"]:
        return Sentence(
            tr("No row reached the threshold, so no source is shown and no sentence can be marked as supported.")
        )
    supported, total = sum(each["supported"] for each in result["sentences"]), len(result["sentences"])
    if supported == total:
        return Sentence(
            tr(
                "All {total} sentences are marked as supported. Read the quoted source sentences: do they say the same?",
                total=total,
            )
        )
    return Sentence(
        tr(
            "Supported by a source: {supported} of {total} sentences. What remains rests on the model alone.",
            supported=supported,
            total=total,
        )
    )


def mark_examples(title: str, content: str, examples: Sequence[str]) -> Sentence:
    """Return sentences with the mark that each gets from one row, as a table."""
    marks = {True: tr("✓ in the source"), False: tr("? not in the source")}
    rows = [[marks[bool(supports(title, content, text))], text] for text in examples]
    return Sentence("\n".join(Table([tr("mark"), tr("sentence")], rows).markdown()))


def about_threshold(manifest: Mapping) -> Sentence:
    """Say how often the threshold of the index errs in each direction. manifest: of the stage `index`."""
    errors = manifest.get("errors") or {}
    if not errors:
        return Sentence(tr("The errors of this index were not counted: it has too few validation rows."))
    figures = {"titles": errors["counted_on"], "missed": errors["missed"], "wrong": errors["wrongly_cited"]}
    if errors["missed"] > errors["wrongly_cited"]:
        return Sentence(
            tr(
                "On {titles} titles that the threshold was not set on, {missed:.0%} of the right rows are missed and "
                "{wrong:.0%} of the titles get a wrong row: it misses more than it cites wrongly.",
                **figures,
            )
        )
    return Sentence(
        tr(
            "On {titles} titles that the threshold was not set on, {missed:.0%} of the right rows are missed and {wrong:.0%} of "
            "the titles get a wrong row: it cites wrongly at least as often as it misses.",
            **figures,
        )
    )


def about_support(block: Mapping | None) -> Sentence:
    """Say how often the marks are right, from results/support.json."""
    if block is None:
        return Sentence(tr("How often the marks are right is recorded in the repository, which is not here."))
    best, worst = (pick(block["rows"], key=lambda row: row["marked_rightly"]["mean"]) for pick in (max, min))
    shares = [row["marked_rightly"] for row in (best, worst)]
    figures = [f"{share['mean']:.0%} [{share['ci95'][0]:.0%}, {share['ci95'][1]:.0%}]" for share in shares]
    return Sentence(
        tr(
            'Measured on constructed sentences, the marks are most often right for "{best}" ({most}) and least often for '
            '"{worst}" ({least}).',
            best=tr(best["sentence"]),
            most=figures[0],
            worst=tr(worst["sentence"]),
            least=figures[1],
        )
    )
