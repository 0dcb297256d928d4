"""Generate the sentences of notebook 05 on metrics: who is ahead, what a metric cannot see, what was memorized."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from ftlib.evaluation.analysis import verdicts
from ftlib.evaluation.metric_table import BETTER, BETTER_TEXT, METRICS
from ftlib.reporting.sentence_parts import Sentence, joined, width
from ftlib.reporting.sentences import NEARLY_ALL
from ftlib.reporting.tables import LABELS, SHOWN, Table, number, precise_interval

NAMES = {"rougeL": "ROUGE-L", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "chrf": "chrF", "nll": "NLL"}


def about_lookup(block: Mapping, metric: str = "rougeL", system: str = "tuned") -> Sentence:
    """Say who is ahead by a metric: a lookup of the nearest title, or the fine-tuned model."""
    name, change = NAMES.get(metric, metric), block["differences"].get(f"{system}-nearest", {}).get(metric)
    ours, theirs = (block["systems"][each][metric]["mean"] for each in (system, "nearest"))
    if change is None:  # no paired difference was recorded
        shown = "ahead" if ours > theirs else "behind"
        return Sentence(
            f"By {name} the {LABELS[system]} model ({number(ours)}) is {shown} of the lookup ({number(theirs)})."
        )
    low, high = change["ci95"]
    means = f"{number(ours)} against {number(theirs)}, difference {change['mean']:+.3f} [{low:+.3f}, {high:+.3f}]"
    if high < 0:
        return Sentence(
            f"By {name} the lookup beats the {LABELS[system]} model: {means}. It writes nothing; it quotes."
        )
    if low > 0:
        return Sentence(f"By {name} the {LABELS[system]} model beats the lookup: {means}.")
    return Sentence(f"By {name} no difference between the {LABELS[system]} model and the lookup is shown: {means}.")


def about_copy(block: Mapping, metric: str = "rougeL") -> Sentence:
    """Say whether a program that repeats the title is as good as the models by a metric."""
    name, copied = NAMES.get(metric, metric), block["systems"]["copy_title"][metric]["mean"]
    beaten = [s for s in ("base", "tuned") if block["systems"][s][metric]["mean"] <= copied]
    if not beaten:
        return Sentence(f"Copying the title scores {name} {number(copied)}, less than both models.")
    names = " and the ".join(f"{LABELS[system]} model" for system in beaten)
    return Sentence(
        f"Copying the title scores {name} {number(copied)}: no less than the {names}. One line of code does that."
    )


def about_reference(block: Mapping) -> Sentence:
    """Say of the metrics without a better direction which system is nearer to the reference texts."""
    found = verdicts({"block": block}, "block")
    hidden = set() if "copied_passage" in block["systems"]["tuned"] else {"numbers_not_in_context"}
    judged = [name for name in SHOWN if BETTER[name] == "reference" and name not in hidden]
    nearer, farther = ([name for name in judged if name in found[verdict]] for verdict in ("better", "worse"))
    parts = [
        f"{side}: {', '.join(f'`{name}`' for name in names)}"
        for side, names in (("nearer to the references after fine-tuning", nearer), ("farther from them", farther))
        if names
    ]
    return joined(parts) if parts else Sentence("By none of the metrics with a reference column is a change shown.")


def about_stops(block: Mapping) -> Sentence:
    """Say how `stops` is to be read: forced, limited by the longest completion, or free."""
    tuned, base = (block["systems"][system].get("stops", {}) for system in ("tuned", "base"))
    if tuned.get("forced"):
        return Sentence("A length penalty ends every completion, so `stops` says nothing about the model here.")
    ceiling = block.get("reference", {}).get("stops", {}).get("mean", 1.0)
    change = f"`stops`: base {base['mean']:.2f}, fine-tuned {tuned['mean']:.2f}"
    if ceiling < NEARLY_ALL:
        return Sentence(
            f"{change}. Only {ceiling:.0%} of the reference texts fit into `max_new_tokens`, so this is the ceiling: a model "
            "that writes as long as the references cannot stop more often."
        )
    return Sentence(
        f"{change}. {ceiling:.0%} of the reference texts fit into `max_new_tokens`, so nothing limits this metric."
    )


def about_memory(metrics: Mapping) -> Sentence:
    """Compare the gain in NLL on trained rows with that on unseen rows."""
    if "seen" not in metrics:
        return Sentence("No trained row was evaluated, so memory cannot be judged.")
    gains = [metrics[split]["differences"]["tuned-base"]["nll"] for split in ("seen", "unseen")]
    extra, half = gains[0]["mean"] - gains[1]["mean"], sqrt(sum((width(gain) / 2) ** 2 for gain in gains))
    figures = f"{gains[0]['mean']:+.3f} nats on trained rows, {gains[1]['mean']:+.3f} on unseen rows"
    if extra + half < 0:
        return Sentence(
            f"Training changed the NLL by {figures}. The model gained more on what it saw: it memorized some of it."
        )
    if extra - half > 0:
        return Sentence(
            f"Training changed the NLL by {figures}. It gained less on what it saw, which memory cannot explain."
        )
    return Sentence(f"Training changed the NLL by {figures}. The intervals allow no difference: no memory is shown.")


def about_comparisons(block: Mapping, pair: str = "tuned-base") -> Sentence:
    """Say how many of the compared metrics would differ by chance alone."""
    found = verdicts({"block": block}, "block", pair)
    total = sum(map(len, found.values()))
    shown = total - len(found["no difference shown"])
    chance = 0.05 * total
    more = (
        "Far more are shown than chance explains" if shown > 3 * chance else "Chance alone could explain some of these"
    )
    return Sentence(
        f"This evaluation makes {total} comparisons and shows {shown} differences. If nothing differed, a 95 % interval "
        f"would still "
        f"exclude 0 about {chance:.1f} times. {more}; a single one is never proof."
    )


def metric_definitions(block: Mapping) -> Sentence:
    """Return the table of the metrics of a split: name, better direction, meaning; each is defined here and nowhere else."""
    measured = {name for values in block["systems"].values() for name in values}
    if "copied_passage" not in measured:
        measured.discard("numbers_not_in_context")  # without passages the same as unsupported_numbers
    rows = [
        [f"`{column.name}`", BETTER_TEXT[column.better] or "no direction", column.description]
        for column in METRICS
        if column.name in measured and column.name in SHOWN
    ]
    return Sentence("\n".join(Table(["metric", "better", "what it measures"], rows).markdown()))


def about_copying(metrics: Mapping) -> Sentence:
    """Compare the longest run of words that stands in a training description, on trained and on unseen rows."""
    if "seen" not in metrics:
        return Sentence("No trained row was evaluated, so copying cannot be compared.")
    seen, unseen = (metrics[split]["systems"]["tuned"]["copied_run"] for split in ("seen", "unseen"))
    own = metrics["unseen"]["reference"].get("copied_run", {}).get("mean")
    figures = f"{number(seen['mean'])} words on trained rows, {number(unseen['mean'])} on unseen rows"
    extra = " (an unseen reference text itself: " + number(own) + ")" if own is not None else ""
    if seen["ci95"][0] > unseen["ci95"][1]:
        return Sentence(
            f"The fine-tuned model repeats runs of {figures}{extra}: it recites more of what it was trained on."
        )
    return Sentence(
        f"The fine-tuned model repeats runs of {figures}{extra}: the intervals overlap, so no reciting is shown."
    )


def about_numbers(block: Mapping) -> Sentence:
    """Compare the numbers that the title does not give: base, fine-tuned, and the reference texts."""
    base, tuned = (block["systems"][system]["unsupported_numbers"]["mean"] for system in ("base", "tuned"))
    own = block["reference"].get("unsupported_numbers", {}).get("mean")
    change = "fewer" if tuned < base else "more" if tuned > base else "as many"
    figures = f"{number(tuned)} a row, base {number(base)}"
    first = f"The fine-tuned model writes {change} numbers that the title does not give ({figures})."
    if own is None:
        return Sentence(first)
    if own < 0.005:
        return Sentence(f"{first} The reference texts have none here, so each of them is wrong.")
    return Sentence(
        f"{first} The reference texts have {number(own)}: real descriptions know more than the title. The model does not."
    )


def about_retention(metrics: Mapping) -> Sentence:
    """Say what fine-tuning cost in general language."""
    if "retention" not in metrics:
        return Sentence("General text was not scored in this run.")
    change = metrics["retention"]["differences"]["tuned-base"]["nll_per_byte"]
    low, high = change["ci95"]
    moved = (
        "rose: some general language was forgotten"
        if low > 0
        else "fell: nothing was forgotten"
        if high < 0
        else "did not change beyond chance"
    )
    return Sentence(f"On general text the NLL per byte {moved} ({precise_interval(change)}).")
