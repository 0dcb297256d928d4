"""Samples during training: they show the weights, and change nothing."""

import time

import pytest
import smoke
import torch
from safetensors.torch import load_file
from smoke import FAST

from ftlib.pipeline import stages
from ftlib.reporting import plots
from ftlib.runtime.files import read_jsonl
from ftlib.training import fine_tuning, samples
from ftlib.training.fine_tuning import build_trainer, last_rate


def config(**overrides):
    return smoke.Config.load("smoke", env={}, **(FAST | overrides))


def trained(folder, score=None, **overrides) -> tuple[dict, list[dict]]:
    """(Weights, lines of the log) of a training."""
    fine_tuning.train(config(**overrides), smoke.dataset(), folder, score=score)
    return load_file(next(folder.glob("*model.safetensors"))), read_jsonl(folder / "train_log.jsonl")


def samples_of(log) -> list[dict]:
    return [line for line in log if "samples" in line]


@pytest.mark.parametrize(
    "change",
    [
        {"lora__dropout": 0.1},
        {"train__compile": True, "lora__dropout": 0.1},
        pytest.param({"lora__variant": "dora", "lora__dropout": 0.1}, marks=pytest.mark.slow),
        pytest.param({"train__checkpointing": True}, marks=pytest.mark.slow),
        pytest.param(
            {"lora__r": 0, "model__quantization": "none", "train__learning_rate": 1e-3}, marks=pytest.mark.slow
        ),
    ],
    ids=["plain", "compiled", "dora", "checkpointing", "all weights"],
)
def test_a_training_with_samples_ends_with_the_same_bits(tmp_path, change):
    """Samples that moved the random state or left dropout off would make every sampled training another one."""
    without, log = trained(tmp_path / "without", **change)
    sampled, sampled_log = trained(tmp_path / "with", train__sample_rows=2, **change)
    assert without.keys() == sampled.keys() and all(torch.equal(without[name], sampled[name]) for name in without)
    assert not samples_of(log) and [line["step"] for line in samples_of(sampled_log)] == [0, 2, 4]
    figures = ("step", "loss", "validation_loss", "grad_norm")
    rest = [line for line in sampled_log if "samples" not in line]
    assert any(line.get("grad_norm", 0) > 0 for line in log)
    assert [[line.get(name) for name in figures] for line in rest] == [
        [line.get(name) for name in figures] for line in log
    ]


def test_samples_are_printed_and_written(tmp_path, capsys):
    """A sample that names no row cannot be compared with the reference."""
    _, log = trained(tmp_path, stages.rouge_l, train__sample_rows=3)
    rows = smoke.dataset()["validation"]
    for line in samples_of(log):
        assert line.keys() == {"step", "samples", "rougeL", "stops"}
        assert [sample["uid"] for sample in line["samples"]] == rows["uid"][:3]
        assert 0 <= line["rougeL"] <= 1 and 0 <= line["stops"] <= 1
    printed = capsys.readouterr().out
    for step in (0, 2, 4):
        assert f'step {step}: "{rows["title"][0]}": ' in printed


def test_the_first_sample_is_the_base_models(tmp_path):
    """A "before" that comes from a half trained adapter hides what training changed."""
    from ftlib.generation.batched import answer_prompts
    from ftlib.models.loading import load_base, load_tokenizer, precision

    cfg = config(train__sample_rows=2)
    _, log = trained(tmp_path, train__sample_rows=2)
    prompts = smoke.dataset()["validation"]["input_text"][:2]
    wanted = cfg.generation.model_copy(update={"do_sample": False})
    answers = answer_prompts(load_base(cfg, precision(cfg)), load_tokenizer("tiny:llama"), prompts, wanted)
    assert [sample["text"] for sample in log[0]["samples"]] == [answer.text for answer in answers]


def test_a_resumed_training_has_each_sample_once(tmp_path, monkeypatch):
    """A log with two samples of one step shows one that the weights no longer give."""

    class Interrupted(Exception):
        pass

    def interrupted_at(step):
        def stop(self, args, state, control, **kwargs):
            if state.global_step == step:
                raise Interrupted

        return stop

    for step in (1, 3):  # before the first checkpoint, and after it
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            patch.setattr(fine_tuning.Progress, "on_step_begin", interrupted_at(step))
            trained(tmp_path, train__sample_rows=1)
    _, log = trained(tmp_path, train__sample_rows=1)
    assert [line["step"] for line in samples_of(log)] == [0, 2, 4]


def test_more_samples_than_validation_rows_are_all_of_them(tmp_path):
    """A small validation split is no reason to refuse a training."""
    trainer, _ = build_trainer(config(train__sample_rows=99), smoke.dataset(validation=4), tmp_path)
    samples = [each for each in trainer.callback_handler.callbacks if hasattr(each, "prompts")]
    assert len(samples[0].prompts) == 4


@pytest.mark.slow
def test_time_of_samples_is_no_training_time(tmp_path, monkeypatch):
    """Tokens/s would fall with every sample, and trainings with and without them could not be compared."""
    honest = samples.generate_batch
    monkeypatch.setattr(samples, "generate_batch", lambda *args: time.sleep(0.7) or honest(*args))
    trainer, _ = build_trainer(config(train__sample_rows=1), smoke.dataset(), tmp_path)
    trainer.train()
    assert trainer.paused >= 2.1 and trainer.progress.step_seconds < 2.1


def test_every_reader_of_the_log_accepts_samples(tmp_path):
    """A plot that fails at the end of a training makes the whole stage fail."""
    lines = [{"step": 0, "samples": [], "rougeL": 0.125, "stops": 0.0}, {"step": 1, "loss": 2.5, "tokens_per_s": 7},
             {"step": 1, "validation_loss": 2.0, "tokens_per_s": 8}, {"step": 1, "rougeL": 0.25, "stops": 1.0}]  # fmt: skip
    (tmp_path / "train_log.jsonl").write_text("".join(f"{line}\n" for line in lines).replace("'", '"'))
    assert last_rate(tmp_path) == 8
    figure = plots.loss_plot(read_jsonl(tmp_path / "train_log.jsonl"), tmp_path / "loss.png")
    assert "ROUGE-L of the samples: 0.125 at step 0, 0.250 at the end" in figure.alt and len(figure.axes) == 2
    assert len(plots.loss_plot(lines[1:3]).axes) == 1


def test_a_sample_cannot_write_to_the_terminal():
    """A model that generates an escape sequence would recolor or clear the screen of who trains it."""
    assert samples.printable("a\x1b[2J b\n\tc ") == "a [2J b c"
