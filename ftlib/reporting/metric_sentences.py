"""Generate the sentences of notebook 05 on metrics: who is ahead, what a metric cannot see, what was memorized."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt

from ftlib.evaluation.analysis import verdicts
from ftlib.evaluation.metric_table import BETTER, BETTER_TEXT, METRICS, describe
from ftlib.reporting.sentence_parts import Sentence, joined, width
from ftlib.reporting.sentences import NEARLY_ALL
from ftlib.reporting.tables import SHOWN, Table, label, number, precise_interval
from ftlib.runtime.language import to_translate, tr

NAMES = {"rougeL": "ROUGE-L", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "chrf": "chrF", "nll": "NLL"}
COPIED = {  # {models that a copied title is as good as: sentence}
    (): to_translate("Copying the title scores {name} {copied}, less than both models."),
    ("base",): to_translate(
        "Copying the title scores {name} {copied}: no less than the base model. One line of code does that."
    ),
    ("tuned",): to_translate(
        "Copying the title scores {name} {copied}: no less than the fine-tuned model. One line of code does that."
    ),
    ("base", "tuned"): to_translate(
        "Copying the title scores {name} {copied}: no less than the base model and the fine-tuned model. One line of code "
        "does that."
    ),
}


def about_lookup(block: Mapping, metric: str = "rougeL", system: str = "tuned") -> Sentence:
    """Say who is ahead by a metric: a lookup of the nearest title, or the fine-tuned model."""
    name, change = NAMES.get(metric, metric), block["differences"].get(f"{system}-nearest", {}).get(metric)
    ours, theirs = (block["systems"][each][metric]["mean"] for each in (system, "nearest"))
    values = {"name": name, "model": label(system), "ours": number(ours), "theirs": number(theirs)}
    if change is None:  # no paired difference was recorded
        if ours > theirs:
            return Sentence(tr("By {name} the {model} model ({ours}) is ahead of the lookup ({theirs}).", **values))
        return Sentence(tr("By {name} the {model} model ({ours}) is behind the lookup ({theirs}).", **values))
    low, high = change["ci95"]
    values["difference"] = f"{change['mean']:+.3f} [{low:+.3f}, {high:+.3f}]"
    if high < 0:
        return Sentence(
            tr(
                "By {name} the lookup beats the {model} model: {ours} against {theirs}, difference {difference}. It writes "
                "nothing; it quotes.",
                **values,
            )
        )
    if low > 0:
        return Sentence(
            tr(
                "By {name} the {model} model beats the lookup: {ours} against {theirs}, difference {difference}.",
                **values,
            )
        )
    return Sentence(
        tr(
            "By {name} no difference between the {model} model and the lookup is shown: {ours} against {theirs}, difference "
            "{difference}.",
            **values,
        )
    )


def about_copy(block: Mapping, metric: str = "rougeL") -> Sentence:
    """Say whether a program that repeats the title is as good as the models by a metric."""
    name, copied = NAMES.get(metric, metric), block["systems"]["copy_title"][metric]["mean"]
    beaten = tuple(s for s in ("base", "tuned") if block["systems"][s][metric]["mean"] <= copied)
    return Sentence(tr(COPIED[beaten], name=name, copied=number(copied)))


def about_reference(block: Mapping) -> Sentence:
    """Say of the metrics without a better direction which system is nearer to the reference texts."""
    found = verdicts({"block": block}, "block")
    hidden = set() if "copied_passage" in block["systems"]["tuned"] else {"numbers_not_in_context"}
    judged = [name for name in SHOWN if BETTER[name] == "reference" and name not in hidden]
    nearer, farther = ([name for name in judged if name in found[verdict]] for verdict in ("better", "worse"))
    parts = []
    if nearer:
        parts.append(tr("nearer to the references after fine-tuning: {metrics}", metrics=_code(nearer)))
    if farther:
        parts.append(tr("farther from them: {metrics}", metrics=_code(farther)))
    return joined(parts) if parts else Sentence(tr("By none of the metrics with a reference column is a change shown."))


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def about_stops(block: Mapping) -> Sentence:
    """Say how `stops` is to be read: forced, limited by the longest completion, or free."""
    tuned, base = (block["systems"][system].get("stops", {}) for system in ("tuned", "base"))
    if tuned.get("forced"):
        return Sentence(tr("A length penalty ends every completion, so `stops` says nothing about the model here."))
    ceiling = block.get("reference", {}).get("stops", {}).get("mean", 1.0)
    change = tr("`stops`: base {base:.2f}, fine-tuned {tuned:.2f}.", base=base["mean"], tuned=tuned["mean"])
    if ceiling < NEARLY_ALL:
        limit = tr(
            "Only {ceiling:.0%} of the reference texts fit into `max_new_tokens`, so this is the ceiling: a model that writes "
            "as long as the references cannot stop more often.",
            ceiling=ceiling,
        )
    else:
        limit = tr(
            "{ceiling:.0%} of the reference texts fit into `max_new_tokens`, so nothing limits this metric.",
            ceiling=ceiling,
        )
    return Sentence(f"{change} {limit}")


def about_memory(metrics: Mapping) -> Sentence:
    """Compare the gain in NLL on trained rows with that on unseen rows."""
    if "seen" not in metrics:
        return Sentence(tr("No trained row was evaluated, so memory cannot be judged."))
    gains = [metrics[split]["differences"]["tuned-base"]["nll"] for split in ("seen", "unseen")]
    extra, half = gains[0]["mean"] - gains[1]["mean"], sqrt(sum((width(gain) / 2) ** 2 for gain in gains))
    figures = tr(
        "Training changed the NLL by {seen:+.3f} nats on trained rows, {unseen:+.3f} on unseen rows.",
        seen=gains[0]["mean"],
        unseen=gains[1]["mean"],
    )
    if extra + half < 0:
        reading = tr("The model gained more on what it saw: it memorized some of it.")
    elif extra - half > 0:
        reading = tr("It gained less on what it saw, which memory cannot explain.")
    else:
        reading = tr("The intervals allow no difference: no memory is shown.")
    return Sentence(f"{figures} {reading}")


def about_comparisons(block: Mapping, pair: str = "tuned-base") -> Sentence:
    """Say how many of the compared metrics would differ by chance alone."""
    found = verdicts({"block": block}, "block", pair)
    total = sum(map(len, found.values()))
    shown = total - len(found["no difference shown"])
    chance = 0.05 * total
    first = tr(
        "This evaluation makes {total} comparisons and shows {shown} differences. If nothing differed, a 95 % interval would "
        "still exclude 0 about {chance:.1f} times.",
        total=total,
        shown=shown,
        chance=chance,
    )
    if shown > 3 * chance:
        more = tr("Far more are shown than chance explains; a single one is never proof.")
    else:
        more = tr("Chance alone could explain some of these; a single one is never proof.")
    return Sentence(f"{first} {more}")


def metric_definitions(block: Mapping) -> Sentence:
    """Return the table of the metrics of a split: name, better direction, meaning; each is defined here and nowhere else."""
    measured = {name for values in block["systems"].values() for name in values}
    if "copied_passage" not in measured:
        measured.discard("numbers_not_in_context")  # without passages the same as unsupported_numbers
    rows = [
        [f"`{column.name}`", tr(BETTER_TEXT[column.better]) or tr("no direction"), describe(column)]
        for column in METRICS
        if column.name in measured and column.name in SHOWN
    ]
    return Sentence("\n".join(Table([tr("metric"), tr("better"), tr("what it measures")], rows).markdown()))


def about_copying(metrics: Mapping) -> Sentence:
    """Compare the longest run of words that stands in a training description, on trained and on unseen rows."""
    if "seen" not in metrics:
        return Sentence(tr("No trained row was evaluated, so copying cannot be compared."))
    seen, unseen = (metrics[split]["systems"]["tuned"]["copied_run"] for split in ("seen", "unseen"))
    own = metrics["unseen"]["reference"].get("copied_run", {}).get("mean")
    figures = tr(
        "{seen} words on trained rows, {unseen} on unseen rows",
        seen=number(seen["mean"]),
        unseen=number(unseen["mean"]),
    )
    if own is not None:
        figures += tr(" (an unseen reference text itself: {own})", own=number(own))
    if seen["ci95"][0] > unseen["ci95"][1]:
        return Sentence(
            tr(
                "The fine-tuned model repeats runs of {figures}: it recites more of what it was trained on.",
                figures=figures,
            )
        )
    return Sentence(
        tr(
            "The fine-tuned model repeats runs of {figures}: the intervals overlap, so no reciting is shown.",
            figures=figures,
        )
    )


def about_numbers(block: Mapping) -> Sentence:
    """Compare the numbers that the title does not give: base, fine-tuned, and the reference texts."""
    base, tuned = (block["systems"][system]["unsupported_numbers"]["mean"] for system in ("base", "tuned"))
    own = block["reference"].get("unsupported_numbers", {}).get("mean")
    figures = {"tuned": number(tuned), "base": number(base)}
    if tuned < base:
        first = tr(
            "The fine-tuned model writes fewer numbers that the title does not give ({tuned} a row, base {base}).",
            **figures,
        )
    elif tuned > base:
        first = tr(
            "The fine-tuned model writes more numbers that the title does not give ({tuned} a row, base {base}).",
            **figures,
        )
    else:
        first = tr(
            "The fine-tuned model writes as many numbers that the title does not give ({tuned} a row, base {base}).",
            **figures,
        )
    if own is None:
        return Sentence(first)
    if own < 0.005:
        second = tr("The reference texts have none here, so each of them is wrong.")
    else:
        second = tr(
            "The reference texts have {own}: real descriptions know more than the title. The model does not.",
            own=number(own),
        )
    return Sentence(f"{first} {second}")


def about_retention(metrics: Mapping) -> Sentence:
    """Say what fine-tuning cost in general language."""
    if "retention" not in metrics:
        return Sentence(tr("General text was not scored in this run."))
    change = metrics["retention"]["differences"]["tuned-base"]["nll_per_byte"]
    low, high = change["ci95"]
    figures = precise_interval(change)
    if low > 0:
        return Sentence(
            tr(
                "On general text the NLL per byte rose: some general language was forgotten ({figures}).",
                figures=figures,
            )
        )
    if high < 0:
        return Sentence(
            tr("On general text the NLL per byte fell: nothing was forgotten ({figures}).", figures=figures)
        )
    return Sentence(tr("On general text the NLL per byte did not change beyond chance ({figures}).", figures=figures))
