"""Generate sentences from metrics, so that none outlives the run that it describes."""

from __future__ import annotations

from ftlib.evaluation.significance import seed_range
from ftlib.prompts.templates import PREFIX
from ftlib.reporting.tables import number, precise_interval, with_seeds
from ftlib.runtime.language import tr

NEARLY_ALL = 0.95  # share of references that fit in max_new_tokens, from which on `stops` is informative


def findings(metrics: dict) -> list[str]:
    """Generate sentences on gains, losses and what is not shown."""
    sentences = []
    for split, title in (("unseen", tr("Unseen titles")), ("seen", tr("Seen titles"))):
        if split not in metrics:
            continue
        systems, change = metrics[split]["systems"], metrics[split]["differences"]["tuned-base"]
        n = metrics[split]["n"]
        where = f"{title} (n = {n})"
        nll, rouge = change["nll"], change["rougeL"]
        figures = with_seeds(nll, seed_range(metrics[split], "nll", "tuned", "base"))
        judged = _verdict(nll, n)
        sentences.append(
            tr(
                "{where}: the references' NLL per token {judged} ({figures} nats).",
                where=where,
                judged=judged,
                figures=figures,
            )
        )
        if "format" in systems["base"]:  # without a prefix there is none
            sentences.append(
                tr(
                    '{where}: {base:.0%} of the answers began with "{prefix}" before, {tuned:.0%} after.',
                    where=where,
                    base=systems["base"]["format"]["mean"],
                    tuned=systems["tuned"]["format"]["mean"],
                    prefix=metrics.get("settings", {}).get("prefix", PREFIX).strip(),
                )
            )
        figures = with_seeds(rouge, seed_range(metrics[split], "rougeL", "tuned", "base"))
        sentences.append(f"{where}: ROUGE-L {_verdict(rouge, n)} ({figures}).")
        copied = number(systems["copy_title"]["rougeL"]["mean"])
        if rouge["ci95"][0] <= 0:
            sentences.append(
                tr(
                    "{where}: ROUGE-L shows no gain. It rewards repeating the title (copying it, and nothing else, scores "
                    "{copied}), and the answers name {before:.0%} of the title's words before and {after:.0%} after; a short "
                    "training can lose here what it gains in likelihood.",
                    where=where,
                    copied=copied,
                    before=systems["base"]["title_coverage"]["mean"],
                    after=systems["tuned"]["title_coverage"]["mean"],
                )
            )
        elif systems["copy_title"]["rougeL"]["mean"] >= systems["tuned"]["rougeL"]["mean"]:
            sentences.append(
                tr(
                    "{where}: copying the title, and nothing else, scores ROUGE-L {copied}, no less than the tuned model: "
                    "ROUGE-L alone proves little here.",
                    where=where,
                    copied=copied,
                )
            )
        sentences += [f"{where}: {sentence}" for sentence in _about_ends(metrics[split])]
    if "retention" in metrics:
        sentences.append(about_retention(metrics["retention"]))
    if 1 < metrics["unseen"]["n"] < 100:
        sentences.append(tr("Only {n} rows: read the intervals, not the means.", n=metrics["unseen"]["n"]))
    return sentences


def about_retention(block: dict) -> str:
    """Generate the sentence on what fine-tuning cost in general language, from `retention` of metrics.json."""
    change = block["differences"]["tuned-base"]["nll_per_byte"]
    low, high = change["ci95"]
    if low > 0:
        verdict = tr(
            "rose ({figures} nats), so the fine-tuned model forgot some of it.", figures=precise_interval(change)
        )
    elif high < 0:
        verdict = tr(
            "fell ({figures} nats), so the fine-tuned model forgot none of it.", figures=precise_interval(change)
        )
    else:
        verdict = tr(
            "did not change beyond chance ({figures} nats), so no forgetting is shown.",
            figures=precise_interval(change),
        )
    head = tr("General text (n = {n} windows of Python's documentation): its NLL per byte", n=block["n"])
    return f"{head} {verdict}"


def _about_ends(split: dict) -> list[str]:
    """Generate a sentence where `stops` is not informative about the model."""
    if split["systems"]["tuned"].get("stops", {}).get("forced"):
        return [tr("the length penalty forces every answer to end, so `stops` says nothing of the model.")]
    reference_share = split.get("reference", {}).get("stops", {}).get("mean", 1.0)
    if reference_share < NEARLY_ALL:
        return [
            tr(
                "only {share:.0%} of the references fit in the longest answer, so more than that can hardly stop.",
                share=reference_share,
            )
        ]
    return []


def _verdict(change: dict, n: int) -> str:
    """Describe a difference by its interval."""
    low, high = change["ci95"]
    if n == 1:
        return tr("cannot be judged by one row, which has no interval")
    if low <= 0 <= high:
        return tr("did not change beyond chance")
    return tr("fell") if high < 0 else tr("rose")
