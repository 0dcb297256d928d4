"""NF4 layers on a CPU."""

import bitsandbytes as bnb
import pytest
import torch

from ftlib.models import nf4_on_cpu


def quantized(dtype=torch.bfloat16):
    """A layer in NF4 with double quantization, inside of a module."""
    torch.manual_seed(0)
    layer = bnb.nn.Linear4bit(128, 192, bias=False, compute_dtype=dtype, quant_type="nf4")
    weight = torch.randn(192, 128).to(dtype)
    layer.weight = bnb.nn.Params4bit(weight, requires_grad=False, compress_statistics=True, quant_type="nf4")
    return torch.nn.Sequential(layer.to("cpu"))


def passes(model, x):
    """Output and gradient to the input."""
    x = x.clone().requires_grad_()
    out = model(x)
    out.square().sum().backward()
    return out.detach(), x.grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("autocast", [False, True])
def test_a_layer_dequantized_once_computes_what_bitsandbytes_computes(dtype, autocast):
    """An adapter would otherwise be trained on another base than the one that it is merged onto."""
    x = torch.randn(7, 128, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        theirs = passes(quantized(dtype).train(), x)
        model = quantized(dtype).train()
        nf4_on_cpu.dequantize_once(model)
        assert isinstance(model[0], nf4_on_cpu.DequantizedOnce)
        ours = passes(model, x)
    for expected, got in zip(theirs, ours, strict=True):
        assert torch.equal(expected, got)


def test_evaluation_leaves_the_packed_weight_as_it_is():
    """bitsandbytes repacks it with a loss, and a training would continue on a different base after its first evaluation."""
    model = quantized()
    nf4_on_cpu.dequantize_once(model)
    before, names = model[0].weight.data.clone(), set(model.state_dict())
    with torch.no_grad():
        evaluated = model.eval()(x := torch.randn(3, 128, dtype=torch.bfloat16))
    assert torch.equal(model[0].weight.data, before) and torch.equal(evaluated, model.train()(x))
    assert set(model.state_dict()) == names


def test_a_replaced_weight_is_dequantized_again():
    """PEFT merges into 4 bits by replacing the weight; the layer would multiply with the weight before the merge."""
    model = quantized()
    nf4_on_cpu.dequantize_once(model)
    x = torch.randn(3, 128, dtype=torch.bfloat16)
    before = model(x)
    zeros = torch.zeros(192, 128, dtype=torch.bfloat16)
    model[0].weight = bnb.nn.Params4bit(zeros, requires_grad=False, quant_type="nf4").to("cpu")
    assert before.abs().max() > 0 == model(x).abs().max()


def test_a_model_too_large_for_the_memory_stays_packed(monkeypatch):
    """Whoever loads 7 billion weights in 4 bits on a laptop does so because 16 bits do not fit."""
    monkeypatch.setattr(nf4_on_cpu.hardware, "memory_gib", lambda: 1e-6)
    model = quantized()
    nf4_on_cpu.dequantize_once(model)
    assert type(model[0]) is bnb.nn.Linear4bit and not model[0].support_avx512bf16_for_cpu
