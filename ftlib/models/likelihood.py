"""How likely a model finds the reference answers: negative log-likelihood (NLL) in nats, summed over each answer's tokens.

Why it is here: training watches it on the validation split and evaluation reports it, so both must mean the same. It needs no
decoding and is the most sensitive before/after test. Rows are packed; a test compares them with rows scored one by one.
Sums and counts are returned, not means: tokens of all rows weigh the same only in a ratio of sums.
"""

from __future__ import annotations

import torch
from torch.nn import functional
from tqdm import tqdm

from ftlib.prompts.encoding import IGNORED, Example
from ftlib.prompts.packing import PackingCollator, pack
from ftlib.prompts.templates import PREFIX

ROWS_PER_BATCH = 8  # packed rows that are scored at once


def answer_loss(logits: torch.Tensor, labels: torch.Tensor, count=None) -> torch.Tensor:
    """Cross entropy over the labelled tokens: the sum divided by `count`, or their mean.

    logits: (rows, length, vocabulary); labels: (rows, length). Only labelled positions are turned into float32, which saves
    most of the memory that the logits of a large vocabulary take.
    """
    targets = labels[:, 1:]
    labelled = targets != IGNORED
    losses = functional.cross_entropy(logits[:, :-1][labelled].float(), targets[labelled], reduction="sum")
    return losses / (labelled.sum().clamp(min=1) if count is None else count)


@torch.no_grad()
def answer_losses(
    model,
    examples: list[Example],
    pad_id: int,
    row_length: int,
    rows_per_batch: int = ROWS_PER_BATCH,
    progress: str | None = None,
) -> list[torch.Tensor]:
    """Nats of each labelled token: one float32 tensor of shape (labelled tokens,) on the CPU per example, in their order.

    The model is put into evaluation mode and back. `use_cache=False` is not optional: with a cache transformers skips the
    block-diagonal mask, and the parts of a row see each other.
    """
    collate, device = PackingCollator(pad_id, row_length), next(model.parameters()).device
    rows = pack([len(example["input_ids"]) for example in examples], row_length)
    found: list = [None] * len(examples)
    was_training = model.training
    model.eval()
    batches = [rows[i : i + rows_per_batch] for i in range(0, len(rows), rows_per_batch)]
    for members in tqdm(batches, desc=progress, disable=None if progress else True, unit=" batches", leave=False):
        order = [member for row in members for member in row]
        batch = {k: v.to(device) for k, v in collate([examples[member] for member in order]).items()}
        owners, labels = batch["owners"][:, 1:], batch["labels"][:, 1:]
        logits = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        labelled = labels != IGNORED
        losses = functional.cross_entropy(logits[:, :-1][labelled].float(), labels[labelled], reduction="none").cpu()
        owners = owners[labelled].cpu()
        counts = torch.bincount(owners, minlength=len(order)).tolist()
        by_owner = losses[torch.argsort(owners, stable=True)]  # the tokens of an example stay in their order
        for member, each in zip(order, by_owner.split(counts), strict=True):
            found[member] = each
    model.train(was_training)
    return found


def answer_nll(
    model,
    examples: list[Example],
    pad_id: int,
    row_length: int,
    rows_per_batch: int = ROWS_PER_BATCH,
    progress: str | None = None,
) -> tuple[list[float], list[int]]:
    """(nll_sum in nats, number of labelled tokens) of each example, in their order; see `answer_losses`."""
    losses = answer_losses(model, examples, pad_id, row_length, rows_per_batch, progress)
    return [float(each.double().sum()) for each in losses], [len(each) for each in losses]


def prefix_tokens(tokenizer, answer: list[int]) -> int:
    """How many tokens at the start of an answer spell its prefix "Description:"; all of them if it is cut within it."""
    return next((n for n in range(1, len(answer)) if PREFIX.strip() in tokenizer.decode(answer[:n])), len(answer))


def mean_nll(sums: list[float], counts: list[int]) -> float:
    """Nats per answer token over all rows."""
    return sum(sums) / max(sum(counts), 1)
