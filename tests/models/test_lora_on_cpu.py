"""LoRA layers on NF4 layers on a CPU."""

import bitsandbytes as bnb
import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora.bnb import Linear4bit

from ftlib.models import lora_on_cpu, nf4_on_cpu


def adapted(dtype=torch.float32, bias=False, **options):
    """A module with one NF4 layer and an adapter on it that is not zero, computed by PEFT."""
    torch.manual_seed(0)
    layer = bnb.nn.Linear4bit(128, 192, bias=bias, compute_dtype=dtype, quant_type="nf4")
    weight = torch.randn(192, 128).to(dtype)
    layer.weight = bnb.nn.Params4bit(weight, requires_grad=False, compress_statistics=True, quant_type="nf4")
    model = torch.nn.ModuleDict({"layer": layer.to("cpu")})
    model.is_loaded_in_4bit = True  # PEFT asks the model, not the layer
    nf4_on_cpu.dequantize_once(model)
    inject_adapter_in_model(LoraConfig(target_modules=["layer"], r=4, lora_alpha=12, **options), model)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return model


def at_once(model):
    lora_on_cpu.compute_at_once(model)
    assert type(model["layer"]) is lora_on_cpu.LoraOnCpu
    return model


def passes(model, x):
    """Output, and gradients of the input and of the two matrices."""
    x = x.clone().requires_grad_()
    out = model["layer"](x)
    out.float().square().sum().backward()
    weights = [weight.grad for weight in model.parameters() if weight.requires_grad and weight.grad is not None]
    return [out.detach(), x.grad, *weights]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_values_and_gradients_are_those_of_peft(dtype, tolerance, bias):
    """Another gradient trains another adapter."""
    x = torch.randn(3, 7, 128, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        theirs, ours = passes(adapted(dtype, bias), x), passes(at_once(adapted(dtype, bias)), x)
    assert len(theirs) == len(ours) >= 4
    for expected, got in zip(theirs, ours, strict=True):
        assert expected.shape == got.shape and expected.dtype == got.dtype and expected.abs().max() > 0
        assert (expected - got).float().abs().max() <= tolerance * expected.float().abs().max()


def test_bfloat16_rounds_no_more_than_peft():
    """One rounding less at the sum of base and adapter; the reference is computed in float32."""
    x = torch.randn(64, 128)
    exact = passes(adapted(torch.float32), x)
    x = x.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        theirs, ours = passes(adapted(torch.bfloat16), x), passes(at_once(adapted(torch.bfloat16)), x)
    for reference, expected, got in zip(exact, theirs, ours, strict=True):
        assert (got - reference).square().mean() <= 1.1 * (expected - reference).square().mean()


def test_an_input_without_gradient_gets_none():
    """The first layers of a frozen base: the product for their input's gradient would be for nothing."""
    model, x = at_once(adapted()), torch.randn(5, 128)
    model["layer"](x).sum().backward()
    assert x.grad is None
    assert all(weight.grad.abs().max() > 0 for name, weight in model.named_parameters() if "lora_" in name)


@pytest.mark.parametrize("what", ["disabled", "dropout", "dora", "two adapters"])
def test_what_needs_more_is_left_to_peft(what):
    """A layer that ignored its dropout, its magnitudes or its second adapter would train something else."""
    options = {"dropout": {"lora_dropout": 0.5}, "dora": {"use_dora": True}}.get(what, {})
    theirs, ours = adapted(**options), at_once(adapted(**options))
    for model in (theirs, ours):
        if what == "disabled":
            model["layer"].enable_adapters(False)
        if what == "two adapters":
            inject_adapter_in_model(LoraConfig(target_modules=["layer"], r=2), model, adapter_name="second")
            model["layer"].set_adapter(["default", "second"])
    x, results = torch.randn(5, 128), []
    for model in (theirs, ours):
        torch.manual_seed(1)
        results.append(model["layer"](x))
    assert torch.equal(*results)


def test_layers_that_are_dequantized_in_every_pass_are_peft_s(monkeypatch):
    """A base that does not fit in 16 bits has no dequantized weight to multiply with."""
    monkeypatch.setattr(nf4_on_cpu.hardware, "memory_gib", lambda: 1e-6)
    model = adapted()
    lora_on_cpu.compute_at_once(model)
    assert type(model["layer"]) is Linear4bit
