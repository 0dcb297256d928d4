"""Fingerprints: a new setting at its neutral value leaves older results valid."""

import pytest

from ftlib.config import neutral
from ftlib.config.neutral import DEPENDENT, NEUTRAL, WITHOUT_EFFECT, effective
from ftlib.config.settings import Config, differences, flatten
from ftlib.pipeline.stages import SECTIONS, stage_key
from ftlib.runtime.files import fingerprint
from ftlib.study.study_data import data_settings


def test_every_key_of_the_tables_is_a_setting():
    """A misspelled key would make every older result stale, which nobody would notice before the next run."""
    known = flatten(Config.load("smoke", env={}).to_dict())
    assert {*NEUTRAL, *WITHOUT_EFFECT} <= known.keys()


@pytest.mark.parametrize("key", NEUTRAL)
def test_a_neutral_value_is_left_out_and_another_is_not(key):
    """A setting that is off and was not there before must not cost anybody a night's training again."""
    settings = {"train.seed": 1, key: NEUTRAL[key]}
    assert effective(settings) == {"train.seed": 1}
    assert effective(settings | {key: "another value"}) == {"train.seed": 1, key: "another value"}


def test_settings_of_passages_count_only_with_passages():
    """Another budget for passages would train a model without any a second time, or one with them not at all."""
    off = {"train.seed": 1, "train.context_rows": 0, "train.context_tokens": 512}
    assert effective(off) == {"train.seed": 1}
    assert effective(off | {"train.context_rows": 2}) == off | {"train.context_rows": 2}


def test_a_setting_without_effect_never_counts(monkeypatch):
    """A training that is also shown in TensorBoard would otherwise be trained a second time."""
    monkeypatch.setattr(neutral, "WITHOUT_EFFECT", ("train.report_to",))
    assert effective({"train.report_to": ["tensorboard"], "train.seed": 1}) == {"train.seed": 1}


def test_fingerprint_of_a_stage_is_that_of_its_effective_settings(settings, tmp_path, monkeypatch):
    """The adapter of a run from before a setting existed would be trained again."""
    from ftlib.pipeline.stage import FORMAT, Run

    monkeypatch.setattr("ftlib.pipeline.stages.READS", {"adapter": ()})
    cfg, run = settings(), Run(tmp_path)
    flat = flatten({section: cfg.to_dict()[section] for section in SECTIONS["adapter"]})
    newer = {*NEUTRAL, *WITHOUT_EFFECT, *(key for key in flat if key.startswith(tuple(DEPENDENT.values())))}
    older = {key: value for key, value in flat.items() if key not in newer}
    changed = {key: value for key, value in flat.items() if key in NEUTRAL and value != NEUTRAL[key]}
    assert stage_key("adapter", cfg, run).fingerprint == fingerprint([FORMAT, "adapter", older | changed, {}])


def test_a_study_names_its_data_sets_as_before(settings):
    """Work folders of recorded studies would be prepared, trained and answered again."""
    names = data_settings(settings())
    assert "seed" in names and "clean.tags" in names and "path" not in names and "use_damaged" not in names
    assert data_settings(settings(**{"data.use_damaged": True}))["use_damaged"] is True


def test_a_key_that_did_not_exist_is_no_reason_to_rebuild():
    """The line "data.use_damaged was None, now False" sends the reader after a setting that has nothing to do with it."""
    old, new = {"data": {"seed": 1}}, {"data": {"seed": 2, "use_damaged": False}}
    assert differences(old, new) == ["data.seed was 1, now 2"]
    on = {"data": {"seed": 1, "use_damaged": True}}
    assert differences(old, on) == ["data.use_damaged was False, now True"]
