"""Generate the sentences of notebook 02: what labels, truncation, packing and a lost token do to the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ftlib.reporting.sentence_parts import LEVEL
from ftlib.runtime.language import to_translate, tr

SLIGHT = 0.02  # nats: a shown difference below this is called slight
CHANGES = (  # the changes that notebook 02 names to `about_effect`
    to_translate("Training without a label on the end"),
    to_translate("Training with the loss on the prompt too"),
)
MADE_THE_LOSS = {  # {(slightly, lower): sentence}
    (False, False): to_translate("{change} made the loss on new rows higher ({amount}, in our study `{study}`)."),
    (False, True): to_translate("{change} made the loss on new rows lower ({amount}, in our study `{study}`)."),
    (True, False): to_translate(
        "{change} made the loss on new rows slightly higher ({amount}, in our study `{study}`)."
    ),
    (True, True): to_translate("{change} made the loss on new rows slightly lower ({amount}, in our study `{study}`)."),
}


def about_end_labels(usual: int, ours: int, rows: int) -> str:
    """Say in how many rows the end is labeled, with the usual collator and with the course's encoding."""
    if usual < ours:
        return tr(
            "The end is labeled in {usual} of {rows} rows by the usual collator, in {ours} of {rows} by ours: the usual one "
            "masks ends, so this is a trap here.",
            usual=usual,
            ours=ours,
            rows=rows,
        )
    return tr(
        "The end is labeled in {usual} of {rows} rows by the usual collator, in {ours} of {rows} by ours: no end is lost, so "
        "the trap does not close with this tokenizer.",
        usual=usual,
        ours=ours,
        rows=rows,
    )


def about_prompt_loss(answer: float, everything: float) -> str:
    """Compare the loss on the answer with that on all tokens, for one model that was not trained on either."""
    gap = everything - answer
    if abs(gap) < LEVEL:
        return tr(
            "Both losses are level here ({answer:.3f} and {everything:.3f} nats), although they are means over other tokens.",
            answer=answer,
            everything=everything,
        )
    if gap > 0:
        return tr(
            "The loss on all tokens is {gap:.3f} nats higher than that on the answers, for the same model and rows. The two "
            "are means over different tokens and cannot be compared.",
            gap=gap,
        )
    return tr(
        "The loss on all tokens is {gap:.3f} nats lower than that on the answers, for the same model and rows. The two "
        "are means over different tokens and cannot be compared.",
        gap=-gap,
    )


def about_effect(effects: Sequence[Mapping], change: str) -> str:
    """Say what a change of one setting did to the loss on new rows in our study.

    effects: of the setting (see `recipe.effects`); the first counts. change: what was done, as the subject of the sentence.
    """
    change = tr(change)
    if not effects:
        return tr("{change} is not in our studies.", change=change)
    effect = effects[0]
    low, high = effect["ci95"]
    amount = f"{effect['mean']:+.3f} nats [{low:+.3f}, {high:+.3f}]"
    if low <= 0 <= high:
        return tr(
            "{change} changed the loss on new rows by no more than chance ({amount}, in our study `{study}`).",
            change=change,
            amount=amount,
            study=effect["study"],
        )
    text = MADE_THE_LOSS[abs(effect["mean"]) < SLIGHT, high < 0]
    return tr(text, change=change, amount=amount, study=effect["study"])


def about_bos(losses: Mapping[str, float]) -> str:
    """Say by how much a lost or a doubled first token moves the loss. losses: the unchanged encoding first."""
    (_, right), *others = losses.items()
    worst, loss = max(others, key=lambda item: abs(item[1] - right))
    gap = loss - right
    if abs(gap) < SLIGHT:
        return tr(
            "The largest change is {gap:+.3f} nats ({worst}): for this model the first token is no trap.",
            gap=gap,
            worst=worst,
        )
    return tr(
        "The largest change is {gap:+.3f} nats ({worst}): for this model the first token matters.", gap=gap, worst=worst
    )


def about_truncation(with_end: bool, was_cut: bool) -> str:
    """Say whether a truncated row ends in the mark."""
    if not was_cut:
        return tr("The long row fits, so nothing was truncated.")
    if with_end:
        return tr("The truncated row ends in the end mark: it would teach the model to stop in mid-sentence.")
    return tr("The truncated row has no end mark, so it does not teach the model to stop in mid-sentence.")


def about_packing(alone: float, packed: float, leaking: float) -> str:
    """Say whether packed rows give the loss of single rows, and what happens without positions."""
    off = abs(packed - alone)
    first = (
        tr("Packed rows give the loss of single rows (difference {off:.5f} nats)", off=off)
        if off < 1e-3
        else tr("Packed rows do NOT give the loss of single rows (difference {off:.5f} nats)", off=off)
    )
    gap = leaking - alone
    second = (
        tr("without positions it changes by {gap:+.4f} nats, because parts see the ones before them", gap=gap)
        if abs(gap) >= 1e-3
        else tr("without positions it hardly changes on this model ({gap:+.5f} nats)", gap=gap)
    )
    return f"{first}; {second}."


def about_mask(packed: float, masked: float) -> str:
    """Say what an attention mask of ones beside the positions does to the loss of packed rows."""
    gap = masked - packed
    if abs(gap) >= 1e-3:
        return tr(
            "With a mask of ones beside the positions the loss changes by {gap:+.4f} nats: the parts see each other, and no "
            "error says so.",
            gap=gap,
        )
    return tr(
        "With a mask of ones beside the positions the loss changes by {gap:+.5f} nats: it does no harm on this model.",
        gap=gap,
    )


def about_perplexity(nats: float, vocabulary: int) -> str:
    """Say what a loss in nats means as a perplexity, against a model that knows nothing."""
    blind = math.log(vocabulary)
    perplexity = math.exp(nats)
    values = {"nats": nats, "perplexity": perplexity, "blind": blind, "vocabulary": vocabulary}
    if nats < 0.9 * blind:
        return tr(
            "{nats:.2f} nats per token is a perplexity of {perplexity:,.1f}, far below the {blind:.2f} nats of a model that "
            "finds all {vocabulary:,} tokens equally likely.",
            **values,
        )
    return tr(
        "{nats:.2f} nats per token is a perplexity of {perplexity:,.1f}, about the {blind:.2f} nats of a model that finds all "
        "{vocabulary:,} tokens equally likely: nothing is learned yet.",
        **values,
    )
