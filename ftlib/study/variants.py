"""DoRA and LoRA on the MLP alone against LoRA, each at its best learning rate, as a table and a sentence for a learner.

Variants that are compared at one rate mostly compare rates, so the study `variants` gives each the same rates, and only the
best run of each is shown. Retention is the likelihood of a general text that no training set holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from ftlib.evaluation.retention import METRIC as NLL_PER_BYTE
from ftlib.reporting.tables import DASH, Table, cells, interval

STUDY = "variants"
NAMES = {"lora": "LoRA", "dora": "DoRA", "mlp": "LoRA on the MLP alone"}  # {first part of a run's name: its label}


def best_runs(study: dict) -> dict[str, str]:
    """Return {variant: its run with the lowest NLL of unseen rows}."""
    best: dict[str, str] = {}
    for name, run in study["runs"].items():
        variant = name.partition("_")[0]
        if variant in NAMES and (variant not in best or _nll(run) < _nll(study["runs"][best[variant]])):
            best[variant] = name
    return best


def _nll(run: dict) -> float:
    return run["metrics"]["unseen"]["systems"]["tuned"]["nll"]["mean"]


def _against(run: dict, split: str, metric: str) -> dict | None:
    """Return a run's paired difference to the study's first run."""
    return run.get("against", {}).get(split, {}).get(metric)


def render(study: dict, recorded: list[dict]) -> list[str]:
    """Render the table and a sentence for each variant.

    Args:
        study: summary of the study; the differences are those to its first run.
        recorded: the lines of its `runs.jsonl`, for speed and size.
    """
    best = best_runs(study)
    if "lora" not in best or len(best) < 2 or best["lora"] != study["first"]:
        return []
    training = {line["run"]: line["training"] for line in recorded}
    base = study["runs"][best["lora"]]["metrics"].get("retention", {}).get("systems", {}).get("base", {})
    rows = [["base model", DASH, DASH, DASH, *cells(base, [NLL_PER_BYTE]), DASH, DASH]]
    for variant, name in best.items():
        run = study["runs"][name]
        rows.append(
            [
                NAMES[variant],
                f"`{name}`",
                *cells(run["metrics"]["unseen"]["systems"]["tuned"], ["nll", "rougeL"]),
                *cells(run["metrics"].get("retention", {}).get("systems", {}).get("tuned", {}), [NLL_PER_BYTE]),
                f"{training[name]['tokens_per_s']:,}",
                f"{training[name]['trainable_parameters'] / 1e6:.1f}",
            ]
        )
    header = ["variant", "best run", "NLL", "ROUGE-L", "general text, NLL per byte", "tokens/s", "million parameters"]
    lines = ["Variants of LoRA, each at its best learning rate:", "", *Table(header, rows).markdown()]
    return [*lines, *(f"- {sentence(study, training, name)}" for name in best.values() if name != study["first"]), ""]


def sentence(study: dict, training: Mapping[str, dict], name: str) -> str:
    """Return what a variant's best run changes against LoRA's: likelihood, forgetting, time."""
    run, first = study["runs"][name], study["first"]
    changes = {
        "NLL of unseen rows": _against(run, "unseen", "nll"),
        "NLL per byte of the general text": _against(run, "retention", NLL_PER_BYTE),
    }
    parts = [f"{title} {interval(change)} ({verdict(change)})" for title, change in changes.items() if change]
    times = training[first]["tokens_per_s"] / training[name]["tokens_per_s"]
    return f"**{NAMES[name.partition('_')[0]]}** against LoRA: {'; '.join(parts)}; {times:.2f} times LoRA's time per token."


def verdict(change: dict) -> str:
    """Return what the interval of a difference in NLL shows."""
    low, high = change["ci95"]
    return "lower" if high < 0 else "higher" if low > 0 else "no difference shown"
