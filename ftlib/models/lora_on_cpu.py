"""Compute a layer with its adapter on a CPU in four products and no copies.

PEFT computes base and adapter one after the other: it clones the base's output, casts the input to float32 and back, scales the
adapter's output and adds it, and autograd multiplies for B's gradient in the slowest of the possible orders. With a small model
on a CPU that took as long as half of the base's products. Here one function computes x W^T + (x A^T) (s B)^T and its gradients;
the values are PEFT's up to rounding (a test compares them). A layer with dropout, DoRA or several adapters is left to PEFT.
"""

from __future__ import annotations

import torch
from peft.tuners.lora.bnb import Linear4bit
from torch import nn
from torch.nn import functional

from ftlib.models.nf4_on_cpu import DequantizedOnce


class _Product(torch.autograd.Function):
    """x W^T + (x A^T) (s B)^T. x: (tokens, inputs), W: (outputs, inputs), A: (rank, inputs), B: (outputs, rank)."""

    @staticmethod
    def forward(ctx, x, weight, a, b, scaling: float) -> torch.Tensor:
        a, b = a.to(x.dtype), (b * scaling).to(x.dtype)
        low = functional.linear(x, a)  # (tokens, rank)
        ctx.save_for_backward(x, weight, a, b, low)
        ctx.scaling = scaling
        return functional.linear(x, weight).addmm_(low, b.t())

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple:  # type: ignore[override]
        x, weight, a, b, low = ctx.saved_tensors
        to_low = gradient @ b  # (tokens, rank)
        to_x = (gradient @ weight).addmm_(to_low, a) if ctx.needs_input_grad[0] else None
        # (rank, tokens) @ (tokens, outputs): the other order takes three times as long
        to_b = (low.t() @ gradient).t().float() * ctx.scaling
        return to_x, None, (to_low.t() @ x).float(), to_b, None


class LoraOnCpu(Linear4bit):
    """PEFT's LoRA layer on an NF4 layer that is `DequantizedOnce`."""

    def forward(self, x: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        """Compute the layer with its active adapter. x: (..., inputs)."""
        if args or kwargs or not self._is_plain():
            return super().forward(x, *args, **kwargs)
        base, (name,) = self.base_layer, self.active_adapters
        dtype = base.compute_dtype or x.dtype
        with torch.autocast("cpu", enabled=False):
            matrices = self.lora_A[name].weight, self.lora_B[name].weight
            flat = x.to(dtype).reshape(-1, x.shape[-1])
            out = _Product.apply(flat, base.weight_in(dtype), *matrices, self.scaling[name])
            if base.bias is not None:
                out = out + base.bias.to(dtype)
        return out.view(*x.shape[:-1], -1).to(x.dtype)

    def _is_plain(self) -> bool:
        """Return whether one adapter is active, without dropout, bias or a variant of LoRA."""
        names = self.active_adapters
        return (
            not self.disable_adapters
            and not self.merged
            and len(names) == 1
            and names[0] in self.lora_A
            and names[0] not in self.lora_variant
            and isinstance(self.lora_dropout[names[0]], nn.Identity)
            and self.lora_B[names[0]].bias is None
        )


def compute_at_once(model) -> None:
    """Have the LoRA layers of a model on a CPU compute base and adapter in one function, where that is possible."""
    for layer in model.modules():
        if type(layer) is Linear4bit and isinstance(layer.base_layer, DequantizedOnce):
            layer.__class__ = LoraOnCpu
