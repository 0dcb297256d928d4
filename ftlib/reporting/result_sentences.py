"""Generate the sentences of notebooks 04 to 06 that read a result, so that no re-recording can contradict its text.

Each function takes what a cell has computed and returns the sentence that fits, in either direction. `Sentence` is a
string that a notebook shows as a paragraph, which wraps on a phone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt

from ftlib.evaluation.analysis import verdicts
from ftlib.evaluation.bootstrap import wilson
from ftlib.evaluation.metric_table import BETTER, BETTER_TEXT, METRICS
from ftlib.reporting.sentences import NEARLY_ALL
from ftlib.reporting.tables import LABELS, SHOWN, Table, number, precise_interval
from ftlib.retrieval.attribution import supports
from ftlib.runtime.files import read_json, repository

NAMES = {"rougeL": "ROUGE-L", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "chrf": "chrF", "nll": "NLL"}
LEVEL = 0.005  # nats: below it two ways of merging are called level
REFUSAL = re.compile(
    r"\b(do not know|don't know|not sure|no information|unknown product|does not exist)\b", re.IGNORECASE
)


class Sentence(str):
    """A string that a notebook shows as text and a console prints."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


def recorded(name: str) -> dict | None:
    """Return a file of results/, None where it was not recorded or the repository is not there."""
    path = repository() / "results" / name
    return read_json(path) if path.exists() else None


def _joined(parts: Sequence[str]) -> Sentence:
    """Join parts of a sentence with semicolons, with a capital and a period."""
    text = "; ".join(parts)
    return Sentence(f"{text[0].upper()}{text[1:]}.")


def about_model(cfg) -> Sentence:
    """Say what can be expected of the profile's model: noise from random weights, or text."""
    if cfg.model.name.startswith("tiny:"):
        return Sentence(
            "This profile's model has random weights: its text is noise, and only the mechanics can be checked here."
        )
    return Sentence("This profile's model has real weights: its text can be read and judged.")


# Merging


def merge_ways(ways: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the ways with today's names and their NLL minus that of the adapter as trained."""
    named = {name.replace("dequantised", "dequantized"): dict(values) for name, values in ways.items()}
    trained = next(iter(named.values()))["nll"]
    return {name: values | {"change": values["nll"] - trained} for name, values in named.items()}


def signed(value: float) -> str:
    """Format a small difference with its sign and four decimals, without a negative zero."""
    return f"{round(value, 4) + 0.0:+.4f}"


def about_merge(ways: Mapping[str, Mapping[str, float]]) -> Sentence:
    """Say which of three ways to merge keeps the trained model, and what the others cost."""
    _, *merges = merge_ways(ways).items()
    largest = max(abs(values["change"]) for _, values in merges)
    if largest < LEVEL:
        return Sentence(
            f"On this model the three ways are level: the NLL moves by {largest:.4f} nats at most. The logits still differ."
        )
    parts = []
    for name, values in sorted(merges, key=lambda item: abs(item[1]["change"])):
        how = (
            "costs"
            if values["change"] > LEVEL
            else "gains"
            if values["change"] < -LEVEL
            else "changes nothing that shows"
        )
        parts.append(f"{name} {how} ({signed(values['change'])} nats)")
    return _joined(parts)


def about_dtype(ways: Mapping[str, Mapping[str, float]], proof: Mapping) -> Sentence:
    """Tell the effect of the compute dtype from that of the merge."""
    merge = merge_ways(ways).get("merged onto the dequantized base", {}).get("largest")
    computed = proof.get("adapter_on_nf4", {}).get("largest")
    if merge is None or computed is None:
        return Sentence("The base of this run is not quantized, so there is no NF4 computation to compare with.")
    if computed > 10 * merge:
        return Sentence(
            f"With the training's compute dtype the logits differ by up to {computed:.2g}; in float32 the same adapter on "
            f"the same NF4 base differs by {merge:.2g}. The dtype makes the difference, not the merge."
        )
    return Sentence(
        f"With the training's compute dtype the logits differ by up to {computed:.2g}, in float32 by {merge:.2g}: on this "
        "device the compute dtype adds nothing that matters."
    )


def about_proof(proof: Mapping) -> Sentence:
    """Read the proof of a merge aloud."""
    same = proof["merged_vs_adapter_float32"]
    close = same["largest"] <= proof["tolerance"] and same["greedy_equal"] == proof["prompts"]
    first = (
        f"The largest logit difference is {same['largest']:.1e}, allowed are {proof['tolerance']:.0e}; "
        f"{same['greedy_equal']} of {proof['prompts']} prompts have the same greedy completion."
    )
    saved = (
        "The file holds exactly the cast weights"
        if proof["saved_weights_are_the_cast_weights"]
        else ("The file does not hold the cast weights")
    )
    verdict = (
        "the merge is accepted" if close and proof["saved_weights_are_the_cast_weights"] else "the merge is refused"
    )
    return Sentence(f"{first} {saved}: {verdict}.")


def about_export(proof: Mapping) -> Sentence:
    """Read the proof of GGUF files aloud."""
    parts = []
    for kind, found in proof.items():
        if isinstance(found, Mapping):
            ids = "the same prompt ids" if found["same_ids"] else "other prompt ids"
            alike = f"{found['same_words']} of {proof['prompts']} completions alike"
            parts.append(f"{kind}: {found['bytes'] / 2**20:,.1f} MiB, {ids}, {alike}")
    return Sentence(f"Read back by transformers, {'; '.join(parts)}.")


# Metrics


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
    return _joined(parts) if parts else Sentence("By none of the metrics with a reference column is a change shown.")


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


# Intervals


def width(summary: Mapping) -> float:
    """Return the width of a 95 % interval."""
    low, high = summary["ci95"]
    return high - low


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


# Asking


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
    return _joined(parts)


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


def about_sizes(adapter_mib: float, merged_mib: float) -> Sentence:
    """Compare the room of an adapter with that of a merged model."""
    times = merged_mib / max(adapter_mib, 1e-9)
    if times < 2:
        return Sentence(
            f"Adapter {adapter_mib:,.1f} MiB, merged model {merged_mib:,.1f} MiB: on this tiny base it makes no difference."
        )
    return Sentence(
        f"Adapter {adapter_mib:,.1f} MiB, merged model {merged_mib:,.1f} MiB: one merged model takes the room of "
        f"{times:,.0f} adapters."
    )
