"""Generate the sentences of notebook 03: what a training, its loss curve, its memory and its speed show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ftlib.reporting.sentence_parts import LEVEL
from ftlib.runtime.language import to_translate, tr, tr_n

NAMES = (
    to_translate("even levels"),
)  # a rounding that notebook 03 names to `about_levels`; NF4 is the same everywhere
ERRORS = {  # {(smaller mean error, larger largest error): sentence}
    (True, True): to_translate(
        "{name}'s mean error is {share:.0%} smaller than that of {other}; its largest error is larger."
    ),
    (True, False): to_translate(
        "{name}'s mean error is {share:.0%} smaller than that of {other}; its largest error is smaller."
    ),
    (False, True): to_translate(
        "{name}'s mean error is {share:.0%} larger than that of {other}; its largest error is larger."
    ),
    (False, False): to_translate(
        "{name}'s mean error is {share:.0%} larger than that of {other}; its largest error is smaller."
    ),
}
DIAGNOSES = {  # {run of the gallery, which `diagnose` names too: the name for a reader}
    "right": to_translate("right"),
    "too low": to_translate("too low"),
    "too high": to_translate("too high"),
    "overfitting": to_translate("overfitting"),
}
ROUGHLY_EQUAL = 0.02  # share of the loss by which two curves must differ to be called apart
RISE, TURN, FALL = 1.2, 1.05, 0.9  # see `diagnose`


def about_levels(errors: Mapping[str, tuple[float, float]]) -> str:
    """Compare two 4-bit roundings of the same weights. errors: {name: (mean error, largest error)}, the baseline first."""
    (other, (other_mean, other_max)), (name, (mean, largest)) = errors.items()
    text = ERRORS[mean < other_mean, largest > other_max]
    return tr(text, name=tr(name), other=tr(other), share=abs(1 - mean / other_mean))


def about_rounded(distinct: int, block: int) -> str:
    """Say whether weights were rounded to 4 bits before: a block of `block` weights has at most 16 values then."""
    if distinct <= 16 < block:
        return tr(
            "A block of {block} weights has {distinct} different values: this base was rounded to 4 bits before we got it "
            "(Q4_1, in a GGUF file). What we call its 16-bit weights are these values in another format. NF4 rounds them a "
            "second time.",
            block=block,
            distinct=distinct,
        )
    return tr(
        "A block of {block} weights has {distinct} different values: this base was not rounded to 4 bits before.",
        block=block,
        distinct=distinct,
    )


def about_learned(before: float, after: float, steps: int) -> str:
    """Say what a few steps on one row did to its loss."""
    if after < before - LEVEL:
        return tr_n(
            "{count} step on one row lower its loss from {before:.3f} to {after:.3f} nats: the layer learns.",
            "{count:,} steps on one row lower its loss from {before:.3f} to {after:.3f} nats: the layer learns.",
            steps,
            before=before,
            after=after,
        )
    return tr_n(
        "{count} step on one row leave its loss at {after:.3f} nats (before: {before:.3f}): nothing is learned.",
        "{count:,} steps on one row leave its loss at {after:.3f} nats (before: {before:.3f}): nothing is learned.",
        steps,
        before=before,
        after=after,
    )


def about_base_size(base_mib: float, weights: int) -> str:
    """Compare the stored size of a base with 16 bits and with a quarter of that."""
    sixteen = weights * 2 / 2**20
    share = base_mib / sixteen
    if share > 0.9:
        return tr(
            "The base takes {size:.0f} MiB here, {share:.0%} of its size in 16 bits: it is not quantized.",
            size=base_mib,
            share=share,
        )
    if share < 0.3:
        return tr(
            "In 16 bits the base takes {sixteen:.0f} MiB; as it is stored here, {size:.0f} MiB. That is a quarter.",
            sixteen=sixteen,
            size=base_mib,
        )
    return tr(
        "In 16 bits the base takes {sixteen:.0f} MiB; as it is stored here, {size:.0f} MiB. That is {share:.0%} and not a "
        "quarter, because the embeddings stay in 16 bits.",
        sixteen=sixteen,
        size=base_mib,
        share=share,
    )


def about_curve(log: Sequence[dict]) -> str:
    """Read a training's validation losses: falling, past its lowest point, or not measured."""
    points = [(line["step"], line["validation_loss"]) for line in log if "validation_loss" in line]
    if len(points) < 2:
        return tr("The validation loss was measured less than twice, so there is no curve to read.")
    (first_step, first), (last_step, last) = points[0], points[-1]
    step, best = min(points, key=lambda point: point[1])
    if not math.isfinite(last):
        return tr("The validation loss is not a number: the training diverged.")
    if step == last_step and first - best > ROUGHLY_EQUAL * first:
        return tr(
            "The validation loss falls from {first:.3f} (step {first_step}) to {best:.3f} (step {step}), and is lowest at the "
            "end: more steps may lower it further.",
            first=first,
            first_step=first_step,
            best=best,
            step=step,
        )
    if step == last_step:
        return tr(
            "The validation loss hardly moves: {first:.3f} at step {first_step}, {last:.3f} at step {last_step}.",
            first=first,
            first_step=first_step,
            last=last,
            last_step=last_step,
        )
    return tr(
        "The validation loss is lowest at step {step} ({best:.3f}) and {last:.3f} at the end: those last steps did not help.",
        step=step,
        best=best,
        last=last,
    )


def about_coverage(manifest: Mapping) -> str:
    """Say how much of the training split was trained on, and what that means for rows called "seen"."""
    rows, examples = manifest["trained_rows"], manifest["examples"]
    share = tr(
        "{rows:,} of {examples:,} training rows, {epochs:g} epochs",
        rows=rows,
        examples=examples,
        epochs=manifest["trained_epochs"],
    )
    if rows < examples:
        return tr(
            "The kept weights were trained on {share}. The other rows are as new to the model as test rows.",
            share=share,
        )
    return tr("The kept weights were trained on every row at least once: {share}.", share=share)


def about_memory(parts_mib: Mapping[str, float], peak_gib: float | None) -> str:
    """Compare what weights and optimizer need with the measured peak."""
    known = sum(parts_mib.values()) / 1024
    if peak_gib is None:
        return tr("The computed parts need {known:.2f} GiB; the peak was not measured.", known=known)
    if (peak_gib - known) / peak_gib > 0.5:
        return tr(
            "The computed parts explain {known:.2f} of {peak:.2f} GiB. Most of the peak is something else: activations, and "
            "the process itself (Python and its libraries).",
            known=known,
            peak=peak_gib,
        )
    return tr(
        "The computed parts explain {known:.2f} of {peak:.2f} GiB. The rest is activations, and the process itself (Python "
        "and its libraries).",
        known=known,
        peak=peak_gib,
    )


def about_same_loss(ours: Sequence[float], plain: Sequence[float]) -> str:
    """Compare the step losses of the course's training with those of plain PEFT and Trainer."""
    gap = max(abs(a - b) for a, b in zip(ours, plain, strict=True))
    steps = tr_n("{count} step", "{count:,} steps", len(ours))
    if gap < 0.02:
        return tr(
            "Over {steps} the two losses differ by at most {gap:.4f} nats: it is the same training.",
            steps=steps,
            gap=gap,
        )
    return tr(
        "Over {steps} the two losses differ by up to {gap:.3f} nats: something in the two recipes differs.",
        steps=steps,
        gap=gap,
    )


def about_start(equal: bool) -> str:
    """Say whether the model with a new adapter gives the base's logits."""
    if equal:
        return tr("Equal to the last bit: the model with a new adapter is the base.")
    return tr('Not equal: the "before" of this training is not the base model.')


def diagnose(train: Sequence[float], validation: Sequence[float]) -> str:
    """Name what a run's losses show: 'too high', 'overfitting', 'too low' or 'right'; the first that fits, in this order.

    too high: a training loss is not a number, or above RISE times the first. overfitting: the validation loss ends above TURN
    times its lowest. too low: it ends above FALL times its first.
    """
    if any(not math.isfinite(loss) or loss > RISE * train[0] for loss in train):
        return "too high"
    if validation[-1] > TURN * min(validation):
        return "overfitting"
    return "too low" if validation[-1] > FALL * validation[0] else "right"


def about_gallery(line: dict, right: dict) -> str:
    """Read one run of the gallery beside the right one. Lines as in results/loss_gallery.jsonl."""
    train, validation = losses(line["log"], "loss"), losses(line["log"], "validation_loss")
    good = losses(right["log"], "validation_loss")[-1][1]
    rate, rows = line["settings"]["train.learning_rate"], line["rows"]
    run = tr(DIAGNOSES.get(line["run"], line["run"])).capitalize()
    training_rows = tr_n("{count} training row", "{count:,} training rows", rows)
    head = tr("{run} (rate {rate:g}, {rows})", run=run, rate=rate, rows=training_rows)
    step, best = min(validation, key=lambda point: point[1])
    last_step, last = validation[-1]
    end = train[-1][1]
    what = {
        "too high": lambda: tr(
            "the training loss rises from {first:.2f} to as much as {top:.2f}",
            first=train[0][1],
            top=max(loss for _, loss in train),
        ),
        "overfitting": lambda: tr(
            "the validation loss turns at step {step} ({best:.2f}) and ends at {last:.2f}, while the training loss falls to "
            "{end:.2f}",
            step=step,
            best=best,
            last=last,
            end=end,
        ),
        "too low": lambda: tr(
            "the validation loss hardly falls: {first:.2f} at step {first_step}, {last:.2f} at the end",
            first=validation[0][1],
            first_step=validation[0][0],
            last=last,
        ),
        "right": lambda: tr(
            "training and validation loss fall together, to {end:.2f} and {last:.2f}", end=end, last=last
        ),
    }[diagnose([loss for _, loss in train], [loss for _, loss in validation])]()
    if line["run"] == right["run"]:
        return f"{head}: {what}."
    beside = tr("At step {last_step} the right run has {good:.2f}.", last_step=last_step, good=good)
    return f"{head}: {what}. {beside}"


def text_while_training(log: Sequence[dict], steps: Sequence[int] | None = None) -> list[tuple[int, str]]:
    """Return (step, first sample on one line) of a training log; of these steps alone where they were recorded."""
    texts = [(line["step"], " ".join(line["samples"][0]["text"].split())) for line in log if line.get("samples")]
    return [(step, text) for step, text in texts if steps is None or step in steps]


def losses(log: Sequence[dict], key: str) -> list[tuple[int, float]]:
    """Return (step, loss) for the lines of a log that have `key`."""
    return [(line["step"], line[key]) for line in log if key in line]


def about_speed(rows: Sequence[dict]) -> list[str]:
    """Explain a recorded speed table: the longest step, changes that made it slower, and how slow the first recipe is.

    rows: of one model shape, with `times` (see `tables.of_shape`).
    """
    if len(rows) < 2:
        return [tr("No speed is recorded for this shape.")]
    chain = rows[: 1 + max(range(len(rows)), key=lambda idx: rows[idx]["times"])]  # after the fastest: side branches
    pairs = [*zip(chain, chain[1:], strict=False)]
    steps = [(after["times"] / before["times"], tr(after["recipe"])) for before, after in pairs]
    factor, recipe = max(steps)
    slower = [f'"{name}" ({share:.2f} ×)' for share, name in steps if share < 0.97]
    sentences = [
        tr(
            'The largest gain in one line is "{recipe}": {factor:.1f} times the line before it.',
            recipe=recipe,
            factor=factor,
        )
    ]
    if slower:
        sentences.append(
            tr_n(
                "{count} line made it slower than the line before: {slower}. Such a change is made for another reason, or for "
                "the line after it.",
                "{count:,} lines made it slower than the line before: {slower}. Such a change is made for another reason, or "
                "for the line after it.",
                len(slower),
                slower=", ".join(slower),
            )
        )
    padded = [tr(after["recipe"]) for before, after in pairs if after["padding_share"] > before["padding_share"] + 0.01]
    if padded:
        sentences.append(
            tr(
                "Padding rises in {recipes}: a pass of few examples has too few to fill the rows of a pack.",
                recipes=", ".join(map(repr, padded)),
            )
        )
    sentences.append(
        tr(
            "All factors compare with the reference's recipe: {speed:.1f} examples per second on this GPU. It waits for Python "
            "and not for the GPU; its own log shows no lower speed on a T4. So a factor says as much about the reference as "
            "about the last line.",
            speed=rows[0]["examples_per_s"],
        )
    )
    return sentences
