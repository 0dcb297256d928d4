"""Llama's decoder layers for one new token per slot, in nine kernels each.

A decoding step reads every weight once, and the layers of transformers do it with about thirty small kernels each, which take
longer than the reading. Here query, key and value are one product, as are gate and up; a residual sum and the norm after it
are one kernel; rotary embedding and the writing of keys and values into the ring are one; so are SiLU and its product. The
kernels are Triton's and not `torch.compile`'s, because they are compiled in a second, for all numbers of slots. Values are
rounded where transformers rounds them, except that rotation rounds once. The model's weights become views of the joined ones.

Sources: Touvron et al. 2023 for the layer; Hsu et al. 2024 (Liger) for fusing norms and gated activations.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ftlib.generation import ring_attention
from ftlib.generation.kept import kept_with

try:
    import triton
    import triton.language as tl
except ImportError:  # PyTorch for CPUs, macOS and Windows comes without it
    triton = None

GROUPS = (("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), ("mlp.gate_proj", "mlp.up_proj"))
ALONE = ("self_attn.o_proj", "mlp.down_proj")
SIZES = (32, 64, 128)  # of a head: powers of two
SILU_BLOCK = 1024


def fits(model) -> bool:
    """Return whether the step of this model can be computed here; the model is one of `cuda_graph_decoder.MODEL_TYPES`."""
    layers = model.get_decoder().layers
    linears = [layer.get_submodule(name) for layer in layers for name in (*(n for g in GROUPS for n in g), *ALONE)]
    first = layers[0].self_attn
    return (
        triton is not None
        and next(model.parameters()).is_cuda
        and model.config.hidden_act == "silu"
        and first.head_dim in SIZES
        and all(type(linear) is nn.Linear for linear in linears)
    )


def fused_layers(model) -> FusedLayers:
    """Return the model's fused layers; they are made once, because its weights become views of theirs."""
    kept = kept_with(model)
    if "fused layers" not in kept:
        kept["fused layers"] = FusedLayers(model)
    return kept["fused layers"]


def _join(linears: list[nn.Linear]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Concatenate weights, (all outputs, inputs), and biases of linears with the same input; the linears keep views of them."""
    joined = []
    for name in ("weight", "bias"):
        parts = [getattr(linear, name) for linear in linears]
        if parts[0] is None:
            joined.append(None)
            continue
        whole = torch.cat([part.data for part in parts])
        for part, view in zip(parts, whole.split([len(part) for part in parts]), strict=True):
            part.data = view
        joined.append(whole)
    return joined[0], joined[1]


class _Layer:
    """Weights of one layer. heads: (query heads, key heads, size of a head)."""

    def __init__(self, layer, config):
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv, self.gate_up = (_join([layer.get_submodule(name) for name in group]) for group in GROUPS)
        self.out, self.down = attention.o_proj, mlp.down_proj
        self.norm, self.mlp_norm = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        self.head_norms = [getattr(attention, name).weight for name in ("q_norm", "k_norm") if hasattr(attention, name)]
        self.heads = (config.num_attention_heads, config.num_key_value_heads, attention.head_dim)
        self.scaling, self.eps = attention.scaling, config.rms_norm_eps


class FusedLayers:
    """The model from token ids to logits, for one new token per slot."""

    def __init__(self, model):
        """model: a causal language model for which `fits` holds."""
        self.decoder, self.head = model.get_decoder(), model.get_output_embeddings()
        self.layers = [_Layer(layer, model.config) for layer in self.decoder.layers]
        self.eps = model.config.rms_norm_eps

    def __call__(self, tokens: torch.Tensor, positions: torch.Tensor, ring, mask: torch.Tensor) -> torch.Tensor:
        """Return the logits, (slots, vocabulary), and write keys and values of the tokens at the ring's cursor.

        Args:
            tokens, positions: (slots,).
            ring: see `caches.RingCache`.
            mask: (slots, 1, 1, length), additive.
        """
        residual = self.decoder.embed_tokens(tokens)  # (slots, width)
        cos, sin = (each[0].contiguous() for each in self.decoder.rotary_emb(residual[None], positions[None]))
        added = None
        for layer, (keys, values) in zip(self.layers, ring.layers, strict=True):
            residual, x = add_norm(residual, added, layer.norm, layer.eps)
            query = rotate_and_store(functional.linear(x, *layer.qkv), cos, sin, layer, keys, values, ring.cursor)
            attended = ring_attention.attend(query, keys, values, mask, layer.scaling).flatten(1)
            residual, x = add_norm(residual, layer.out(attended), layer.mlp_norm, layer.eps)
            added = layer.down(silu_mul(functional.linear(x, *layer.gate_up)))
        _, x = add_norm(residual, added, self.decoder.norm.weight, self.eps)
        return self.head(x)


def add_norm(
    residual: torch.Tensor, added: torch.Tensor | None, weight: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return residual + added and its root mean square norm times `weight`, each (slots, width); added=None: no sum."""
    slots, width = residual.shape
    normed = torch.empty_like(residual)
    total = residual if added is None else torch.empty_like(residual)
    _add_norm[(slots,)](
        residual, residual if added is None else added, weight, total, normed, width, eps,
        ADD=added is not None, BLOCK=triton.next_power_of_2(width), num_warps=8,
    )  # fmt: skip
    return total, normed


def rotate_and_store(qkv, cos, sin, layer: _Layer, keys, values, cursor) -> torch.Tensor:
    """Rotate queries and keys, write keys and values at the ring's cursor, and return the queries grouped by key head.

    Args:
        qkv: (slots, (heads + 2 key heads) * size).
        cos, sin: of the rotary embedding, (slots, size).
        layer: its `heads`, and norms of queries and keys where the family has them.
        keys, values: of the ring, (slots, key heads, length, size); written to.
        cursor: the column, (1,).

    Returns:
        (slots, key heads, heads per key head, size).
    """
    (heads, kv_heads, size), slots = layer.heads, len(qkv)
    query = qkv.new_empty(slots, kv_heads, heads // kv_heads, size)
    norms = layer.head_norms or [cos, cos]  # not read without norms
    _rotate_and_store[(slots, heads + 2 * kv_heads)](
        qkv, cos, sin, *norms, query, keys, values, cursor, heads, kv_heads, keys.shape[2], layer.eps,
        SIZE=size, NORM=bool(layer.head_norms), num_warps=1,
    )  # fmt: skip
    return query


def silu_mul(gate_up: torch.Tensor) -> torch.Tensor:
    """Return silu(gate) * up, (slots, width). gate_up: (slots, 2 * width)."""
    slots, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = gate_up.new_empty(slots, width)
    _silu_mul[(slots, triton.cdiv(width, SILU_BLOCK))](gate_up, out, width, BLOCK=SILU_BLOCK)
    return out


if triton is not None:

    @triton.jit
    def _add_norm(
        residual, added, weight, total, normed, width, eps, ADD: tl.constexpr, BLOCK: tl.constexpr
    ):  # fmt: skip
        """One program a slot."""
        columns = tl.arange(0, BLOCK)
        inside, row = columns < width, tl.program_id(0).to(tl.int64) * width
        value = tl.load(residual + row + columns, mask=inside, other=0.0)
        if ADD:
            value = (value.to(tl.float32) + tl.load(added + row + columns, mask=inside, other=0.0).to(tl.float32)).to(
                value.dtype
            )
            tl.store(total + row + columns, value, mask=inside)
        wide = value.to(tl.float32)
        scale = tl.rsqrt(tl.sum(wide * wide, 0) / width + eps)
        scaled = (wide * scale).to(value.dtype)
        tl.store(normed + row + columns, scaled * tl.load(weight + columns, mask=inside, other=0.0), mask=inside)

    @triton.jit
    def _rotate_and_store(
        qkv, cos, sin, q_weight, k_weight, query, keys, values, cursor, heads, kv_heads, length, eps,
        SIZE: tl.constexpr, NORM: tl.constexpr,
    ):  # fmt: skip
        """One program a slot and head: queries first, then keys, then values."""
        slot, head = tl.program_id(0), tl.program_id(1)
        HALF: tl.constexpr = SIZE // 2
        half = tl.arange(0, HALF)
        source = qkv + (slot * (heads + 2 * kv_heads) + head).to(tl.int64) * SIZE
        first, second = tl.load(source + half), tl.load(source + HALF + half)
        column = tl.load(cursor)
        if head >= heads + kv_heads:
            row = (slot * kv_heads + head - heads - kv_heads).to(tl.int64) * length + column
            tl.store(values + row * SIZE + half, first)
            tl.store(values + row * SIZE + HALF + half, second)
        else:
            x, y = first.to(tl.float32), second.to(tl.float32)
            if NORM:
                scale = tl.rsqrt((tl.sum(x * x, 0) + tl.sum(y * y, 0)) / SIZE + eps)
                weight = q_weight if head < heads else k_weight
                x = (x * scale).to(first.dtype).to(tl.float32) * tl.load(weight + half).to(tl.float32)
                y = (y * scale).to(first.dtype).to(tl.float32) * tl.load(weight + HALF + half).to(tl.float32)
            at = slot * SIZE + half
            cos_x, cos_y = tl.load(cos + at).to(tl.float32), tl.load(cos + at + HALF).to(tl.float32)
            sin_x, sin_y = tl.load(sin + at).to(tl.float32), tl.load(sin + at + HALF).to(tl.float32)
            turned_x, turned_y = x * cos_x - y * sin_x, y * cos_y + x * sin_y
            if head < heads:
                target = query + (slot * heads + head).to(tl.int64) * SIZE
                tl.store(target + half, turned_x.to(first.dtype))
                tl.store(target + HALF + half, turned_y.to(first.dtype))
            else:
                row = (slot * kv_heads + head - heads).to(tl.int64) * length + column
                tl.store(keys + row * SIZE + half, turned_x.to(first.dtype))
                tl.store(keys + row * SIZE + HALF + half, turned_y.to(first.dtype))

    @triton.jit
    def _silu_mul(gate_up, out, width, BLOCK: tl.constexpr):
        """One program a slot and block of columns."""
        row, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
        inside = columns < width
        gate = tl.load(gate_up + row * 2 * width + columns, mask=inside, other=0.0)
        up = tl.load(gate_up + row * 2 * width + width + columns, mask=inside, other=0.0)
        wide = gate.to(tl.float32)
        activated = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype)
        tl.store(out + row * width + columns, activated * up, mask=inside)
