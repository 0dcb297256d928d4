"""Five steps before the training, and the ladder: what is said must be true, and nothing of it may change the training."""

import pytest
import smoke
import torch
from safetensors.torch import load_file

from ftlib.runtime import hardware
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import read_json
from ftlib.training import checkpoints, fine_tuning, oom_fallback
from ftlib.training.dry_run import choose, expectation, format_duration, plan, probe
from ftlib.training.oom_fallback import OutOfMemory
from ftlib.training.trainer import ExamplesTrainer

SHORT = {
    "train.max_steps": 4,
    "train.eval_steps": 2,
    "train.save_steps": 2,
    "train.examples_per_step": 4,
    "train.eval_rows": 4,
}


def trained(folder, **overrides) -> tuple[dict, dict]:
    """(what the manifest records, the adapter's weights) of a training of a few steps."""
    result = fine_tuning.train(smoke.Config.load("smoke", env={}, **SHORT | overrides), smoke.dataset(), folder)
    return result, load_file(folder / "adapter_model.safetensors")


def built(folder, **overrides) -> ExamplesTrainer:
    return fine_tuning.build_trainer(smoke.Config.load("smoke", env={}, **SHORT | overrides), smoke.dataset(), folder)[
        0
    ]


@pytest.fixture
def always(monkeypatch):
    """The probe before every training, however short."""
    monkeypatch.setattr(oom_fallback, "ENOUGH", 1)


@pytest.fixture
def small_memory(monkeypatch, always):
    """A function: from now on a batch of more slots than this runs out of memory, without checkpointing of half as many."""

    def hold(slots: int) -> None:
        compute_loss = ExamplesTrainer.compute_loss

        def held(self, model, inputs, *args, **kwargs):
            if inputs["input_ids"].numel() * (1 if model.is_gradient_checkpointing else 2) > slots:
                raise torch.OutOfMemoryError("stand-in for a full GPU")
            return compute_loss(self, model, inputs, *args, **kwargs)

        monkeypatch.setattr(ExamplesTrainer, "compute_loss", held)

    return hold


@pytest.mark.parametrize("overrides", [{"train.micro_batch": 2}, {"train.compile": True}], ids=["plain", "fast"])
def test_the_training_is_the_one_without_a_probe(tmp_path, monkeypatch, overrides):
    """A measurement that moved weights or random numbers would train another model wherever it is taken."""
    overrides |= {"lora.dropout": 0.1}  # draws random numbers in every pass
    _, without = trained(tmp_path / "without", **overrides)
    monkeypatch.setattr(oom_fallback, "ENOUGH", 1)
    result, after = trained(tmp_path / "after", **overrides)
    assert result["expected_seconds"] > 0 and result["expected_peak_gib"] > 0
    assert without.keys() == after.keys() and all(torch.equal(without[name], after[name]) for name in without)


def test_the_trainer_is_left_as_it_was(tmp_path):
    """Tokens that only the probe saw would be counted into the training's speed, and its gradients into step 1."""
    trainer = built(tmp_path)
    before = {name: weight.clone() for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    found = probe(trainer)
    assert (trainer.tokens, trainer.slots, trainer.paused) == (0, 0, 0.0)
    assert all(torch.equal(dict(trainer.model.named_parameters())[name], old) for name, old in before.items())
    assert all(weight.grad is None for weight in trainer.model.parameters())
    assert "forward" not in trainer.model.__dict__, "the probe's mixed precision is still around the model"
    assert (found["steps"], found["validations"]) == (4, 2)
    assert (probe(trainer, done=3)["steps"], probe(trainer, done=3)["validations"]) == (1, 1)


@pytest.mark.parametrize("batching", ["packed", "padded", "grouped"])
def test_no_batch_of_the_training_is_larger_than_the_one_that_was_tried(tmp_path, batching):
    """A larger one at step 400 would run out of memory after all."""
    trainer = built(
        tmp_path, **{"train.batching": batching, "train.micro_batch": 2, "train.max_steps": 8, "train.eval_steps": None}
    )
    largest, typical = choose(trainer, plan(trainer))
    assert (len(largest), len(typical)) == (2, 3)
    collate, seen = trainer.data_collator, []

    def sizes(batch):
        return collate([trainer.train_dataset[place] for place in batch])["input_ids"].numel()

    tried = [sizes(batch) for batch in largest[0]]
    assert tried[-1] == max(tried), "the largest batch meets no gradients of the ones before it"
    trainer.data_collator = lambda examples: seen.append(collate(examples)) or seen[-1]
    trainer.train()
    assert max(batch["input_ids"].numel() for batch in seen) == tried[-1]


def test_a_short_training_just_begins(tmp_path, capsys):
    """On a CPU five steps of forty would cost a minute to save none."""
    result, _ = trained(tmp_path)
    said = capsys.readouterr().out
    assert "expected:" not in said and "took: " in said and "peak memory" in said
    assert result["expected_seconds"] is None and result["peak_gib"] > 0 and result["adjusted"] == {}


def test_a_process_whose_step_fits_goes_down_with_one_whose_does_not(tmp_path, monkeypatch):
    """Two GPUs with different settings would wait for each other for ever."""
    trainer = built(tmp_path)
    monkeypatch.setattr("ftlib.training.dry_run.distributed.total", lambda values: [value + 1.0 for value in values])
    with pytest.raises(torch.OutOfMemoryError, match="the largest step"):
        probe(trainer)


def test_words():
    """An expectation that hides what it leaves out is taken for a promise."""
    assert [format_duration(s) for s in (0.4, 59.4, 130, 3600 + 300)] == ["0 s", "59 s", "2 min 10 s", "1 h 5 min"]
    found = {"steps": 1040, "seconds_per_step": 0.12, "validations": 5, "seconds_per_validation": 1.04}
    said = expectation(found | {"expected_seconds": 130, "peak_gib": 8.12})
    assert said.startswith(
        "expected: 2 min 10 s for 1040 steps (0.12 s a step, measured over 3, 5 validations of 1 s, "
    )
    assert "saving left out), peak memory 8.1 GiB of " in said


def test_the_ladder_goes_down_until_the_step_fits_and_says_why(tmp_path, small_memory, capsys):
    """A profile that is too large for this GPU must train all the same, and the manifest must say what was given up."""
    small_memory(2 * 256)
    result, weights = trained(tmp_path, **{"train.batching": "padded"})
    assert result["adjusted"] == {"train.micro_batch": 2} and result["stopped_at_step"] == 4
    assert result["reasons"]["train.micro_batch"].startswith("2: 4 examples at once did not fit in ")
    assert "note: train.micro_batch = 2: 4 examples" in capsys.readouterr().out
    assert all(torch.isfinite(weight).all() for weight in weights.values())


@pytest.mark.slow
def test_the_fast_step_is_dropped_first_and_activations_are_recomputed_last(tmp_path, small_memory, monkeypatch):
    """Recomputing costs more time than smaller passes, and those more than a plain step."""

    def full(self, batch, count):
        raise torch.OutOfMemoryError("stand-in for a full GPU")

    monkeypatch.setattr("ftlib.training.compiled_step.FixedStep.__call__", full)
    small_memory(256)  # one packed row, its activations recomputed
    cfg = smoke.Config.load("smoke", inherited={"train": {"compile": True}}, env={}, **SHORT)
    result = fine_tuning.train(cfg, smoke.dataset(), tmp_path)
    assert list(result["adjusted"]) == ["train.compile", "train.micro_batch", "train.checkpointing"]
    assert list(result["adjusted"].values()) == [False, 1, True] and result["stopped_at_step"] == 4


@pytest.mark.parametrize(
    ("setting", "way"),
    [({"train.micro_batch": 4}, "set train.micro_batch=2"), ({"train.compile": True}, "set train.compile=false")],
    ids=["micro_batch", "compile"],
)
def test_what_the_user_set_is_refused_and_not_changed(tmp_path, always, monkeypatch, setting, way):
    """Whoever set a value must not find out from a table that another one was trained with."""
    monkeypatch.setattr(oom_fallback, "probe", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(OutOfMemory, match=f"set by you.*did not fit in .* GiB of memory; {way}, or set .*max_length"):
        trained(tmp_path, **setting)


def test_the_end_of_the_ladder_says_what_to_set(tmp_path, small_memory):
    """'CUDA out of memory' tells a student nothing that could be done."""
    small_memory(100)
    with pytest.raises(OutOfMemory, match=r"one example.*set a smaller train.max_length \(now 256\).* model.name"):
        trained(tmp_path)


def test_an_interrupted_training_goes_on_with_the_rung_that_it_was_begun_with(tmp_path, small_memory, monkeypatch):
    """With the memory free again, another plan of steps would be resumed in the middle."""
    small_memory(2 * 256)
    begin = fine_tuning.Progress.on_step_begin

    def stop(self, args, state, control, **kwargs):
        if state.global_step == 3:
            raise KeyboardInterrupt
        begin(self, args, state, control, **kwargs)

    monkeypatch.setattr(fine_tuning.Progress, "on_step_begin", stop)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, **{"train.batching": "padded"})
    monkeypatch.undo()
    kept = read_json(tmp_path / checkpoints.CHECKPOINTS / oom_fallback.ADJUSTED)
    assert kept["micro_batch"]["value"] == 2
    result, _ = trained(tmp_path, **{"train.batching": "padded"})
    assert result["resumed_from_step"] == 2 and result["adjusted"] == {"train.micro_batch": 2}


def test_memory_that_runs_out_in_the_training_is_an_error_that_says_what_to_do(tmp_path, small_memory, monkeypatch):
    """A short training is not probed; its user should not get a traceback either."""
    small_memory(100)
    monkeypatch.setattr(oom_fallback, "ENOUGH", 100)
    with pytest.raises(OutOfMemory, match="train.checkpointing=true or a smaller train.micro_batch"):
        trained(tmp_path)


def test_the_cap_on_gpu_memory_counts_as_the_memory_there_is(monkeypatch):
    """A 16-bit base chosen for 80 GiB would not train within the 14 that were allowed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (70 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda *_: 2 * 2**30)
    assert hardware.free_gpu_gib() == 70
    monkeypatch.setenv("FTLIB_GPU_MEMORY_GIB", "14")
    assert hardware.free_gpu_gib() == 12
    for wrong in ("much", "0", "-3", "inf"):
        monkeypatch.setenv("FTLIB_GPU_MEMORY_GIB", wrong)
        with pytest.raises(FtlibError, match=f"FTLIB_GPU_MEMORY_GIB={wrong}: write a number of GiB above 0"):
            hardware.free_gpu_gib()
