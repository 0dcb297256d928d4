"""Llama's decoder layers with LoRA in as few matrix products as possible: the compiled step on a 16-bit base.

PEFT computes x W^T, then x A^T, then that times B^T, then adds, seven times a layer. The products with A and B are so
thin that they are bound by kernel launches, not by arithmetic. Here the linears with the same input (query, key and
value; gate and up) are one product, and B is concatenated to W in one matrix: y = [x, x A^T] [W, s B]^T. The values are
those of PEFT's layers (a test compares loss and every gradient); LoRA's dropout is drawn once for the linears that
share an input. Attention runs over packed examples without a mask where PyTorch has a kernel for it
(see `segment_attention`). The base weights become views of the joined matrices, so nothing is stored twice.

Sources: Hu et al. 2021 for LoRA; Touvron et al. 2023 for the layer.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ftlib.models.segment_attention import Segments, attend_to_segments, can_varlen

GROUPS = (("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), ("self_attn.o_proj",),
          ("mlp.gate_proj", "mlp.up_proj"), ("mlp.down_proj",))  # fmt: skip


def fits(model, dtype: torch.dtype | None) -> bool:
    """Return True if every linear of every layer is unquantized with one plain LoRA adapter, in a Llama layer.

    A variant such as DoRA has the same class and other arithmetic.
    """
    from peft.tuners.lora import Linear

    if not hasattr(model, "peft_config") or model.config.model_type != "llama" or model.config.hidden_act != "silu":
        return False
    linears = [
        layer.get_submodule(name)
        for layer in model.get_base_model().get_decoder().layers
        for group in GROUPS
        for name in group
    ]
    return all(
        type(linear) is Linear
        and not linear.lora_variant
        and type(linear.get_base_layer()) is nn.Linear
        and linear.get_base_layer().bias is None
        and linear.get_base_layer().weight.dtype == (dtype or linear.get_base_layer().weight.dtype)
        for linear in linears
    )


class JoinedLinear(torch.autograd.Function):
    """y = [x, xa] weight^T, with gradients to x, xa and the B matrices, which are the last columns of the frozen weight."""

    @staticmethod
    def forward(ctx, x, xa, weight, scale: float, *b):
        """Compute y = [x, xa] weight^T."""
        wide = torch.cat([x, xa], dim=-1)
        ctx.save_for_backward(wide, weight)
        ctx.inputs, ctx.scale, ctx.shapes = x.shape[-1], scale, [tuple(each.shape) for each in b]
        return functional.linear(wide, weight)

    @staticmethod
    def backward(ctx, dy):
        """Compute the gradients to x, xa and the B matrices."""
        wide, weight = ctx.saved_tensors
        back = dy @ weight
        to_b = dy.t() @ wide[:, ctx.inputs :]
        gradients, row, column = [], 0, 0
        for outputs, rank in ctx.shapes:
            gradients.append(to_b[row : row + outputs, column : column + rank].float() * ctx.scale)
            row, column = row + outputs, column + rank
        return back[:, : ctx.inputs], back[:, ctx.inputs :], None, None, *gradients


class Group:
    """LoRA linears with the same input, joined. weight: (all outputs, inputs + all ranks); a, b: the trained matrices."""

    def __init__(self, linears: list):
        frozen = [linear.get_base_layer().weight for linear in linears]
        self.a = [linear.lora_A["default"].weight for linear in linears]
        self.b = [linear.lora_B["default"].weight for linear in linears]
        self.scale, self.dropout = linears[0].scaling["default"], getattr(linears[0].lora_dropout["default"], "p", 0.0)
        inputs, outputs = frozen[0].shape[1], sum(weight.shape[0] for weight in frozen)
        self.weight = frozen[0].new_zeros(outputs, inputs + sum(a.shape[0] for a in self.a))
        self.slots, row, column = [], 0, inputs
        for weight, b in zip(frozen, self.b, strict=True):
            rows = slice(row, row + weight.shape[0])
            self.weight[rows, :inputs] = weight
            weight.data = self.weight[rows, :inputs]  # a view: PEFT's layers still work, and no weight is stored twice
            self.slots.append(self.weight[rows, column : column + b.shape[1]])
            row, column = rows.stop, column + b.shape[1]


@torch.no_grad()
def put_b_beside_w(slots: list[torch.Tensor], b: list[torch.Tensor], scales: list[float]) -> None:
    """Copy s B into its columns of the joined matrices, once per step, before the forward pass."""
    for slot, weight, scale in zip(slots, b, scales, strict=True):
        slot.copy_(weight * scale)


def joined(x, weight, a, b, scale: float, dropout: float):
    """Return the concatenated outputs of the group, (tokens, all outputs). x: (tokens, inputs)."""
    to_a = torch.cat([each.to(weight.dtype) for each in a])
    dropped = functional.dropout(x, dropout) if dropout else x
    return JoinedLinear.apply(x, functional.linear(dropped, to_a), weight, scale, *b)


def rms_norm(x, weight, eps: float):
    """Compute the root mean square norm, in float32 as in transformers."""
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


def rotate(x, cos, sin):
    """Apply rotary position embedding. x: (tokens, heads, size); cos, sin: (tokens, 1, size)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def attend(q, k, v, segments, longest: int):
    """Compute causal attention within each packed example.

    q, k, v: (tokens, heads, size). segments: `Segments`, or an additive mask, (rows, 1, length, length).
    """
    if isinstance(segments, Segments):
        return attend_to_segments(q, k, v, segments, longest)
    rows = segments.shape[0]
    q, k, v = (each.unflatten(0, (rows, -1)).transpose(1, 2) for each in (q, k, v))
    k, v = (each.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for each in (k, v))
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=segments).transpose(1, 2).flatten(0, 1)


def decoder_layer(hidden, cos, sin, segments, norms, weights, a, b, shape):
    """Run one layer. hidden: (tokens, width); weights, a, b by group as in GROUPS; shape: numbers that all layers share."""
    heads, kv_heads, size, eps, longest, scales, dropouts = shape
    x = rms_norm(hidden, norms[0], eps)
    qkv = joined(x, weights[0], a[0], b[0], scales[0], dropouts[0])
    q, k, v = qkv.split([heads * size, kv_heads * size, kv_heads * size], dim=-1)
    q, k, v = (each.unflatten(-1, (-1, size)) for each in (q, k, v))
    out = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, segments, longest).flatten(1)
    hidden = hidden + joined(out, weights[1], a[1], b[1], scales[1], dropouts[1])
    x = rms_norm(hidden, norms[1], eps)
    gate, up = joined(x, weights[2], a[2], b[2], scales[2], dropouts[2]).chunk(2, dim=-1)
    return hidden + joined(functional.silu(gate) * up, weights[3], a[3], b[3], scales[3], dropouts[3])


class FusedLayers:
    """The decoder from embeddings to its last norm, on packed rows."""

    def __init__(self, model, compiled: bool, longest: int = 512):
        """model: the PEFT model, for which `fits` holds. longest: tokens of the longest example at most."""
        base = model.get_base_model()
        self.decoder, config = base.get_decoder(), model.config
        self.groups = [
            [Group([layer.get_submodule(name) for name in group]) for group in GROUPS] for layer in self.decoder.layers
        ]
        first = self.groups[0]
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.shape = (config.num_attention_heads, config.num_key_value_heads, size, config.rms_norm_eps, longest,
                      tuple(group.scale for group in first), tuple(group.dropout for group in first))  # fmt: skip
        weight = first[0].weight
        self.mask_dtype = None if can_varlen(weight.device, weight.dtype) else weight.dtype
        self.layer, self.renew = decoder_layer, put_b_beside_w
        if compiled:
            self.layer = torch.compile(decoder_layer, dynamic=False)
            self.renew = torch.compile(put_b_beside_w, dynamic=False)

    def __call__(self, embedded: torch.Tensor, position_ids: torch.Tensor, segments) -> torch.Tensor:
        """Return hidden states after the last norm, (rows * length, width). embedded: (rows, length, width)."""
        for layer in self.groups:
            slots = [slot for group in layer for slot in group.slots]
            self.renew(slots, [b for group in layer for b in group.b], [g.scale for g in layer for _ in g.b])
        cos, sin = (each.flatten(0, 1).unsqueeze(1) for each in self.decoder.rotary_emb(embedded, position_ids))
        hidden = embedded.flatten(0, 1)
        for module, layer in zip(self.decoder.layers, self.groups, strict=True):
            norms = [module.input_layernorm.weight, module.post_attention_layernorm.weight]
            weights, a, b = ([getattr(group, name) for group in layer] for name in ("weight", "a", "b"))
            hidden = self.layer(hidden, cos, sin, segments, norms, weights, a, b, self.shape)
        return rms_norm(hidden, self.decoder.norm.weight, self.shape[3])
