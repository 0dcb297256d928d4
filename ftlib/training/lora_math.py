"""LoRA and NF4 on matrices small enough to print: what the adapter adds, what 4 bits lose, what all of it weighs.

Notebook 03 uses them. They call the libraries that training calls. Sources: Hu et al. 2021 (LoRA), Dettmers et al. 2023
(NF4, double quantization).
"""

from __future__ import annotations

import torch

ADAM_BYTES = 8  # two float32 moments for each trainable weight
BITS_NF4 = 4 + 0.127  # 4 bits, and the block scales after double quantization (Dettmers et al. 2023, section 3)


def lora_pair(rows: int, columns: int, r: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (A, B) at initialization: A of shape (r, columns) random, B of shape (rows, r) zero, so that B A is zero."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(r, columns, generator=generator) / columns**0.5, torch.zeros(rows, r)


def nf4_round_trip(matrix: torch.Tensor) -> torch.Tensor:
    """Quantize a matrix to NF4 with double quantization and back, by bitsandbytes. Its size must be a multiple of 64."""
    from bitsandbytes import functional

    packed, state = functional.quantize_4bit(matrix, blocksize=64, compress_statistics=True, quant_type="nf4")
    return functional.dequantize_4bit(packed, state)


def even_round_trip(matrix: torch.Tensor) -> torch.Tensor:
    """Quantize to 16 evenly spaced levels and back, each block of 64 by its largest value: the baseline for NF4."""
    blocks = matrix.reshape(-1, 64)
    scale = blocks.abs().amax(dim=1, keepdim=True)
    levels = torch.round((blocks / scale + 1) * 7.5) / 7.5 - 1
    return (levels * scale).reshape(matrix.shape)


def memory_mb(weights: int, adapter: int) -> dict[str, float]:
    """Return the MiB of a training apart from activations: base in 16 bits or NF4, adapter, its Adam state."""
    sizes = {
        "base, 16 bits": weights * 2,
        "base, NF4": weights * BITS_NF4 / 8,
        "adapter, float32, and gradients": adapter * 4 * 2,
        "Adam state of the adapter": adapter * ADAM_BYTES,
        "for comparison: Adam state of all weights": weights * ADAM_BYTES,
    }
    return {name: round(size / 2**20, 1) for name, size in sizes.items()}
