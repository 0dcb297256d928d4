"""The recipe on one page: each setting of this profile, what it does, and what changing it did in our studies.

`recipe_table(cfg)` is rendered from the configuration and from results/studies/. A study's run counts for a setting if it
changes this setting alone (and what must go with it, such as alpha with the rank). Losses are NLL differences on new rows
to the study's own recipe, which is larger than the cpu profile's: they show a direction, not the best value for you.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from pathlib import Path

from ftlib.reporting.tables import Table
from ftlib.runtime.files import read_jsonl, repository
from ftlib.runtime.language import to_translate, tr

STUDIES = ("learning_rate", "ablations", "recipe")
METRIC = "nll"
WITH = {  # settings that a run may change along with one
    "lora.r": {"lora.alpha"},
    "train.examples_per_step": {"train.eval_steps", "train.save_steps"},
    "train.epochs": {"train.eval_steps"},
    "lora.modules_to_save": {"lora.tie_saved_modules", "train.compile"},
}
SETTINGS = {  # {setting: what it does}
    "lora.r": to_translate("rank: how many directions of change each matrix gets"),
    "lora.alpha": to_translate("scale of the change is alpha / r; here always twice the rank"),
    "lora.dropout": to_translate("share of the adapter's inputs set to zero in training, against overfitting"),
    "lora.target_modules": to_translate("which matrices get an adapter: all in attention and MLP"),
    "lora.modules_to_save": to_translate("layers trained as a whole; none, because the vocabulary is unchanged"),
    "model.quantization": to_translate("how the frozen base is stored; nf4 is 4 bits a weight"),
    "train.learning_rate": to_translate("size of a step; the first setting to get right"),
    "train.scheduler": to_translate("how the rate falls after the warm-up: along half a cosine, to zero"),
    "train.warmup_share": to_translate("share of the steps in which the rate rises, while Adam's averages settle"),
    "train.optimizer": to_translate("AdamW: a step size of its own for each weight"),
    "train.weight_decay": to_translate("pull of the weights towards zero; the adapter starts there anyway"),
    "train.max_grad_norm": to_translate("longer gradients are shortened to this length, so one odd batch does no harm"),
    "train.examples_per_step": to_translate("batch: rows whose gradients are averaged for one step"),
    "train.epochs": to_translate("passes over the training rows, unless max_steps is set"),
    "train.max_steps": to_translate("number of steps; overrides the epochs"),
    "train.max_length": to_translate("tokens of prompt and answer together; longer rows are truncated"),
    "train.loss_on": to_translate("which tokens are trained on: the answer, or the prompt too"),
    "train.label_eos": to_translate("whether the end mark is trained on"),
    "data.train_size": to_translate("training rows"),
}


def effects(setting: str, folder: Path | None = None) -> list[dict]:
    """Return what runs that change `setting` did: {study, from, to, mean, ci95} of the NLL, + is worse.

    folder: of the studies; default results/studies.
    """
    return [effect for study in STUDIES for effect in _effects(setting, (folder or _studies()) / study)]


def _studies() -> Path:
    return repository() / "results" / "studies"


def _effects(setting: str, folder: Path) -> list[dict]:
    if not (folder / "runs.jsonl").exists():
        return []
    lines = read_jsonl(folder / "runs.jsonl")
    section, _, key = setting.partition(".")
    base = lines[0]["config"].get(section, {}).get(key)
    changed = {line["run"]: line.get("config_changes", {}) for line in lines if line["run"] != lines[0]["run"]}
    found = []
    table = folder / "metrics.csv"
    for row in _differences(table, table.stat().st_mtime_ns):
        changes = changed.get(row["run"], {})
        if setting not in changes or changes.keys() - WITH.get(setting, set()) != {setting}:
            continue
        if setting == "lora.r" and changes[setting] == 0:
            continue  # no adapter at all
        interval = [float(row["lo"]), float(row["hi"])]
        found.append(
            {"study": folder.name, "from": base, "to": changes[setting], "mean": float(row["mean"]), "ci95": interval}
        )
    return found


@functools.lru_cache(maxsize=len(STUDIES))
def _differences(table: Path, modified_ns: int) -> list[dict]:
    """Return the rows of metrics.csv that hold a run's NLL on new rows minus that of the study's first run.

    Every setting of the table asks; such a file has thousands of lines. modified_ns: of the file.
    """
    with open(table, encoding="utf-8", newline="") as file:
        return [
            row
            for row in csv.DictReader(file)
            if (row["seed"], row["split"], row["system"], row["metric"]) == ("all", "unseen", "tuned-first", METRIC)
            and row["mean"]
        ]


def nearest_steps(found: list[dict]) -> list[dict]:
    """Return the effects nearest to halving and to doubling, in the first study that has any; all where values are no numbers."""
    if not found:
        return []
    found = [effect for effect in found if effect["study"] == found[0]["study"]]
    if not all(_is_number(effect[end]) for effect in found for end in ("from", "to")):
        return found
    smaller = [effect for effect in found if effect["to"] < effect["from"]]
    larger = [effect for effect in found if effect["to"] > effect["from"]]
    chosen = [max(smaller, key=lambda effect: effect["to"])] if smaller else []
    return chosen + ([min(larger, key=lambda effect: effect["to"])] if larger else [])


def written(effect: Mapping) -> str:
    """Format an effect: '128 → 64: +0.033 worse'; 'no difference' where the interval holds 0."""
    low, high = effect["ci95"]
    verdict = tr("no difference") if low <= 0 <= high else tr("worse") if low > 0 else tr("better")
    return f"{_value(effect['from'])} → {_value(effect['to'])}: {effect['mean']:+.3f}, {verdict}"


def recipe_table(cfg, folder: Path | None = None) -> Table:
    """Build the recipe's table: a row for each setting, with its value here and its effects in our studies."""
    rows = []
    for setting, what in SETTINGS.items():
        found = nearest_steps(effects(setting, folder))
        studied = "; ".join(map(written, found)) or tr("not studied")
        rows.append([setting, _value(cfg.get(setting)), tr(what), studied])
    header = [tr("setting"), tr("value here"), tr("what it does"), tr("in our studies (NLL on new rows)")]
    return Table(header, rows)


def recipe_sentences(folder: Path | None = None) -> list[str]:
    """Name the change that cost most and those without a difference, over all settings of the table."""
    found = [(setting, effect) for setting in SETTINGS for effect in nearest_steps(effects(setting, folder))]
    if not found:
        return [tr("No study is recorded here: clone the repository to see what each setting did.")]
    setting, worst = max(found, key=lambda item: item[1]["mean"])
    sentences = [tr("The costliest of these changes is {setting}, {effect}.", setting=setting, effect=written(worst))]
    level = sorted({name for name, effect in found if effect["ci95"][0] <= 0 <= effect["ci95"][1]})
    better = [f"{name} ({written(effect)})" for name, effect in found if effect["ci95"][1] < 0]
    sentences.append(
        tr("No difference is shown for {settings}.", settings=", ".join(level))
        if level
        else tr("Every one of them changes the loss.")
    )
    if better:
        sentences.append(tr("Better than the study's own recipe: {changes}.", changes="; ".join(better)))
    return sentences


def about_rate(cfg, folder: Path | None = None) -> str:
    """Say how this profile's learning rate lies beside the best of our study."""
    found = [effect for effect in effects("train.learning_rate", folder) if effect["study"] == "learning_rate"]
    if not found:
        return tr("No study of the learning rate is recorded here.")
    best = min([*found, {"to": found[0]["from"], "mean": 0.0}], key=lambda effect: effect["mean"])["to"]
    rate = cfg.train.learning_rate
    if rate == best:
        text = to_translate(
            "This profile's rate is {rate:g}, the same as the best of our study ({best:g}, with a larger rank and more "
            "examples)."
        )
    elif rate > best:
        text = to_translate(
            "This profile's rate is {rate:g}, {times:g} times the best of our study ({best:g}, with a larger rank and more "
            "examples)."
        )
    else:
        text = to_translate(
            "This profile's rate is {rate:g}, {times:g} times below the best of our study ({best:g}, with a larger rank and "
            "more examples)."
        )
    first = tr(text, rate=rate, best=best, times=max(rate / best, best / rate))
    second = tr(
        "A short training with a small rank needs larger steps to get anywhere; a larger model needs smaller ones."
    )
    return f"{first} {second}"


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(value) -> str:
    if _is_number(value):
        return f"{value:g}" if abs(value) < 1000 else f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or tr("none")
    return tr("not set") if value is None else str(value)


def recorded_gallery() -> list[dict]:
    """Return the lines of results/loss_gallery.jsonl; [] where a notebook runs without the repository."""
    path = repository() / "results" / "loss_gallery.jsonl"
    if not path.exists():
        print(tr("loss curves: not shown ({name} is not there; clone the repository to see them)", name=path.name))
        return []
    return read_jsonl(path)
