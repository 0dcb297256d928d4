"""The fast step computes what the plain step computes: same rows, same loss, same gradients."""

import copy
import functools
import random
from types import SimpleNamespace

import flash_attention
import pytest
import smoke
import torch

from ftlib.config.settings import Config, ConfigError
from ftlib.models import segment_attention
from ftlib.models.likelihood import answer_loss
from ftlib.models.loading import Precision, load_base, precision
from ftlib.prompts.encoding import IGNORED
from ftlib.prompts.packing import (
    LEAST_SHARED,
    PackedSteps,
    PackingCollator,
    plan_steps,
    row_length_for,
    rows_for,
    to_flat,
)
from ftlib.training.compiled_step import (
    FixedStep,
    PlainLayers,
    block_mask,
    can_compile,
    shared_beginning,
    step_plan,
)
from ftlib.training.fine_tuning import add_adapter
from ftlib.training.fused_lora import FusedLayers

ROW = 256


@pytest.fixture(scope="module")
def model():
    return adapted(smoke.config(**{"model.quantization": "none", "model.dtype": "float32", "train.bf16": False}))


def adapted(cfg: Config):
    made = add_adapter(load_base(cfg, precision(cfg)), cfg)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # B away from zero, or half of the gradients would be zero; magnitudes away from the base's
        for name, weight in made.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1, generator=generator)
            elif "magnitude" in name:
                weight.mul_(1 + 0.2 * torch.rand(weight.shape, generator=generator))
    return made


def gradients(model) -> dict:
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("join", [False, True], ids=["layers of transformers", "joined products"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_loss_and_gradients_are_those_of_the_plain_step(model, join, compiled, monkeypatch):
    """A fast step that trains something else is a fast way to a worse model."""
    traced = functools.partial(torch.compile, backend="aot_eager")  # what compiling does, without its minutes
    monkeypatch.setattr(torch, "compile", traced)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **_: None)
    step = FixedStep(copy.deepcopy(model), None, compiled, graph=False, join=join)
    check_step(step, model)


def items_of(examples: list, shared: int) -> PackedSteps:
    """One step of all examples: rows of their own, or one long row after the tokens that they share."""
    lengths = [len(example["input_ids"]) - shared for example in examples]
    rows, row_length = (1, sum(lengths) + 300) if shared else (9, ROW)
    steps = plan_steps(lengths, list(range(len(examples))), rows, row_length)
    assert len(steps) == 1
    return PackedSteps(examples, steps, row_length, 0, shared=shared, longest=ROW)


def check_step(step: FixedStep, model, shared: int = 0) -> None:
    """Loss and every gradient of a step on a copy of the model are those of PEFT's layers in the plain step."""
    examples = smoke.examples(9)
    batch = items_of(examples, shared)[0]
    count = (batch["labels"] != IGNORED).sum()
    fast = step(batch, count)
    names = [name for name, weight in step.model.named_parameters() if weight.requires_grad]
    of_fast = dict(zip(names, step.flat._parts(step.flat.vector.grad), strict=True))
    plain = PackingCollator(0, ROW)(examples)
    logits = model(plain["input_ids"], position_ids=plain["position_ids"], use_cache=False).logits
    loss = answer_loss(logits, plain["labels"])
    loss.backward()
    of_plain = gradients(model)
    assert fast.item() == pytest.approx(loss.item(), rel=1e-5) and of_fast.keys() == of_plain.keys()
    assert all(torch.allclose(of_fast[name], of_plain[name], rtol=1e-3, atol=1e-6) for name in of_plain)


@pytest.mark.parametrize("attention", ["mask", "segments"])
@pytest.mark.parametrize("join", [False, True], ids=["layers of transformers", "joined products"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_tokens_computed_once_give_the_gradients_of_tokens_computed_for_each_example(
    model, join, attention, compiled, monkeypatch
):
    """A shared beginning that misses the gradient of an example, or sees another one, is another training."""
    traced = functools.partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", traced)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **_: None)
    step = FixedStep(copy.deepcopy(model), None, compiled, graph=False, join=join, longest=ROW)
    if attention == "segments":
        stand_in = torch.compiler.disable(flash_attention.example_after_example)
        monkeypatch.setattr(segment_attention, "varlen", stand_in)
        step.layers.mask_dtype, step.layers.dtype = None, torch.float32
        check_step(step, model)
    shared = shared_beginning(model.eval(), to_flat(smoke.examples(9)))
    assert shared >= LEAST_SHARED
    check_step(step, model, shared)


def test_gradients_of_keys_that_no_segment_uses_are_left_out():
    """FlashAttention never writes them: what memory held before would be trained."""
    shared, starts = 3, torch.tensor([0, 3, 5, 9, 9])  # the shared tokens, two segments, and none
    key_starts = torch.tensor([0, 3, 8, 15, 15])
    keys = torch.tensor([0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 5, 6, 7, 8, 0, 0, 0])
    places = torch.tensor([6, 7, 11, 12, 13, 14])
    x = torch.randn(starts[-1], 2, 4, dtype=torch.float64, requires_grad=True)
    seen = segment_attention.SeenKeys.apply(x, key_starts, keys, places)
    assert torch.equal(seen, x[keys])
    weights = torch.randn_like(seen)
    (wanted,) = torch.autograd.grad((x[keys[:15]] * weights[:15]).sum(), x)
    weights[15:] = torch.nan
    (found,) = torch.autograd.grad(seen, x, weights)
    assert torch.allclose(found, wanted) and found[:shared].abs().sum() > 0


def test_dropout_and_loss_on_the_prompt_share_nothing(model):
    """One dropout for all examples, or a label of the prompt counted once, is another training."""
    examples = to_flat(smoke.examples(9))
    assert shared_beginning(model.eval(), examples)
    dropout = copy.deepcopy(model).train()
    dropout.get_submodule("base_model.model.lm_head").add_module("dropout", torch.nn.Dropout(0.1))
    assert shared_beginning(dropout, examples) == 0
    labeled = [example | {"labels": list(example["input_ids"])} for example in smoke.examples(9)]
    assert shared_beginning(model.eval(), to_flat(labeled)) == 0


def test_a_row_of_any_length_holds_the_asked_number_of_examples():
    """A row that holds twice as many examples halves the steps; one that is no multiple of a tile computes padding."""
    draw = random.Random(2)
    lengths = [min(int(draw.lognormvariate(5.0, 0.6)), 466) for _ in range(3000)]
    for wanted in (8, 16, 64):
        row_length = row_length_for(lengths, wanted, 46)
        steps = plan_steps(lengths, list(range(3000)), 1, row_length)
        assert abs(3000 / len(steps) - wanted) <= 0.6 and (row_length + 46) % 128 == 0
        assert sum(lengths) / len(steps) > 0.96 * row_length, "the rows are not full"
    assert row_length_for([500, 20], 1, 0) == 512, "no row is shorter than an example"


MLP = ["gate_proj", "up_proj", "down_proj"]


@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize("modules", ["all-linear", MLP], ids=["all", "mlp"])
@pytest.mark.parametrize("variant", ["lora", "dora"])
def test_every_adapter_is_trained_as_peft_trains_it(variant, modules, quantization):
    """A step that drops DoRA's magnitudes, or trains layers that have no adapter, is another recipe under its name."""
    settings = {"model.dtype": "float32", "train.bf16": False, "model.quantization": quantization}
    lora = {"lora.variant": variant, "lora.target_modules": modules}
    model = adapted(Config.load("smoke", env={}, **settings, **lora))
    magnitudes = [name for name, weight in model.named_parameters() if "magnitude" in name and weight.requires_grad]
    assert bool(magnitudes) == (variant == "dora")
    step = FixedStep(copy.deepcopy(model), None, compiled=False, graph=False)
    joined = (variant, modules, quantization) == ("lora", "all-linear", "none")
    assert isinstance(step.layers, FusedLayers if joined else PlainLayers)
    check_step(step, model)


def test_an_adapter_on_the_output_layer_is_refused():
    """The compiled step multiplies with the output layer's weight: its LoRA matrices would never be trained."""
    bf16 = Precision("float32", "none", fp16=False, bf16=True, reasons={})
    for modules, fits in ((["q_proj", "lm_head"], False), (["q_proj"], True)):
        lora = {"model.quantization": "none", "lora.target_modules": modules}
        cfg = Config.load("smoke", env={}, **{"train.compile": True}, **lora)
        if fits:
            assert can_compile(cfg, bf16, adapted(cfg))
        else:
            with pytest.raises(ConfigError, match=r"train\.compile = true: lora\.target_modules has the output layer"):
                can_compile(cfg, bf16, adapted(cfg))


def test_what_the_optimizer_moves_is_what_the_model_uses(model):
    """An optimizer that trains a copy which nobody uses reports a loss that never falls."""
    flat = FixedStep(copy.deepcopy(model), None, compiled=False, graph=False).flat

    def tied() -> bool:
        return all(
            torch.equal(weight, part) for weight, part in zip(flat.weights, flat._parts(flat.vector), strict=True)
        )

    with torch.no_grad():
        flat.vector.add_(1.0)
    assert tied()
    flat.weights[3].data = flat.weights[3].data + 1.0  # moved, as accelerate does it
    assert not tied()
    flat.tie()
    with torch.no_grad():
        flat.vector.mul_(2.0)
    assert tied()


def test_parts_of_a_row_do_not_see_each_other():
    """With a leaking mask each description would be learned with another product's text before it."""
    mask = block_mask(torch.tensor([[0, 1, 2, 0, 1, 0]]), torch.float32)[0, 0]
    seen = [[int(value == 0) for value in row] for row in mask]
    assert seen == [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0],
                    [0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]]  # fmt: skip


def test_every_example_is_trained_on_once_in_steps_of_one_shape():
    """An example lost or doubled by the packing would change the data set without a word."""
    draw = random.Random(0)
    lengths = [draw.randint(60, 512) for _ in range(700)]
    order = draw.sample(range(700), 700)
    steps = plan_steps(lengths, order, 7, 512)
    assert sorted(member for step in steps for row in step for member in row) == list(range(700))
    assert all(len(step) == 7 and all(sum(lengths[m] for m in row) <= 512 for row in step) for step in steps)
    with pytest.raises(ValueError, match="does not fit in rows of 512"):
        plan_steps([513], [0], 2, 512)


def test_steps_hold_the_asked_number_of_examples_on_average():
    """Rows that hold twice as many examples halve the steps, and the learning rate no longer fits."""
    draw = random.Random(1)
    lengths = [min(int(draw.lognormvariate(5.1, 0.6)), 512) for _ in range(3000)]
    for wanted in (16, 64):
        rows = rows_for(lengths, wanted, 512)
        steps = plan_steps(lengths, list(range(3000)), rows, 512)
        assert abs(3000 / len(steps) - wanted) <= 1.5
        tokens = sum(lengths) / (len(steps) * rows * 512)
        assert tokens > 0.93, "the rows are not full"


def test_processes_that_take_turns_share_the_rows_of_one_step():
    """Two GPUs that each took a whole step would train with twice the batch."""
    examples = smoke.examples(16)
    lengths = [len(example["input_ids"]) for example in examples]
    plan = plan_steps(lengths, list(range(16)), 4, ROW)
    whole, shared = (PackedSteps(examples, plan, ROW, 0, processes) for processes in (1, 2))
    assert len(shared) == 2 * len(whole)
    for step in range(len(whole)):
        halves = torch.cat([shared[2 * step]["input_ids"], shared[2 * step + 1]["input_ids"]])
        assert torch.equal(halves, whole[step]["input_ids"])


def test_epochs_have_orders_of_their_own_and_steps_are_as_many_as_asked():
    """The same order in every epoch teaches it, and a plan that is too short ends a training early."""
    cfg = smoke.config(**{"train.max_steps": 7, "train.compile": True})
    steps = step_plan(cfg, [100] * 10, 2)
    assert len(steps) == 7 and steps == step_plan(cfg, [100] * 10, 2)
    cfg = smoke.config(**{"train.max_steps": None, "train.epochs": 2.0, "train.compile": True})
    members = [member for step in step_plan(cfg, [100] * 10, 2) for row in step for member in row]
    assert len(members) == 20 and sorted(members) == sorted([*range(10), *range(10)])


def test_a_profile_falls_back_and_a_user_is_refused(capsys):
    """A model that scales its logits would be trained without the scaling, and nobody would see why it is worse."""
    gemma = SimpleNamespace(config=SimpleNamespace(model_type="gemma2"))
    asked, profile = smoke.config(**{"train.compile": True}), Config.load("gpu", env={})
    bf16, fp16 = (Precision("float32", "none", fp16=not on, bf16=on, reasons={}) for on in (True, False))
    with pytest.raises(ConfigError, match="this model is gemma2"):
        can_compile(asked, bf16, gemma)
    assert not can_compile(profile, bf16, gemma) and "trained without train.compile" in capsys.readouterr().out
    llama = SimpleNamespace(config=SimpleNamespace(model_type="llama"))
    assert can_compile(profile, bf16, llama) and not can_compile(profile, fp16, llama)


def test_settings_that_a_fixed_step_cannot_have_are_refused(settings):
    """A micro-batch that is silently ignored runs out of memory where its user had made sure it would not."""
    with pytest.raises(ConfigError, match="train.batching = packed"):
        settings(**{"train.compile": True, "train.batching": "padded"})
