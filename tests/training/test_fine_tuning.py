"""The training itself, on the tiny random model in real NF4. It learns nothing; the mechanics are what is tested."""

import json

import pytest
import smoke
import torch
from datasets import Dataset
from safetensors.torch import load_file
from smoke import FAST
from torch import nn

from ftlib.models.base_models import fetch
from ftlib.models.likelihood import answer_loss, answer_nll, mean_nll
from ftlib.models.loading import check_model, load_base, load_nf4, load_plain, precision, weight_bytes
from ftlib.prompts.encoding import encode_rows
from ftlib.prompts.packing import make_collator
from ftlib.runtime.files import read_jsonl
from ftlib.training import checkpoints, fine_tuning


def weights(folder) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def test_our_loss_equals_trls_on_the_same_rows(tmp_path):
    """Our own labels and loss are worth teaching only if the well-kept library arrives at the same number."""
    from trl import SFTConfig, SFTTrainer

    tok, rows = smoke.tokenizer("no_bos"), smoke.rows(6)
    ours = encode_rows(tok, rows, smoke.config().train)
    turns = [
        {
            "prompt": [{"role": "user", "content": row["input_text"]}],
            "completion": [{"role": "assistant", "content": row["target_text"]}],
        }
        for row in rows
    ]
    arguments = SFTConfig(
        per_device_eval_batch_size=6,
        max_length=512,
        use_cpu=True,
        bf16=False,
        report_to="none",
        output_dir=str(tmp_path),
    )
    model = load_plain(fetch("tiny:llama"), "float32")
    theirs = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(turns),
        eval_dataset=Dataset.from_list(turns),
        processing_class=tok,
    )
    assert [row["input_ids"] for row in theirs.eval_dataset] == [row["input_ids"] for row in ours]
    expected = theirs.evaluate()["eval_loss"]
    assert mean_nll(*answer_nll(model, ours, tok.pad_token_id, 512)) == pytest.approx(expected, rel=1e-5)
    batch = make_collator("packed", tok.pad_token_id, 512)(ours)
    logits = model(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
    assert answer_loss(logits, batch["labels"]).item() == pytest.approx(expected, rel=1e-5)


def test_interrupted_training_ends_with_the_weights_of_an_unbroken_one(tmp_path, monkeypatch):
    """A Colab session that dies at step 2 must not give another model than one that lives."""
    data, cfg = smoke.dataset(), smoke.config(**FAST)
    fine_tuning.train(cfg, data, tmp_path / "unbroken")

    class Interrupted(Exception):
        pass

    begin = fine_tuning.Progress.on_step_begin

    def stop(self, args, state, control, **kwargs):
        if state.global_step == 3:  # after the checkpoint of step 2
            raise Interrupted
        begin(self, args, state, control, **kwargs)

    monkeypatch.setattr(fine_tuning.Progress, "on_step_begin", stop)
    with pytest.raises(Interrupted):
        fine_tuning.train(cfg, data, tmp_path / "broken")
    monkeypatch.undo()
    result = fine_tuning.train(cfg, data, tmp_path / "broken")
    assert result["resumed_from_step"] == 2
    unbroken, resumed = weights(tmp_path / "unbroken"), weights(tmp_path / "broken")
    assert unbroken.keys() == resumed.keys()
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    steps = [line["step"] for line in read_jsonl(tmp_path / "broken" / "train_log.jsonl") if "loss" in line]
    assert steps == [1, 2, 3, 4]


def test_training_writes_what_the_manifest_and_the_reader_need(tmp_path):
    """A run without its log, its plot or its costs cannot be compared with another."""
    result = fine_tuning.train(smoke.config(**FAST), smoke.dataset(), tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "train_log.jsonl", "trained_uids.txt"} <= written
    assert "README.md" not in written  # PEFT's would name a folder of this machine
    assert not (tmp_path / "checkpoints").exists()
    assert result["stopped_at_step"] == 4 and result["tokens"] > 0 and result["tokens_per_s"] > 0
    assert 0.3 < result["padding_efficiency"] <= 1
    assert result["trainable_parameters"] == sum(w.numel() for w in weights(tmp_path).values())
    log = read_jsonl(tmp_path / "train_log.jsonl")
    assert result["validation_loss"] == pytest.approx(
        min(e["validation_loss"] for e in log if "validation_loss" in e), abs=1e-4
    )
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny:llama"


@pytest.mark.parametrize(
    "change",
    [
        {"train__batching": "grouped"},
        {"train__batching": "padded", "train__loss_on": "all", "train__label_eos": False},
        {"train__micro_batch": 2},
        {"train__checkpointing": True},
        {"lora__modules_to_save": ("lm_head", "embed_tokens")},
        {"train__max_steps": None, "train__epochs": 0.5, "train__eval_steps": None},
    ],
    ids=lambda change: next(iter(change)).split("__")[1],
)
def test_every_way_to_train_runs(tmp_path, change):
    """A setting that is documented but crashes at step 1 costs a student the evening."""
    change = {key: list(value) if isinstance(value, tuple) else value for key, value in change.items()}
    cfg = smoke.Config.load("smoke", env={}, **(FAST | {"train__max_steps": 2} | change))
    result = fine_tuning.train(cfg, smoke.dataset(), tmp_path)
    assert result["stopped_at_step"] == result["steps"]
    assert all(torch.isfinite(weight).all() for weight in weights(tmp_path).values())


def test_micro_batches_give_the_same_step_as_one_batch(tmp_path):
    """Averaging per micro-batch instead of per token would weigh short descriptions more (a known fault of accumulation)."""
    found = []
    for name, micro in (("whole", None), ("parts", 2)):
        cfg = smoke.config(**FAST, train__micro_batch=micro)
        fine_tuning.train(cfg, smoke.dataset(), tmp_path / name)
        found.append([line["loss"] for line in read_jsonl(tmp_path / name / "train_log.jsonl") if "loss" in line])
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_an_untrained_adapter_changes_nothing():
    """B starts at zero: if step 0 differs from the base, the 'before' of the comparison is not the base."""
    cfg = smoke.config()
    base = load_base(cfg, precision(cfg))
    ids = torch.tensor([smoke.examples(1)[0]["input_ids"]])
    with torch.no_grad():
        before = base(ids, use_cache=False).logits
        after = fine_tuning.add_adapter(base, cfg).eval()(ids, use_cache=False).logits
    assert torch.equal(before, after)


def test_trainable_weights_are_float32_and_the_base_is_frozen():
    """fp16 trainable weights stop fp16 training with 'Attempting to unscale FP16 gradients' (peft#341)."""
    cfg = smoke.Config.load("smoke", env={}, lora__modules_to_save=["lm_head"])
    model = fine_tuning.add_adapter(load_base(cfg, precision(cfg)), cfg)
    trainable = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert {weight.dtype for weight in trainable.values()} == {torch.float32}
    assert all("lora_" in name or "modules_to_save" in name for name in trainable)


def test_validation_counts_the_same_tokens_whatever_was_trained_on(tmp_path):
    """The seed recipe's own labels would make its validation loss look small beside ours."""
    losses = []
    for labels in ({}, {"train__loss_on": "all", "train__label_eos": False}):
        trainer, _ = fine_tuning.build_trainer(smoke.config(**FAST, **labels), smoke.dataset(), tmp_path)
        losses.append(mean_nll(*answer_nll(trainer.model, trainer.validation, trainer.pad_id, trainer.row_length)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_tied_model_with_saved_modules_is_refused_before_anything_is_loaded(monkeypatch):
    """PEFT would train two separate copies of one tied matrix, and the merged model would grow by a fifth."""
    from types import SimpleNamespace

    monkeypatch.setattr(
        "ftlib.models.loading.load_model_config", lambda name: SimpleNamespace(tie_word_embeddings=True)
    )
    cfg = smoke.Config.load("smoke", env={}, lora__modules_to_save=["lm_head"])
    with pytest.raises(Exception, match=r"lora.modules_to_save = \['lm_head'\].*tie_saved_modules=true"):
        check_model(cfg)
    check_model(smoke.Config.load("smoke", env={}, lora__modules_to_save=["lm_head"], lora__tie_saved_modules=True))


def test_a_half_written_checkpoint_is_not_resumed_from(tmp_path):
    """A session killed while saving leaves a folder without trainer_state.json; loading it would crash every later try."""
    for step, whole in ((2, True), (10, True), (12, False)):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        if whole:
            (folder / "trainer_state.json").write_text("{}")
    assert checkpoints.last_checkpoint(tmp_path).name == "checkpoint-10"
    assert checkpoints.last_checkpoint(tmp_path / "nothing") is None


def test_early_stopping_stops(tmp_path):
    """Asked to stop when validation no longer improves, it must not train on to the last step."""
    cfg = smoke.config(**(FAST | {"train__max_steps": 20}), train__early_stopping=1, train__learning_rate=1e-12)
    assert fine_tuning.train(cfg, smoke.dataset(), tmp_path)["stopped_at_step"] < 20


def test_training_leaves_its_settings_as_they_were():
    """peft takes tied modules out of the list it is given, and a run with other settings than before is trained again."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    tied = LlamaForCausalLM(LlamaConfig(vocab_size=32, tie_word_embeddings=True, **sizes))
    saved = ["embed_tokens", "lm_head"]
    cfg = smoke.Config.load("smoke", env={}, lora__modules_to_save=saved.copy(), lora__tie_saved_modules=True)
    fine_tuning.add_adapter(tied, cfg)
    assert cfg.lora.modules_to_save == saved


def test_the_memory_of_the_weights_counts_all_of_nf4():
    """ "Four bits save 75 %" is said of linear layers alone: constants of blocks, embeddings and norms take memory too."""
    plain, nf4 = load_plain(fetch("tiny:llama"), "float16"), load_nf4(fetch("tiny:llama"), "float16", "cpu")
    sizes = [
        module.weight.numel()
        for layer in plain.model.layers
        for module in layer.modules()
        if isinstance(module, nn.Linear)
    ]
    assert weight_bytes(plain) == 2 * sum(weight.numel() for weight in plain.parameters())
    # half a byte a weight, a byte for each block of 64, 4 for each 256 blocks; two tables of values, and an offset
    packed = sum(size // 2 + size // 64 + 4 * -(-size // 64 // 256) + 4 * (16 + 256 + 1) for size in sizes)
    assert weight_bytes(nf4) == weight_bytes(plain) - 2 * sum(sizes) + packed


@pytest.mark.parametrize("fast", [False, True], ids=["plain step", "fast step"])
def test_a_loss_that_is_no_number_stops_with_its_rows(tmp_path, fast):
    """A night's training on numbers that are none ends with a model that answers nothing, and nobody knows since when."""
    cfg = smoke.config(**{"train.learning_rate": 1e30, "train.compile": fast, "model.quantization": "none"})
    with pytest.raises(
        fine_tuning.TrainingFailed, match=r"the loss of step \d+ is (nan|inf).*smaller train.learning_rate"
    ) as error:
        fine_tuning.train(cfg, smoke.dataset(), tmp_path)
    named = [row["uid"] for row in smoke.dataset()["train"] if row["uid"] in str(error.value)]
    assert 0 < len(named) <= fine_tuning.SHOWN_UIDS
    for path in tmp_path.rglob("adapter_model.safetensors"):  # a checkpoint that would be taken up
        assert all(weight.isfinite().all() for weight in load_file(path).values())


@pytest.mark.parametrize("auto", [True, False])
def test_memory_that_runs_out_on_the_way(tmp_path, monkeypatch, auto, capsys):
    """One long batch after hours of training: without the flag one line says what to do, with it the training resumes."""
    honest = fine_tuning.ExamplesTrainer.training_step

    def greedy(self, *args, **kwargs):
        if self.state.global_step >= 4 and self.args.per_device_train_batch_size > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, *args, **kwargs)

    monkeypatch.setattr(fine_tuning.ExamplesTrainer, "training_step", greedy)
    monkeypatch.setenv("FTLIB_AUTO_BATCH", str(int(auto)))
    cfg = smoke.config()
    if not auto:
        with pytest.raises(fine_tuning.OutOfMemory, match="--auto-batch.*train.micro_batch.*lora.r"):
            fine_tuning.train(cfg, smoke.dataset(), tmp_path)
        return
    made = fine_tuning.train(cfg, smoke.dataset(), tmp_path)
    assert (
        made["adjusted"] == {"train.micro_batch": 8} and "16 examples at once" in made["reasons"]["train.micro_batch"]
    )
    assert made["stopped_at_step"] == cfg.train.max_steps and made["resumed_from_step"] == 3
    assert "note: train.micro_batch = 8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("share", "steps", "whole"), [(0.07, 100, 7), (1.1, 10, 11), (0.03, 50, 2), (0.0, 80, 0), (2.0, 7, 14)]
)
def test_a_share_of_the_steps_is_not_rounded_up_for_a_rounding_error(share, steps, whole):
    """7 % of 100 steps warm up for 8: no other program that is given the same settings trains the same way."""
    assert fine_tuning.whole_steps(share * steps) == whole


def test_epochs_are_counted_in_whole_steps(settings):
    """1.1 epochs of 10 steps become 12 steps."""
    cfg = settings(**{"train.epochs": 1.1, "train.max_steps": None, "train.examples_per_step": 16})
    assert fine_tuning.count_steps(cfg, 160) == 11 and fine_tuning.count_steps(cfg, 161) == 13


def test_a_training_that_skipped_all_steps_is_refused(tmp_path, monkeypatch):
    """In float16 every step of a short run may overflow: the adapter is then the untrained one, and no error says so."""
    monkeypatch.setattr("accelerate.Accelerator.optimizer_step_was_skipped", True)
    with pytest.raises(fine_tuning.TrainingFailed, match="overflowed in all 4 steps"):
        fine_tuning.train(smoke.config(**smoke.FAST), smoke.dataset(), tmp_path)
