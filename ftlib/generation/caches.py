"""Keep the keys and values of a model's layers while it decodes, as transformers calls a cache.

`cuda_graph_decoder` reads a prompt with the first and writes one token per slot and step to the second.
"""

from __future__ import annotations

import torch


class PrefillCache:
    """Cache that collects the (keys, values) of each layer during the prefill."""

    def __init__(self):
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def get_seq_length(self, *_):
        """Return 0: nothing was read before the prompt."""
        return 0

    def update(self, keys, values, *_, **__):
        """Keep a layer's keys and values, and return them."""
        self.layers.append((keys, values))
        return keys, values


class RingCache:
    """Cache of all slots: keys and values of shape (slots, key heads, length, size) per layer.

    New ones are written to the column `cursor` in every slot.
    """

    def __init__(self, like: list[tuple[torch.Tensor, torch.Tensor]], slots: int, length: int):
        self.layers = [
            tuple(x.new_zeros(slots, x.shape[1], length, x.shape[3]) for x in (keys, values)) for keys, values in like
        ]
        self.cursor = torch.zeros(1, dtype=torch.long, device=like[0][0].device)

    def get_seq_length(self, *_):
        """Return 0: positions and mask are given to the model, see `cuda_graph_decoder`."""
        return 0

    def update(self, keys, values, layer: int, *_, **__):
        """Write one token of each slot, and return all keys and values of the layer."""
        for stored, new in zip(self.layers[layer], (keys, values), strict=True):
            stored.index_copy_(2, self.cursor, new)
        return self.layers[layer]
