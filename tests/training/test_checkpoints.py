"""An interrupted training ends as an undisturbed one, wherever it was interrupted and whatever was to be restored."""

import shutil
from collections import Counter

import pytest
import smoke
import torch
from safetensors.torch import load_file
from smoke import FAST

from ftlib.prompts.encoding import encode_rows
from ftlib.runtime.files import read_json, read_jsonl, write_json
from ftlib.training import checkpoints, fine_tuning
from ftlib.training.trainer import ExamplesTrainer, Progress

SAME = ("stopped_at_step", "best_step", "trained_rows", "trained_epochs", "validation_loss")


@pytest.fixture
def overfits(monkeypatch):
    """Every evaluation is worse than the one before it, so the first checkpoint is the best."""

    def rising(self, examples):
        return [float(self.state.global_step)] * len(examples), [1] * len(examples)

    monkeypatch.setattr(ExamplesTrainer, "score", rising)


class Killed(Exception):
    """Stands for a process that ends without warning."""


def weights(folder) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def assert_equal(whole, resumed, results) -> None:
    """The same weights, the same record of what was trained."""
    a, b = weights(whole), weights(resumed)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert [results[0][key] for key in SAME] == [results[1][key] for key in SAME]
    assert (whole / "trained_uids.txt").read_bytes() == (resumed / "trained_uids.txt").read_bytes()


def kill_before_adapter(monkeypatch, cfg, data, folder) -> None:
    """Interrupt a training after its last checkpoint, before its adapter is written."""

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(fine_tuning, "save_adapter", kill)
        fine_tuning.train(cfg, data, folder)
    assert (folder / checkpoints.CHECKPOINTS).exists()


def kill_after_step(step: int, monkeypatch, cfg, data, folder) -> None:
    """Interrupt a training once it has taken `step` steps."""
    usual = Progress.on_step_begin

    def kill(self, args, state, control, **kwargs):
        if state.global_step == step:
            raise Killed
        usual(self, args, state, control, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Progress, "on_step_begin", kill)
        fine_tuning.train(cfg, data, folder)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"train__scheduler": "constant"}, marks=pytest.mark.slow),
        pytest.param({"train__scheduler": "linear"}, marks=pytest.mark.slow),
        {"train__scheduler": "cosine", "train__compile": True},
        {"train__scheduler": "constant_with_warmup", "train__eval_steps": None},
        {"train__scheduler": "cosine", "lora__r": 0, "model__quantization": "none"},
    ],
    ids=lambda change: "-".join(str(value) for value in change.values()),
)
def test_killed_after_the_last_step_trains_no_step_more(tmp_path, monkeypatch, change):
    """A kill between the last checkpoint and the written adapter took a step 5 of 4, with other weights."""
    data, cfg, name = smoke.dataset(), smoke.config(**FAST | change), "adapter_model.safetensors"
    results = [fine_tuning.train(cfg, data, tmp_path / "whole")]
    kill_before_adapter(monkeypatch, cfg, data, tmp_path / "killed")
    results.append(fine_tuning.train(cfg, data, tmp_path / "killed"))
    if cfg.lora.r == 0:
        for folder in (tmp_path / "whole", tmp_path / "killed"):
            (folder / "model.safetensors").rename(folder / name)
    assert_equal(tmp_path / "whole", tmp_path / "killed", results)
    assert results[1]["resumed_from_step"] == 4 and results[1]["tokens"] == 0 < results[1]["tokens_per_s"]


def test_a_moved_run_still_ends_with_its_best_checkpoint(tmp_path, monkeypatch, overfits):
    """The Trainer records the best checkpoint by its path; after a move it would keep the last weights instead."""
    data, cfg = smoke.dataset(), smoke.config(**FAST | {"train__max_steps": 6})
    results = [fine_tuning.train(cfg, data, tmp_path / "whole")]
    assert results[0]["best_step"] == 2
    kill_before_adapter(monkeypatch, cfg, data, tmp_path / "before")
    shutil.move(tmp_path / "before", tmp_path / "after")
    results.append(fine_tuning.train(cfg, data, tmp_path / "after"))
    assert_equal(tmp_path / "whole", tmp_path / "after", results)


@pytest.mark.parametrize("at", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_resume_keeps_early_stopping_patience(tmp_path, monkeypatch, overfits, at):
    """Patience restarted at every interruption: a training that stopped at step 4 ran to step 20."""
    change = {"train__early_stopping": 3}
    change |= {"train__max_steps": 20, "train__eval_steps": 1, "train__save_steps": 1}
    data, cfg = smoke.dataset(), smoke.config(**FAST | change)
    results = [fine_tuning.train(cfg, data, tmp_path / "whole")]
    assert results[0]["stopped_at_step"] == 4
    kill_after_step(at, monkeypatch, cfg, data, tmp_path / "killed")
    results.append(fine_tuning.train(cfg, data, tmp_path / "killed"))
    assert_equal(tmp_path / "whole", tmp_path / "killed", results)


def test_a_training_that_had_stopped_stays_stopped(tmp_path, monkeypatch, overfits):
    """Early stopping ended it, and a kill before the adapter was written set it going again."""
    change = {"train__early_stopping": 1}
    change |= {"train__max_steps": 20, "train__eval_steps": 1, "train__save_steps": 1}
    data, cfg = smoke.dataset(), smoke.config(**FAST | change)
    results = [fine_tuning.train(cfg, data, tmp_path / "whole")]
    kill_before_adapter(monkeypatch, cfg, data, tmp_path / "killed")
    results.append(fine_tuning.train(cfg, data, tmp_path / "killed"))
    assert results[1]["stopped_at_step"] == 2
    assert_equal(tmp_path / "whole", tmp_path / "killed", results)


@pytest.mark.parametrize(
    "batching", ["grouped", *(pytest.param(name, marks=pytest.mark.slow) for name in ("packed", "padded"))]
)
def test_resume_in_the_second_epoch_sees_the_same_rows(tmp_path, monkeypatch, batching):
    """Grouped batches were drawn from a generator that an interruption does not restore, dropout moved it on."""
    change = {"train__batching": batching, "train__max_steps": 8, "train__save_steps": 4, "train__eval_steps": 4}
    data, cfg = smoke.dataset(train=16), smoke.config(**FAST | change, lora__dropout=0.1)
    results = [fine_tuning.train(cfg, data, tmp_path / "whole")]
    kill_after_step(6, monkeypatch, cfg, data, tmp_path / "killed")
    results.append(fine_tuning.train(cfg, data, tmp_path / "killed"))
    assert_equal(tmp_path / "whole", tmp_path / "killed", results)


@pytest.mark.parametrize(
    "change",
    [{"train__batching": name} for name in ("packed", "padded", "grouped")]
    + [{"train__compile": True}, {"train__micro_batch": 2}],
    ids=lambda change: str(list(change.values())[0]),
)
def test_the_rows_that_were_trained_on_are_those_of_the_steps(tmp_path, monkeypatch, change):
    """'Seen' rows were the first of the split; 18 of 40 had been in a step."""
    data, cfg = smoke.dataset(), smoke.config(**FAST | change | {"train__max_steps": 3, "train__eval_steps": None})
    taken, usual = Counter(), ExamplesTrainer.count_tokens

    def listen(self, inputs):
        ids, owners = inputs["input_ids"], inputs["owners"]
        taken.update(tuple(ids[owners == owner].tolist()) for owner in owners[owners >= 0].unique())
        usual(self, inputs)

    monkeypatch.setattr(ExamplesTrainer, "count_tokens", listen)
    result = fine_tuning.train(cfg, data, tmp_path)
    examples = encode_rows(smoke.tokenizer(), data["train"], cfg.train)
    expected = [
        row["uid"] for row, ids in zip(data["train"], examples, strict=True) if tuple(ids["input_ids"]) in taken
    ]
    assert (tmp_path / "trained_uids.txt").read_text().split() == expected
    assert 0 < result["trained_rows"] == len(expected) < len(data["train"])
    assert result["trained_epochs"] == pytest.approx(taken.total() / len(data["train"]), abs=0.01)


def test_rows_after_the_best_checkpoint_do_not_count(tmp_path, overfits):
    """The weights that are kept were never trained on them."""
    result = fine_tuning.train(smoke.config(**FAST), smoke.dataset(), tmp_path)
    assert (result["best_step"], result["stopped_at_step"], result["trained_rows"]) == (2, 4, 8)


@pytest.mark.parametrize(
    ("start", "scheduler", "rates"),
    [
        ("first", "constant_with_warmup", [0.25, 0.5, 0.75, 1.0, 1.0]),
        ("zero", "constant_with_warmup", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("first", "constant", [1.0] * 5),
        ("first", "linear", [0.25, 0.5, 0.75, 1.0, 1.0]),
    ],
)
def test_the_first_step_of_the_warm_up_has_a_rate(tmp_path, start, scheduler, rates):
    """A rate of 0 in step 1 trains nothing: a training of one step gave back the base."""
    change = {"train__max_steps": 5, "train__warmup_share": 0.8, "train__warmup_from": start, "train__log_steps": 1}
    change |= {"train__scheduler": scheduler, "train__eval_steps": None, "train__learning_rate": 1e-3}
    fine_tuning.train(smoke.config(**FAST | change), smoke.dataset(), tmp_path)
    logged = [line["learning_rate"] / 1e-3 for line in read_jsonl(tmp_path / "train_log.jsonl") if "loss" in line]
    assert logged == pytest.approx(rates)


def test_a_checkpoint_names_its_best_one_by_where_it_lies(tmp_path):
    """A relative path, recorded in another working directory, points nowhere."""
    for step in (2, 4):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        write_json(folder / "trainer_state.json", {"best_model_checkpoint": "elsewhere/checkpoint-2"})
    state = checkpoints.TrainerState(
        best_model_checkpoint=read_json(folder / "trainer_state.json")["best_model_checkpoint"]
    )
    assert checkpoints.best_checkpoint(folder, state) == tmp_path / "checkpoint-2"
    shutil.rmtree(tmp_path / "checkpoint-2")
    assert checkpoints.best_checkpoint(folder, state) is None
