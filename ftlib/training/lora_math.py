"""LoRA and NF4 on matrices small enough to print: what the adapter adds, what 4 bits lose, what all of it weighs.

Notebook 03 uses them. They call the libraries that training calls. Sources: Hu et al. 2021 (LoRA), Dettmers et al. 2023
(NF4, double quantization).
"""

from __future__ import annotations

import torch

from ftlib.runtime.language import to_translate

ADAM_BYTES = 8  # two float32 moments for each trainable weight


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


def memory_parts(manifest: dict, vocabulary: int, labeled_share: float) -> dict[str, float]:
    """Return the MiB of a training's known parts: base, adapter, optimizer, and the logits of one step.

    Args:
        manifest: of the adapter stage.
        vocabulary: entries of the model's vocabulary.
        labeled_share: labeled tokens, as a share of all; only their logits are computed in float32.
    """
    adapter, tokens = manifest["trainable_parameters"], manifest["tokens"] / manifest["stopped_at_step"]
    positions = tokens / manifest["padding_efficiency"]
    # 16-bit logits and their gradient everywhere; float32 copy, log-probabilities and gradient where there is a label
    logits = vocabulary * (positions * 2 * 2 + tokens * labeled_share * 4 * 3)
    return {
        to_translate("frozen base"): manifest["base_mib"],
        to_translate("adapter and gradients (float32)"): round(adapter * 4 * 2 / 2**20, 1),
        to_translate("Adam's two averages (float32)"): round(adapter * ADAM_BYTES / 2**20, 1),
        to_translate("logits of one step (estimate)"): round(logits / 2**20, 1),
    }
