"""Compute the negative log-likelihood (NLL, in nats) of reference texts under a model.

Training monitors it on the validation split and evaluation reports it, with the same functions. It needs no decoding and is the
most sensitive comparison of base and fine-tuned model. Functions return sums and counts, not means: only a ratio of sums weighs
all tokens equally. Rows are packed; a test compares them with rows computed one by one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch.nn import functional
from tqdm import tqdm

from ftlib.models.packed_attention import example_by_example
from ftlib.prompts.encoding import IGNORED, Example
from ftlib.prompts.packing import PackingCollator, pack
from ftlib.prompts.templates import PREFIX
from ftlib.runtime import hardware

ROWS_PER_BATCH = 8  # packed rows per forward pass, on a CPU or a small GPU
MOST_ROWS = 32  # on a large GPU, where a small batch takes as long as Python takes to launch its kernels
LARGE_GPU = 30  # GiB
LOGITS_GIB = 2  # float32 logits of a forward pass of more than ROWS_PER_BATCH rows, at most


def rows_at_once(model, row_length: int) -> int:
    """Return how many packed rows of `row_length` tokens a forward pass of likelihoods should hold."""
    if next(model.parameters()).device.type != "cuda" or hardware.memory_gib() < LARGE_GPU:
        return ROWS_PER_BATCH
    fitting = LOGITS_GIB * 2**30 // (4 * row_length * model.config.get_text_config().vocab_size)
    return min(max(fitting, ROWS_PER_BATCH), MOST_ROWS)


def predicting(labels: torch.Tensor) -> torch.Tensor:
    """Return a mask of the positions whose next token is labeled. labels: (rows, length), not shifted."""
    return functional.pad(labels[:, 1:] != IGNORED, (0, 1))


@contextlib.contextmanager
def logits_only_at(model, positions: torch.Tensor) -> Iterator[None]:
    """Have a model compute logits at some positions only: (positions, vocabulary) instead of (rows, length, vocabulary).

    The product with a vocabulary of 50,000 is a fifth of a small model's forward pass, and no loss reads the logits of a prompt.
    `logits_to_keep` of transformers takes the same positions of every row, which packed rows do not have.

    Args:
        model: a causal language model.
        positions: mask, (rows, length).
    """
    head = model.get_output_embeddings()

    def select(_, inputs: tuple) -> tuple:
        return (inputs[0][positions],)  # (positions, width)

    handle = head.register_forward_pre_hook(select) if head is not None else None
    try:
        yield
    finally:
        if handle:
            handle.remove()


def answer_loss(logits: torch.Tensor, labels: torch.Tensor, count=None) -> torch.Tensor:
    """Compute the cross entropy over the labeled tokens: the sum divided by `count`, or the mean.

    Only labeled positions are converted to float32, which saves most of the memory of a large vocabulary's logits.

    Args:
        logits: (rows, length, vocabulary), or (labeled tokens, vocabulary) as with `logits_only_at`.
        labels: (rows, length), not shifted.
        count: divisor of the sum; None divides by the number of labeled tokens.
    """
    losses = _cross_entropy(logits, labels, "sum")
    return losses / (predicting(labels).sum().clamp(min=1) if count is None else count)


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor, reduction: str) -> torch.Tensor:
    """Compute the cross entropy of the labeled tokens; arguments as in `answer_loss`."""
    selected = logits if logits.dim() == 2 else logits[predicting(labels)]
    return functional.cross_entropy(selected.float(), labels[:, 1:][labels[:, 1:] != IGNORED], reduction=reduction)


@torch.no_grad()
def answer_losses(
    model,
    examples: list[Example],
    pad_id: int,
    row_length: int,
    rows_per_batch: int | None = None,
    progress: str | None = None,
) -> list[torch.Tensor]:
    """Compute the NLL of each labeled token of each example, in nats, in evaluation mode.

    Args:
        model: a causal language model.
        examples: encoded rows.
        pad_id: token id of the padding.
        row_length: tokens of a packed row.
        rows_per_batch: packed rows per forward pass; None for `rows_at_once`.
        progress: label of a progress bar, None for no bar.

    Returns:
        One float32 tensor of shape (labeled tokens,) per example, on the CPU, in the order of `examples`.
    """
    collate, device = PackingCollator(pad_id, row_length), next(model.parameters()).device
    rows = pack([len(example["input_ids"]) for example in examples], row_length)
    losses_of: list = [None] * len(examples)
    was_training = model.training
    model.eval()
    size = rows_per_batch or rows_at_once(model, row_length)
    batches = [rows[i : i + size] for i in range(0, len(rows), size)]
    for batch_rows in tqdm(batches, desc=progress, disable=None if progress else True, unit=" batches", leave=False):
        order = [index for row in batch_rows for index in row]
        batch = {k: v.to(device) for k, v in collate([examples[index] for index in order]).items()}
        losses, owners = _batch_losses(model, batch)
        counts = torch.bincount(owners, minlength=len(order)).tolist()
        by_owner = losses[torch.argsort(owners, stable=True)]  # stable: the tokens of an example keep their order
        for index, example_losses in zip(order, by_owner.split(counts), strict=True):
            losses_of[index] = example_losses
    model.train(was_training)
    return losses_of


def _batch_losses(model, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the NLL of a packed batch's labeled tokens and the indices of their examples.

    Both have shape (labeled tokens,) and are on the CPU. `use_cache=False` is required: with a cache transformers skips the
    block-diagonal mask, and the segments of a row attend to each other.
    """
    with example_by_example(model, batch) as packed, logits_only_at(model, predicting(packed["labels"])):
        inputs = {name: packed[name] for name in ("input_ids", "position_ids")}
        losses = _cross_entropy(model(**inputs, use_cache=False).logits, packed["labels"], "none")
    return losses.cpu(), batch["owners"][:, 1:][batch["labels"][:, 1:] != IGNORED].cpu()


def answer_nll(
    model,
    examples: list[Example],
    pad_id: int,
    row_length: int,
    rows_per_batch: int | None = None,
    progress: str | None = None,
) -> tuple[list[float], list[int]]:
    """Return the NLL sums (in nats) and the labeled tokens of the examples; arguments as `answer_losses`."""
    losses = answer_losses(model, examples, pad_id, row_length, rows_per_batch, progress)
    return [float(tokens.double().sum()) for tokens in losses], [len(tokens) for tokens in losses]


def prefix_tokens(tokenizer, answer: list[int], prefix: str = PREFIX) -> int:
    """Count the tokens that spell the prefix; all tokens if it is incomplete, 0 if there is none."""
    if not prefix.strip():
        return 0
    return next((n for n in range(1, len(answer)) if prefix.strip() in tokenizer.decode(answer[:n])), len(answer))


def mean_nll(sums: list[float], counts: list[int]) -> float:
    """Return the per-token NLL over all rows, in nats."""
    return sum(sums) / max(sum(counts), 1)
