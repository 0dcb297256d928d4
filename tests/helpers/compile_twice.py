"""Compile an `autograd.Function` with PyTorch's cache and print what came of it, as JSON; `python compile_twice.py FACTOR`.

FACTOR: by which the backward pass of this run multiplies the gradient; another FACTOR is another function.
"""

import json
import sys

import torch
from torch._dynamo.utils import counters

from ftlib.training.compiler import keep_traced_functions

FACTOR = float(sys.argv[1])


class Product(torch.autograd.Function):
    """x weight^T, with a gradient to the weight only."""

    @staticmethod
    def forward(ctx, x, weight):
        """Compute the product."""
        ctx.save_for_backward(x)
        return x @ weight.t()

    @staticmethod
    def backward(ctx, dy):
        """Compute the gradient times FACTOR."""
        (x,) = ctx.saved_tensors
        return None, dy.t() @ x * FACTOR


keep_traced_functions()
generator = torch.Generator().manual_seed(0)
x, weight = (torch.randn(shape, generator=generator) for shape in ((6, 8), (4, 8)))
weight.requires_grad_()
torch.compile(lambda x, weight: Product.apply(x, weight).square().sum(), dynamic=False)(x, weight).backward()
hits = counters["aot_autograd"]["autograd_cache_hit"]
print(json.dumps({"hits": hits, "gradient": weight.grad.sum().item()}))
