"""The comparison of LoRA's variants: each at its best rate, and sentences that follow the intervals."""

import copy

from ftlib.study import variants


def value(mean, low=None, high=None):
    return {"mean": mean, "ci95": [mean - 0.1 if low is None else low, mean + 0.1 if high is None else high]}


def run(nll, change=None, retention=0.6):
    unseen = {"systems": {"tuned": {"nll": value(nll), "rougeL": value(0.1)}}}
    kept = {"systems": {system: {variants.NLL_PER_BYTE: value(retention)} for system in ("base", "tuned")}}
    against = {"against": {"unseen": {"nll": change}}} if change else {}
    return {"metrics": {"unseen": unseen, "retention": kept}} | against


STUDY = {
    "study": "variants",
    "first": "lora_2e-3",
    "runs": {
        "lora_2e-3": run(3.1),
        "lora_1e-3": run(3.3, value(0.2, 0.1, 0.3)),
        "dora_1e-3": run(3.2, value(0.1, 0.05, 0.15)),
        "dora_2e-3": run(3.0, value(-0.1, -0.15, -0.05)),
        "mlp_2e-3": run(3.1, value(0.0, -0.05, 0.05)),
    },
}
RECORDED = [
    {
        "run": name,
        "training": {"tokens_per_s": 50 if name.startswith("dora") else 100, "trainable_parameters": 5_000_000},
    }
    for name in STUDY["runs"]
]


def test_each_variant_is_shown_at_its_own_best_rate():
    """Compared at one rate, the variant whose rate it is wins."""
    assert variants.best_runs(STUDY) == {"lora": "lora_2e-3", "dora": "dora_2e-3", "mlp": "mlp_2e-3"}
    text = "\n".join(variants.render(STUDY, RECORDED))
    assert "`dora_2e-3`" in text and "`dora_1e-3`" not in text and "`lora_1e-3`" not in text


def test_sentences_follow_the_intervals():
    """A sentence that was typed would survive a run that contradicts it."""
    training = {line["run"]: line["training"] for line in RECORDED}
    dora, mlp = (variants.sentence(STUDY, training, name) for name in ("dora_2e-3", "mlp_2e-3"))
    assert "(lower)" in dora and "2.00 times LoRA's time" in dora
    assert "(no difference shown)" in mlp and "1.00 times" in mlp
    assert "(higher)" in variants.sentence(STUDY, training, "dora_1e-3")


def test_nothing_is_said_without_lora_at_its_best_rate_as_the_reference():
    """The differences are those to the study's first run; to another run they would mean something else."""
    other = copy.deepcopy(STUDY) | {"first": "lora_1e-3"}
    assert variants.render(other, RECORDED) == []
