"""Multiply with NF4 weights on a CPU: each layer is dequantized once, not in every pass.

On a GPU the 4-bit weights save memory, and a kernel dequantizes them in registers. A CPU has memory to spare for a small model,
and bitsandbytes would write the same 16-bit matrix in every forward and backward pass. The products are those of bitsandbytes bit
for bit (a test compares outputs and gradients). Its own path for evaluation on a CPU with AVX512-BF16 is not used: it repacks
the weights in place with a loss, so after the first evaluation a training would continue on a different base.
"""

from __future__ import annotations

import bitsandbytes as bnb
import torch
from torch.nn import functional

from ftlib.runtime import hardware

MEMORY_SHARE = 0.25  # of the memory that the dequantized weights may take; above it they are dequantized in every pass


class DequantizedOnce(bnb.nn.Linear4bit):
    """NF4 layer that keeps its dequantized weight, in the dtype that it computes in."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute x W^T + b. x: (..., inputs)."""
        dtype = self.compute_dtype or x.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        return functional.linear(x.to(dtype), self.weight_in(dtype), bias).to(x.dtype)

    def weight_in(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the dequantized weight, (outputs, inputs)."""
        # PEFT replaces the weight when it merges into 4 bits
        if vars(self).get("source") is not self.weight or self.dense.dtype != dtype:
            dense = bnb.functional.dequantize_4bit(self.weight.data, self.weight.quant_state).to(dtype)
            # not registered: the copy is neither saved nor counted as a weight
            vars(self).update(source=self.weight, dense=dense)
        return self.dense


def dequantize_once(model) -> None:
    """Have the NF4 layers of a model on a CPU keep their dequantized weights, if these fit in MEMORY_SHARE."""
    layers = [module for module in model.modules() if isinstance(module, bnb.nn.Linear4bit)]
    sizes = (
        (layer.compute_dtype or torch.float32).itemsize * layer.in_features * layer.out_features for layer in layers
    )
    fits = sum(sizes) <= MEMORY_SHARE * hardware.memory_gib() * 2**30
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
        if fits:
            layer.__class__ = DequantizedOnce
