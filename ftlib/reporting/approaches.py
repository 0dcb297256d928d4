"""When to fine-tune at all: prompting, looking up, fine-tuning and both, compared by the recorded results.

`recorded()` reads results/headline.json and, where they exist, headline_group.json (a catalog with near-duplicates) and
confirmation.json (rows that no choice was made on). The table and every sentence are computed from these files, so another
recording gives other sentences. Notebook 01 opens with them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ftlib.evaluation.analysis import verdicts
from ftlib.reporting.tables import DASH, Table, center, number
from ftlib.runtime.files import read_json, repository
from ftlib.runtime.language import to_translate, tr

APPROACHES = {  # {system: what one does}
    "base": to_translate("prompt the base model"),
    "base_one_shot": to_translate("prompt it with one example"),
    "base_open": to_translate("prompt it with similar rows"),
    "copy_title": to_translate("repeat the title"),
    "nearest": to_translate("look up the nearest title"),
    "tuned": to_translate("fine-tune"),
    "tuned_open": to_translate("fine-tune and look up"),
}
RELATIONS = {
    "better": to_translate("{first} is ahead of {second} ({amount})."),
    "worse": to_translate("{first} is behind {second} ({amount})."),
}
LEVEL = to_translate("{first} and {second} are level ({amount}).")
STUDIES = ("headline", "headline_group", "confirmation")
METRIC = "rougeL"
COMPARED = (("tuned", "base"), ("tuned", "nearest"), ("tuned_open", "nearest"), ("tuned_open", "tuned"))
CANDIDATES = ("nearest", "tuned", "tuned_open")


def recorded() -> dict[str, dict]:
    """Return {study: its metrics} for the files of results/ that exist; {} where a notebook runs without the repository."""
    paths = {study: repository() / "results" / f"{study}.json" for study in STUDIES}
    return {study: read_json(path) for study, path in paths.items() if path.exists()}


def situations(studies: Mapping[str, dict]) -> dict[str, dict]:
    """Return {situation: block of metrics}. What the headline measures depends on how its rows were split.

    Of split `near` the rows without a similar training row count as new products, where they were measured apart.
    """
    named = {}
    for study, metrics in studies.items():
        split = (
            metrics.get("settings", {}).get("set", {}).get("data.split", "group")
        )  # recorded before `near` was there
        is_near = split == "near"
        where = tr("new products") if is_near else tr("a catalog with near-duplicates")
        if study == "confirmation":
            where = tr("{situation}, confirmation rows", situation=where)
        named.setdefault(where, metrics.get("unseen_new", metrics["unseen"]) if is_near else metrics["unseen"])
        if study == "headline_group" and "unseen_near" in metrics:
            named[tr("only rows with a near-duplicate")] = metrics["unseen_near"]
    return named


def approaches_table(studies: Mapping[str, dict]) -> Table:
    """Build the table of ROUGE-L: a row for each approach that was measured, a column for each situation."""
    blocks = situations(studies)
    measured = [system for system in APPROACHES if any(system in block["systems"] for block in blocks.values())]
    rows = [
        [tr(APPROACHES[system]), *(_value(block["systems"].get(system, {})) for block in blocks.values())]
        for system in measured
    ]
    return Table([tr("approach (ROUGE-L)"), *(f"{name} (n = {block['n']:,})" for name, block in blocks.items())], rows)


def approaches_sentences(studies: Mapping[str, dict]) -> list[str]:
    """Generate the sentences that compare the approaches, each situation for itself, and what follows from them."""
    if not studies:
        return [tr("No results are recorded here: clone the repository to see them.")]
    sentences = []
    for situation, block in situations(studies).items():
        found = [compared(block, *pair) for pair in COMPARED]
        sentences += [f"{situation.capitalize()}: {sentence}" for sentence in found if sentence]
        sentences.append(tr("**What follows for {situation}:** {advice}", situation=situation, advice=advice(block)))
    return sentences


def difference(block: dict, system: str, other: str) -> tuple[dict, str] | None:
    """Return (paired difference in ROUGE-L, 'better', 'worse' or 'no difference shown') of two systems, None if not measured."""
    for pair, sign in ((f"{system}-{other}", 1), (f"{other}-{system}", -1)):
        change = block["differences"].get(pair, {}).get(METRIC)
        if change is None:
            continue
        names = verdicts({"block": block}, "block", pair)
        verdict = next((verdict for verdict, metrics in names.items() if METRIC in metrics), "no difference shown")
        if sign < 0:
            low, high = change["ci95"]
            change = {"mean": -change["mean"], "ci95": [-high, -low]}
            verdict = {"better": "worse", "worse": "better"}.get(verdict, verdict)
        return change, verdict
    return None


def compared(block: dict, system: str, other: str) -> str | None:
    """Generate the sentence that compares two approaches, None if they were not compared."""
    found = difference(block, system, other)
    if found is None:
        return None
    change, verdict = found
    low, high = (number(value) for value in change["ci95"])
    amount = f"ROUGE-L {change['mean']:+.3f} [{low}, {high}]"
    first, second = (f'"{tr(APPROACHES[name])}"' for name in (system, other))
    return tr(RELATIONS.get(verdict, LEVEL), first=first, second=second, amount=amount)


def advice(block: dict) -> str:
    """Return what the differences advise: the approaches that no other one is shown to be ahead of, cheapest first."""
    measured = [system for system in CANDIDATES if system in block["systems"]]

    def beaten(system: str) -> bool:
        pairs = (difference(block, other, system) for other in measured if other != system)
        return any(pair is not None and pair[1] == "better" for pair in pairs)

    best = [tr(APPROACHES[system]) for system in measured if not beaten(system)]
    if len(best) == 1:
        return f"{best[0]}."
    return tr(
        "{cheapest}, the cheapest of {number} that are level ({all}).",
        cheapest=best[0],
        number=len(best),
        all=", ".join(best),
    )


def _value(metrics: dict) -> str:
    return center(metrics[METRIC]) if METRIC in metrics else DASH
