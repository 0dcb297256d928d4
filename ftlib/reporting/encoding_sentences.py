"""Generate the sentences of notebook 02: what labels, truncation, packing and a lost token do to the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ftlib.reporting.sentence_parts import LEVEL

SLIGHT = 0.02  # nats: a shown difference below this is called slight


def about_end_labels(usual: int, ours: int, rows: int) -> str:
    """Say in how many rows the end is labeled, with the usual collator and with the course's encoding."""
    counted = f"The end is labeled in {usual} of {rows} rows by the usual collator, in {ours} of {rows} by ours"
    if usual < ours:
        return f"{counted}: the usual one masks ends, so this is a trap here."
    return f"{counted}: no end is lost, so the trap does not close with this tokenizer."


def about_prompt_loss(answer: float, everything: float) -> str:
    """Compare the loss on the answer with that on all tokens, for one model that was not trained on either."""
    gap = everything - answer
    if abs(gap) < LEVEL:
        return f"Both losses are level here ({answer:.3f} and {everything:.3f} nats), although they are means over other tokens."
    relation = "higher" if gap > 0 else "lower"
    return (
        f"The loss on all tokens is {abs(gap):.3f} nats {relation} than that on the answers, for the same model and rows. "
        "The two are means over different tokens and cannot be compared."
    )


def about_effect(effects: Sequence[Mapping], change: str) -> str:
    """Say what a change of one setting did to the loss on new rows in our study.

    effects: of the setting (see `recipe.effects`); the first counts. change: what was done, as the subject of the sentence.
    """
    if not effects:
        return f"{change} is not in our studies."
    effect = effects[0]
    low, high = effect["ci95"]
    amount = f"{effect['mean']:+.3f} nats [{low:+.3f}, {high:+.3f}]"
    if low <= 0 <= high:
        return f"{change} changed the loss on new rows by no more than chance ({amount}, in our study `{effect['study']}`)."
    size = "slightly " if abs(effect["mean"]) < SLIGHT else ""
    direction = "lower" if high < 0 else "higher"
    return f"{change} made the loss on new rows {size}{direction} ({amount}, in our study `{effect['study']}`)."


def about_bos(losses: Mapping[str, float]) -> str:
    """Say by how much a lost or a doubled first token moves the loss. losses: the unchanged encoding first."""
    (_, right), *others = losses.items()
    worst, loss = max(others, key=lambda item: abs(item[1] - right))
    gap = loss - right
    if abs(gap) < SLIGHT:
        return f"The largest change is {gap:+.3f} nats ({worst}): for this model the first token is no trap."
    return f"The largest change is {gap:+.3f} nats ({worst}): for this model the first token matters."


def about_truncation(with_end: bool, was_cut: bool) -> str:
    """Say whether a truncated row ends in the mark."""
    if not was_cut:
        return "The long row fits, so nothing was truncated."
    if with_end:
        return "The truncated row ends in the end mark: it would teach the model to stop in mid-sentence."
    return "The truncated row has no end mark, so it does not teach the model to stop in mid-sentence."


def about_packing(alone: float, packed: float, leaking: float) -> str:
    """Say whether packed rows give the loss of single rows, and what happens without positions."""
    first = (
        f"Packed rows give the loss of single rows (difference {abs(packed - alone):.5f} nats)"
        if abs(packed - alone) < 1e-3
        else f"Packed rows do NOT give the loss of single rows (difference {abs(packed - alone):.5f} nats)"
    )
    gap = leaking - alone
    second = (
        f"without positions it changes by {gap:+.4f} nats, because parts see the ones before them"
        if abs(gap) >= 1e-3
        else f"without positions it hardly changes on this model ({gap:+.5f} nats)"
    )
    return f"{first}; {second}."


def about_mask(packed: float, masked: float) -> str:
    """Say what an attention mask of ones beside the positions does to the loss of packed rows."""
    gap = masked - packed
    if abs(gap) >= 1e-3:
        return (
            f"With a mask of ones beside the positions the loss changes by {gap:+.4f} nats: the parts see each other, and no "
            "error says so."
        )
    return (
        f"With a mask of ones beside the positions the loss changes by {gap:+.5f} nats: it does no harm on this model."
    )


def about_perplexity(nats: float, vocabulary: int) -> str:
    """Say what a loss in nats means as a perplexity, against a model that knows nothing."""
    blind = math.log(vocabulary)
    perplexity = math.exp(nats)
    known = (
        f"far below the {blind:.2f} nats of a model that finds all {vocabulary:,} tokens equally likely"
        if nats < 0.9 * blind
        else f"about the {blind:.2f} nats of a model that finds all {vocabulary:,} tokens equally likely: nothing is learned yet"
    )
    return f"{nats:.2f} nats per token is a perplexity of {perplexity:,.1f}, {known}."
