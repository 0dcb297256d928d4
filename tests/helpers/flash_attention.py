"""A stand-in for PyTorch's FlashAttention over concatenated sequences, for machines without a GPU."""

import torch


def example_after_example(q, k, v, starts, key_starts, longest: int):
    """What FlashAttention computes: queries are the last tokens of their keys. Beyond `longest` it computes nothing."""
    outputs = []
    bounds = zip(starts.tolist(), starts.tolist()[1:], key_starts.tolist(), key_starts.tolist()[1:], strict=False)
    for first, end, first_key, end_key in bounds:
        assert end_key - first_key <= longest
        if end > first:
            query = q[first:end].transpose(0, 1)
            keys = (each[first_key:end_key].transpose(0, 1) for each in (k, v))
            keys = (each.repeat_interleave(len(query) // len(each), 0) for each in keys)
            mask = torch.ones(end - first, end_key - first_key, dtype=torch.bool).tril(
                end_key - first_key - end + first
            )
            out = torch.nn.functional.scaled_dot_product_attention(query, *keys, attn_mask=mask)
            outputs.append(out.transpose(0, 1))
    return torch.cat(outputs)
