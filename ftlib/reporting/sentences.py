"""Generate sentences from metrics, so that none outlives the run that it describes."""

from __future__ import annotations

from ftlib.evaluation.significance import seed_range
from ftlib.prompts.templates import PREFIX
from ftlib.reporting.tables import number, precise_interval, with_seeds

NEARLY_ALL = 0.95  # share of references that fit in max_new_tokens, from which on `stops` is informative


def findings(metrics: dict) -> list[str]:
    """Generate sentences on gains, losses and what is not shown."""
    sentences = []
    for split in ("unseen", "seen"):
        if split not in metrics:
            continue
        systems, change = metrics[split]["systems"], metrics[split]["differences"]["tuned-base"]
        n = metrics[split]["n"]
        where = f"{split.capitalize()} titles (n = {n})"
        nll, rouge = change["nll"], change["rougeL"]
        figures = with_seeds(nll, seed_range(metrics[split], "nll", "tuned", "base"))
        sentences.append(f"{where}: the references' NLL per token {_verdict(nll, n)} ({figures} nats).")
        if "format" in systems["base"]:  # without a prefix there is none
            base, tuned = systems["base"]["format"]["mean"], systems["tuned"]["format"]["mean"]
            prefix = metrics.get("settings", {}).get("prefix", PREFIX).strip()
            sentences.append(f'{where}: {base:.0%} of the answers began with "{prefix}" before, {tuned:.0%} after.')
        figures = with_seeds(rouge, seed_range(metrics[split], "rougeL", "tuned", "base"))
        sentences.append(f"{where}: ROUGE-L {_verdict(rouge, n)} ({figures}).")
        if rouge["ci95"][0] <= 0:
            echo = [f"{systems[s]['title_coverage']['mean']:.0%}" for s in ("base", "tuned")]
            sentences.append(
                f"{where}: ROUGE-L shows no gain. It rewards repeating the title (copying it, and nothing else, scores "
                f"{number(systems['copy_title']['rougeL']['mean'])}), and the answers name {echo[0]} of the title's words before "
                f"and {echo[1]} after; a short training can lose here what it gains in likelihood."
            )
        elif systems["copy_title"]["rougeL"]["mean"] >= systems["tuned"]["rougeL"]["mean"]:
            sentences.append(
                f"{where}: copying the title, and nothing else, scores ROUGE-L "
                f"{number(systems['copy_title']['rougeL']['mean'])}, no less than "
                "the tuned model: ROUGE-L alone proves little here."
            )
        sentences += [f"{where}: {sentence}" for sentence in _about_ends(metrics[split])]
    if "retention" in metrics:
        sentences.append(about_retention(metrics["retention"]))
    if 1 < metrics["unseen"]["n"] < 100:
        sentences.append(f"Only {metrics['unseen']['n']} rows: read the intervals, not the means.")
    return sentences


def about_retention(block: dict) -> str:
    """Generate the sentence on what fine-tuning cost in general language, from `retention` of metrics.json."""
    change = block["differences"]["tuned-base"]["nll_per_byte"]
    low, high = change["ci95"]
    if low > 0:
        verdict = "the fine-tuned model forgot some of it"
    elif high < 0:
        verdict = "the fine-tuned model forgot none of it"
    else:
        verdict = "no forgetting is shown"
    moved = "rose" if low > 0 else "fell" if high < 0 else "did not change beyond chance"
    return (
        f"General text (n = {block['n']} windows of Python's documentation): its NLL per byte {moved} "
        f"({precise_interval(change)} nats), so {verdict}."
    )


def _about_ends(split: dict) -> list[str]:
    """Generate a sentence where `stops` is not informative about the model."""
    if split["systems"]["tuned"].get("stops", {}).get("forced"):
        return ["the length penalty forces every answer to end, so `stops` says nothing of the model."]
    reference_share = split.get("reference", {}).get("stops", {}).get("mean", 1.0)
    if reference_share < NEARLY_ALL:
        return [
            f"only {reference_share:.0%} of the references fit in the longest answer, so more than that can hardly stop."
        ]
    return []


def _verdict(change: dict, n: int) -> str:
    """Describe a difference by its interval."""
    low, high = change["ci95"]
    if n == 1:
        return "cannot be judged by one row, which has no interval"
    if low <= 0 <= high:
        return "did not change beyond chance"
    return "fell" if high < 0 else "rose"
