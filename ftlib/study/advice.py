"""When to look up, when to fine-tune, when to do both: what the headline's studies show, as tables and sentences.

Split `near` shows what is known of new products, split `group` what happens in a catalog with variants, and the confirmation
whether a claim holds on rows that no choice was made on. Every sentence is computed from the files that `headline` writes, so
another result gives another sentence.
"""

from __future__ import annotations

from collections.abc import Mapping

from ftlib.evaluation.analysis import verdicts
from ftlib.reporting.tables import DASH, LABELS, Table, cells, interval, label, number
from ftlib.runtime.language import to_translate, tr, using

SYSTEMS = ("copy_title", "nearest", "base", "base_open", "tuned", "tuned_open")
METRIC = "rougeL"
CLAIMED = ("nll", "rouge1", "rougeL", "chrf")
CLAIMS = (("tuned_open", "nearest"), ("tuned_open", "copy_title"), ("tuned_open", "tuned"), ("tuned_open", "base_open"))
VERDICTS = {  # {what `shown` returns: the word for a reader}
    "better": to_translate("better"),
    "worse": to_translate("worse"),
    None: to_translate("no difference shown"),
}
# {situation: (study, block of its metrics)}; the first block that a study has counts
SITUATIONS = {
    to_translate("new products"): ("headline", ("unseen_new", "unseen")),
    to_translate("similar products in the catalog"): ("headline_group", ("unseen_similar",)),
    to_translate("near-duplicates in the catalog"): ("headline_group", ("unseen_near",)),
    to_translate("a catalog as it is, all rows"): ("headline_group", ("unseen",)),
    to_translate("rows that no choice was made on"): ("confirmation", ("unseen",)),
}


@using("en")
def render(studies: Mapping[str, dict]) -> list[str]:
    """Render tables and sentences, in English; no lines before the headline has been run with passages.

    studies: {study: its metrics, see `headline.metrics_of`}; `headline_group` and `confirmation` may be missing.
    """
    if "tuned_open" not in studies.get("headline", {}).get("unseen", {}).get("systems", {}):
        return []
    return [*when_to_use(studies), *known(studies["headline"]), *flattered(studies), *confirmed(studies)]


def blocks(studies: Mapping[str, dict]) -> dict[str, dict]:
    """Return {situation: block of metrics} for the situations that were measured."""
    found = {}
    for situation, (study, names) in SITUATIONS.items():
        name = next((name for name in names if name in studies.get(study, {})), None)
        if name:
            found[situation] = studies[study][name]
    return found


def when_to_use(studies: Mapping[str, dict]) -> list[str]:
    """Render ROUGE-L of each system by situation, and for each situation what to do."""
    measured = blocks(studies)
    rows = []
    for situation, block in measured.items():
        values = [cells(block["systems"].get(system, {}), [METRIC])[0] for system in SYSTEMS]
        rows.append([tr(situation), f"{block['n']:,}", *values])
    header = ["ROUGE-L", tr("rows"), *(label(system) for system in SYSTEMS)]
    sentences = [f"- **{tr(situation)}**: {advice(block)}" for situation, block in measured.items()]
    title = tr("When to look up, when to fine-tune, when to do both:")
    return [title, "", *Table(header, rows).markdown(), *sentences, ""]


def advice(block: dict) -> str:
    """Return what the paired differences of a block say: look it up, fine-tune, fine-tune with retrieval, or either."""
    against_lookup, against_plain = (shown(block, "tuned_open", other) for other in ("nearest", "tuned"))
    lookup, plain = (amount(block, "tuned_open", other) for other in ("nearest", "tuned"))
    if against_lookup == "worse":
        share = _mean(block, "tuned_open") / _mean(block, "nearest")
        first = tr(
            "look it up; fine-tuned with retrieval reaches {share:.0%} of the lookup's ROUGE-L ({lookup})",
            share=share,
            lookup=lookup,
        )
    elif against_lookup == "better":
        first = tr("fine-tune with retrieval: ahead of the lookup ({lookup})", lookup=lookup)
    else:
        first = tr("look it up, or fine-tune with retrieval: no difference shown ({lookup})", lookup=lookup)
    if against_plain == "better":
        second = tr("passages help the fine-tuned model ({plain})", plain=plain)
    elif against_plain == "worse":
        second = tr("without passages the fine-tuned model is better ({plain})", plain=plain)
    else:
        second = tr("passages change nothing that shows ({plain})", plain=plain)
    clauses = [first, second]
    if shown(block, "tuned_open", "copy_title") != "better":
        copied = amount(block, "tuned_open", "copy_title")
        clauses.append(tr("it is not ahead of a copied title ({copied})", copied=copied))
    return f"{'; '.join(clauses)}."


def known(headline: Mapping[str, dict]) -> list[str]:
    """Render what the model knows about a new product: what fine-tuning and passages change, what a title alone does."""
    block = headline.get("unseen_new", headline["unseen"])
    if not {"tuned-base", "tuned_open-tuned"} <= block["differences"].keys():
        return []
    likelihood = block["differences"]["tuned-base"].get("nll")
    lower = likelihood is not None and likelihood["ci95"][1] < 0
    words, passages = (shown(block, *pair) for pair in (("tuned", "base"), ("tuned_open", "tuned")))
    verdict = {
        (True, "better"): "it has learned how such texts sound, and some of their words",
        (True, None): "it has learned how such texts sound, and nothing that shows about the product itself",
        (False, "better"): "it says more of the right words, and finds the true text no more likely",
    }.get((lower, words), "fine-tuning shows no gain there")
    parts = [
        f"NLL {interval(likelihood)}" if likelihood else "",
        f"ROUGE-L {amount(block, 'tuned', 'base')}",
    ]
    return [
        f"What a model of this size knows about a new product ({block['n']:,} rows): fine-tuning changes "
        f"{', '.join(part for part in parts if part)} against the base, so {verdict}. Passages about other products "
        f"{'add' if passages == 'better' else 'change'} ROUGE-L {amount(block, 'tuned_open', 'tuned')}; the title alone, "
        f"copied, has {number(_mean(block, 'copy_title'))}.",
        "",
    ]


def flattered(studies: Mapping[str, dict]) -> list[str]:
    """Render by how much near-duplicates raise each system's ROUGE-L: all rows of split `group` against its new ones."""
    group = studies.get("headline_group", {})
    if not {"unseen", "unseen_new"} <= group.keys():
        return []
    rows = []
    for system in SYSTEMS:
        values = [group[block]["systems"].get(system, {}).get(METRIC) for block in ("unseen", "unseen_new")]
        if None not in values:
            gain = values[0]["mean"] - values[1]["mean"]
            rows.append([LABELS[system], *map(interval, values), f"{gain:+.3f}"])
    most = max(rows, key=lambda row: float(row[-1]))
    return [
        "How much near-duplicates flatter (ROUGE-L, split `group`):",
        "",
        *Table(["system", "all rows", "rows without a near-duplicate", "difference"], rows).markdown(),
        f"They flatter {most[0]} the most: {most[-1]}.",
        "",
    ]


def confirmed(studies: Mapping[str, dict]) -> list[str]:
    """Render each claim of the headline with its difference on the confirmation rows, and whether it holds there."""
    if "confirmation" not in studies:
        return []
    test, unused = studies["headline"]["unseen"], studies["confirmation"]["unseen"]
    rows, count = [], 0
    for pair in CLAIMS:
        for metric in CLAIMED:
            first, second = (shown(block, *pair, metric) for block in (test, unused))
            changes = [block["differences"].get("-".join(pair), {}).get(metric) for block in (test, unused)]
            if None in changes or first is None:
                continue
            holds = tr("yes") if first == second else tr("no: {verdict}", verdict=tr(VERDICTS[second]))
            count += first == second
            claim = f"{label(pair[0])} - {label(pair[1])}"
            rows.append([claim, metric, tr(VERDICTS[first]), *map(interval, changes), holds])
    if not rows:
        return []
    header = [
        tr("claim"),
        tr("metric"),
        tr("on test rows"),
        tr("test rows"),
        tr("confirmation rows"),
        tr("holds"),
    ]
    return [
        tr("On {rows:,} confirmation rows, of groups that no split has:", rows=unused["n"]),
        "",
        *Table(header, rows).markdown(),
        tr(
            "{holding} of {shown} differences that test rows show hold on the confirmation rows.",
            holding=count,
            shown=len(rows),
        ),
        "",
    ]


def shown(block: dict, system: str, other: str, metric: str = METRIC) -> str | None:
    """Return 'better' or 'worse' where a difference is shown (`analysis.verdicts`), else None."""
    pair = f"{system}-{other}"
    if pair not in block["differences"]:
        return None
    names = verdicts({"block": block}, "block", pair)
    return next((verdict for verdict in ("better", "worse") if metric in names[verdict]), None)


def amount(block: dict, system: str, other: str) -> str:
    """Format the paired difference in ROUGE-L of two systems with its interval."""
    change = block["differences"].get(f"{system}-{other}", {}).get(METRIC)
    return f"{change['mean']:+.3f} [{number(change['ci95'][0])}, {number(change['ci95'][1])}]" if change else DASH


def _mean(block: dict, system: str) -> float:
    return block["systems"][system][METRIC]["mean"]
