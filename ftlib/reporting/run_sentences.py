"""Generate the sentences of notebook 03: what a training, its loss curve, its memory and its speed show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ftlib.reporting.sentence_parts import LEVEL, plural

ROUGHLY_EQUAL = 0.02  # share of the loss by which two curves must differ to be called apart
RISE, TURN, FALL = 1.2, 1.05, 0.9  # see `diagnose`


def about_levels(errors: Mapping[str, tuple[float, float]]) -> str:
    """Compare two 4-bit roundings of the same weights. errors: {name: (mean error, largest error)}, the baseline first."""
    (other, (other_mean, other_max)), (name, (mean, largest)) = errors.items()
    relation = "smaller" if mean < other_mean else "larger"
    less = f"{name}'s mean error is {abs(1 - mean / other_mean):.0%} {relation} than that of {other}"
    pays = f"its largest error is {'larger' if largest > other_max else 'smaller'}"
    return f"{less}; {pays}."


def about_rounded(distinct: int, block: int) -> str:
    """Say whether weights were rounded to 4 bits before: a block of `block` weights has at most 16 values then."""
    if distinct <= 16 < block:
        return (
            f"A block of {block} weights has {distinct} different values: this base was rounded to 4 bits before we got it "
            "(Q4_1, in a GGUF file). What we call its 16-bit weights are these values in another format. NF4 rounds them a "
            "second time."
        )
    return f"A block of {block} weights has {distinct} different values: this base was not rounded to 4 bits before."


def about_learned(before: float, after: float, steps: int) -> str:
    """Say what a few steps on one row did to its loss."""
    if after < before - LEVEL:
        return f"{plural(steps, 'step')} on one row lower its loss from {before:.3f} to {after:.3f} nats: the layer learns."
    return f"{plural(steps, 'step')} on one row leave its loss at {after:.3f} nats (before: {before:.3f}): nothing is learned."


def about_base_size(base_mib: float, weights: int) -> str:
    """Compare the stored size of a base with 16 bits and with a quarter of that."""
    sixteen = weights * 2 / 2**20
    share = base_mib / sixteen
    if share > 0.9:
        return f"The base takes {base_mib:.0f} MiB here, {share:.0%} of its size in 16 bits: it is not quantized."
    why = "a quarter" if share < 0.3 else f"{share:.0%} and not a quarter, because the embeddings stay in 16 bits"
    return f"In 16 bits the base takes {sixteen:.0f} MiB; as it is stored here, {base_mib:.0f} MiB. That is {why}."


def about_curve(log: Sequence[dict]) -> str:
    """Read a training's validation losses: falling, past its lowest point, or not measured."""
    points = [(line["step"], line["validation_loss"]) for line in log if "validation_loss" in line]
    if len(points) < 2:
        return "The validation loss was measured less than twice, so there is no curve to read."
    (first_step, first), (last_step, last) = points[0], points[-1]
    step, best = min(points, key=lambda point: point[1])
    if not math.isfinite(last):
        return "The validation loss is not a number: the training diverged."
    if step == last_step and first - best > ROUGHLY_EQUAL * first:
        return (
            f"The validation loss falls from {first:.3f} (step {first_step}) to {best:.3f} (step {step}), and is lowest at the "
            "end: more steps may lower it further."
        )
    if step == last_step:
        return f"The validation loss hardly moves: {first:.3f} at step {first_step}, {last:.3f} at step {last_step}."
    return f"The validation loss is lowest at step {step} ({best:.3f}) and {last:.3f} at the end: those last steps did not help."


def about_coverage(manifest: Mapping) -> str:
    """Say how much of the training split was trained on, and what that means for rows called "seen"."""
    rows, examples = manifest["trained_rows"], manifest["examples"]
    share = f"{rows:,} of {examples:,} training rows, {manifest['trained_epochs']:g} epochs"
    if rows < examples:
        return f"The kept weights were trained on {share}. The other rows are as new to the model as test rows."
    return f"The kept weights were trained on every row at least once: {share}."


def about_memory(parts_mib: Mapping[str, float], peak_gib: float | None) -> str:
    """Compare what weights and optimizer need with the measured peak."""
    known = sum(parts_mib.values()) / 1024
    if peak_gib is None:
        return f"The computed parts need {known:.2f} GiB; the peak was not measured."
    rest = peak_gib - known
    share = rest / peak_gib
    what = "activations, and the process itself (Python and its libraries)"
    explained = f"The computed parts explain {known:.2f} of {peak_gib:.2f} GiB."
    return (
        f"{explained} Most of the peak is something else: {what}."
        if share > 0.5
        else f"{explained} The rest is {what}."
    )


def about_same_loss(ours: Sequence[float], plain: Sequence[float]) -> str:
    """Compare the step losses of the course's training with those of plain PEFT and Trainer."""
    gap = max(abs(a - b) for a, b in zip(ours, plain, strict=True))
    steps = plural(len(ours), "step")
    if gap < 0.02:
        return f"Over {steps} the two losses differ by at most {gap:.4f} nats: it is the same training."
    return f"Over {steps} the two losses differ by up to {gap:.3f} nats: something in the two recipes differs."


def about_start(equal: bool) -> str:
    """Say whether the model with a new adapter gives the base's logits."""
    if equal:
        return "Equal to the last bit: the model with a new adapter is the base."
    return 'Not equal: the "before" of this training is not the base model.'


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
    head = f"{line['run'].capitalize()} (rate {rate:g}, {plural(rows, 'training row')})"
    step, best = min(validation, key=lambda point: point[1])
    last_step, last = validation[-1]
    what = {
        "too high": f"the training loss rises from {train[0][1]:.2f} to as much as {max(loss for _, loss in train):.2f}",
        "overfitting": f"the validation loss turns at step {step} ({best:.2f}) and ends at {last:.2f}, while the training loss "
        f"falls to {train[-1][1]:.2f}",
        "too low": f"the validation loss hardly falls: {validation[0][1]:.2f} at step {validation[0][0]}, {last:.2f} at the end",
        "right": f"training and validation loss fall together, to {train[-1][1]:.2f} and {last:.2f}",
    }[diagnose([loss for _, loss in train], [loss for _, loss in validation])]
    beside = "" if line["run"] == right["run"] else f" At step {last_step} the right run has {good:.2f}."
    return f"{head}: {what}.{beside}"


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
        return ["No speed is recorded for this shape."]
    chain = rows[: 1 + max(range(len(rows)), key=lambda idx: rows[idx]["times"])]  # after the fastest: side branches
    pairs = [*zip(chain, chain[1:], strict=False)]
    steps = [(after["times"] / before["times"], after["recipe"]) for before, after in pairs]
    factor, recipe = max(steps)
    slower = [f'"{name}" ({share:.2f} ×)' for share, name in steps if share < 0.97]
    sentences = [f'The largest gain in one line is "{recipe}": {factor:.1f} times the line before it.']
    if slower:
        lines = f"{plural(len(slower), 'line')} made it slower than the line before"
        sentences.append(
            f"{lines}: {', '.join(slower)}. Such a change is made for another reason, or for the line after it."
        )
    padded = [after["recipe"] for before, after in pairs if after["padding_share"] > before["padding_share"] + 0.01]
    if padded:
        sentences.append(
            f"Padding rises in {', '.join(map(repr, padded))}: a pass of few examples has too few to fill the rows of a pack."
        )
    sentences.append(
        f"All factors compare with the reference's recipe: {rows[0]['examples_per_s']:.1f} examples per second on this GPU. It "
        "waits for Python and not for the GPU; its own log shows no lower speed on a T4. So a factor says as much about the "
        "reference as about the last line."
    )
    return sentences
