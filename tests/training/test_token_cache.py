"""Rows that were encoded once are read back: the same ids and labels, and never those of other settings or half of them."""

import numpy as np
import pytest
import smoke
import torch
from safetensors.torch import load_file

from ftlib.pipeline import run_admin
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import ensure, load_dataset
from ftlib.prompts import encoding
from ftlib.prompts.packing import PackedSteps, PackingCollator, PaddingCollator, plan_steps, to_flat
from ftlib.training import fine_tuning
from ftlib.training import token_cache as module

ARRAYS = ("ids", "labels", "lengths", "prompt_tokens", "cut")


@pytest.fixture
def count(monkeypatch):
    """A list that gets an entry whenever rows are encoded."""
    calls, encode_rows = [], encoding.encode_rows
    monkeypatch.setattr(encoding, "encode_rows", lambda *args, **more: calls.append(1) or encode_rows(*args, **more))
    return calls


def encoded(tokenizer, rows, train, folder):
    """Encode one split."""
    [flat] = module.encoded(tokenizer, [(rows, train)], folder)
    return flat


def rows():
    return smoke.dataset()["train"]


def same(one, other) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)


def test_what_is_read_back_is_what_was_encoded(tmp_path, count):
    """A label that moved by one would train another model the second time."""
    train = smoke.config(**{"train.max_length": 100}).train  # some descriptions are cut
    fresh = encoding.encode_rows(smoke.tokenizer(), rows(), train)
    found = [encoded(smoke.tokenizer(), rows(), train, tmp_path) for _ in range(2)]
    assert len(count) == 2, "they were encoded again"
    assert all(same(flat, to_flat(fresh)) for flat in found) and 0 < found[1].cut.sum() < len(fresh)
    for example, flat in zip(fresh, found[1], strict=True):
        assert example == {name: getattr(value, "tolist", lambda value=value: value)() for name, value in flat.items()}


def test_batches_of_it_are_those_of_the_rows(tmp_path):
    """Every way of batching must take what comes out of the file."""
    train = smoke.config().train
    fresh, flat = (encoded(smoke.tokenizer(), rows(), train, place) for place in (None, tmp_path))
    lists = encoding.encode_rows(smoke.tokenizer(), rows(), train)
    plan = plan_steps([len(example["input_ids"]) for example in lists], list(range(len(lists))), 3, 256)
    for make in (
        lambda examples: PackedSteps(examples, plan, 256, 0)[1],
        lambda examples: PackingCollator(0, 256)(list(examples)),
        lambda examples: PaddingCollator(0)(list(examples)),
    ):
        expected = make(lists)
        for examples in (fresh, flat):
            assert all(torch.equal(tensor, expected[name]) for name, tensor in make(examples).items())


@pytest.mark.parametrize("what", ["max_length", "loss_on", "label_eos", "template", "rows", "tokenizer"])
def test_other_settings_rows_or_tokenizers_are_encoded_anew(tmp_path, count, what):
    """Rows encoded for another model, or with the prompt labeled, would be trained on without a word."""
    changes = {"max_length": 120, "loss_on": "all", "label_eos": False}
    other = {f"train.{what}": changes[what]} if what in changes else {}
    encoded(smoke.tokenizer(), rows(), smoke.config().train, tmp_path)
    tokenizer = smoke.tokenizer({"template": "llama3", "tokenizer": "chatml"}.get(what, "zephyr"))
    which = rows().select(range(8)) if what == "rows" else rows()
    flat = encoded(tokenizer, which, smoke.config(**other).train, tmp_path)
    assert len(count) == 2
    assert same(flat, to_flat(encoding.encode_rows(tokenizer, which, smoke.config(**other).train)))


def test_a_setting_that_does_not_change_the_rows_does_not_encode_them_again(tmp_path, count):
    """Trying a few learning rates is what they are kept for."""
    for rate in (1e-3, 2e-3):
        encoded(smoke.tokenizer(), rows(), smoke.config(**{"train.learning_rate": rate}).train, tmp_path)
    assert len(count) == 1


@pytest.mark.parametrize("cached", ["none", "training rows", "both"])
def test_training_and_validation_rows_are_encoded_together(tmp_path, count, cached):
    """Validation rows with the labels of the training, or in its place, would measure something else without a word."""
    train, held_out = smoke.config(**{"train.loss_on": "all"}).train, smoke.dataset()["validation"]
    splits = [(rows(), train), (held_out, train.as_measured())]
    if cached != "none":
        module.encoded(smoke.tokenizer(), splits[: 1 if cached == "training rows" else 2], tmp_path)
    count.clear()
    found = module.encoded(smoke.tokenizer(), splits, tmp_path)
    assert len(count) == {"none": 2, "training rows": 1, "both": 0}[cached]
    for flat, (which, settings) in zip(found, splits, strict=True):
        assert same(flat, to_flat(encoding.encode_rows(smoke.tokenizer(), which, settings)))


def test_half_written_rows_are_not_used(tmp_path, count, monkeypatch):
    """A session that dies while they are written would train on a part of them from then on."""
    save = module.save

    def dies(examples, folder):
        save(to_flat([examples[index] for index in range(3)]), folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        encoded(smoke.tokenizer(), rows(), smoke.config().train, tmp_path)
    monkeypatch.setattr(module, "save", save)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(encoded(smoke.tokenizer(), rows(), smoke.config().train, tmp_path)) == len(rows())
    assert len(count) == 2


def test_rows_that_do_not_say_what_they_are_are_encoded_every_time(tmp_path, count):
    """A list of rows has no fingerprint; another list would get the first one's ids."""
    for _ in range(2):
        assert len(encoded(smoke.tokenizer(), smoke.rows(4), smoke.config().train, tmp_path)) == 4
    assert len(count) == 2 and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_they_lie_beside_the_data_set_and_go_with_it(tmp_path, count, settings):
    """Rows kept elsewhere would outlive their data set, and a data set that they disturb would be rebuilt every time."""
    run = Run(tmp_path / "run")
    weights = []
    for rate in (1e-3, 2e-3, 1e-3):
        cfg = settings(**{"train.max_steps": 1, "train.eval_steps": None, "train.learning_rate": rate})
        ensure("adapter", cfg, run)
        weights.append(load_file(run.path / "adapter" / "adapter_model.safetensors"))
    assert len(count) == 2, "training and validation rows, once each"
    assert all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])
    assert set(load_dataset(run)) == {"train", "validation", "test"} and run_admin.clean(run) == 0.0
    ensure("dataset", settings(**{"data.seed": 7}), run)
    assert not (run.path / "dataset" / "encoded").exists()
    ensure("adapter", settings(**{"data.seed": 7, "train.max_steps": 1, "train.eval_steps": None}), run)
    run_admin.clean(run, everything=True)
    assert not run.path.exists()


@pytest.mark.slow
def test_two_trainings_take_the_same_steps_with_and_without_it(tmp_path):
    """The kept rows are for speed alone."""
    cfg = smoke.config(**{"train.max_steps": 2, "train.eval_steps": None, "train.batching": "grouped"})
    found = []
    for number, place in enumerate((None, tmp_path / "kept", tmp_path / "kept")):
        fine_tuning.train(cfg, smoke.dataset(), tmp_path / str(number), place)
        found.append(load_file(tmp_path / str(number) / "adapter_model.safetensors"))
    assert all(torch.equal(found[0][name], other[name]) for other in found[1:] for name in found[0])
