"""LoRA and NF4 on matrices small enough to print: what the adapter adds, what 4 bits lose, what all of it weighs.

Why here and not in a notebook: the same functions are tested, and they use the very library that training uses. Sources: Hu et
al. 2021 (LoRA), Dettmers et al. 2023 (NF4, double quantisation). How: notebook 03 walks through them.
"""

from __future__ import annotations

import torch

ADAM_BYTES = 8  # two float32 moments for each trainable weight
BITS_NF4 = 4 + 0.127  # 4 bits, and the block scales after double quantisation (Dettmers et al. 2023, section 3)


def lora_pair(rows: int, columns: int, r: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(A, B) as training begins: A of shape (r, columns) random, B of shape (rows, r) zero, so that B A is zero."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(r, columns, generator=generator) / columns**0.5, torch.zeros(rows, r)


def nf4_round_trip(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix after NF4 with double quantisation and back, by bitsandbytes. Its size must be a multiple of 64."""
    from bitsandbytes import functional

    packed, state = functional.quantize_4bit(matrix, blocksize=64, compress_statistics=True, quant_type="nf4")
    return functional.dequantize_4bit(packed, state)


def even_round_trip(matrix: torch.Tensor) -> torch.Tensor:
    """The same with 16 evenly spaced levels, each block of 64 by its own largest value: what NF4 is held against."""
    blocks = matrix.reshape(-1, 64)
    scale = blocks.abs().amax(dim=1, keepdim=True)
    levels = torch.round((blocks / scale + 1) * 7.5) / 7.5 - 1
    return (levels * scale).reshape(matrix.shape)


def memory_mb(weights: int, adapter: int) -> dict[str, float]:
    """MB that training holds apart from activations: the frozen base in 16 bits or NF4, the adapter, its Adam state."""
    found = {
        "base, 16 bits": weights * 2,
        "base, NF4": weights * BITS_NF4 / 8,
        "adapter, float32, and gradients": adapter * 4 * 2,
        "Adam state of the adapter": adapter * ADAM_BYTES,
        "for comparison: Adam state of all weights": weights * ADAM_BYTES,
    }
    return {name: round(size / 2**20, 1) for name, size in found.items()}
