"""Generate the sentences of notebooks 01 to 03: what data, loss and training show, computed from the result beside them.

Each function returns the sentence that fits its numbers, in both directions, so that another recording gives another
sentence instead of a false one. Values are formatted here; the notebooks' own text holds no number of a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

LEVEL = 0.005  # nats: losses that differ by less are called level
SLIGHT = 0.02  # nats: a shown difference below this is called slight
ROUGHLY_EQUAL = 0.02  # share of the loss by which two curves must differ to be called apart
RISE, TURN, FALL = 1.2, 1.05, 0.9  # see `diagnose`


def plural(count: int, noun: str) -> str:
    """Format a count with its noun: '1 row', '1,781 rows'."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


# 01: data


def about_rows(funnel: dict) -> str:
    """Say whether the rows that were kept add up to the splits and to what was left out."""
    splits, left_out = funnel["splits"], funnel.get("left_out", {})
    held_out, not_needed = left_out.get("held_out_groups", 0), left_out.get("not_needed", 0)
    parts = [f"{size:,} {name}" for name, size in splits.items()]
    parts += [f"{held_out:,} left out beside held-out rows", f"{not_needed:,} not needed"]
    total = sum(splits.values()) + held_out + not_needed
    adds_up = (
        "so every row is accounted for" if total == funnel["kept"] else f"which does not add up to {funnel['kept']:,}"
    )
    return f"{funnel['kept']:,} rows kept: {' + '.join(parts)} = {total:,}, {adds_up}."


def about_losses(funnel: dict) -> str:
    """Name the filter that drops most rows, and its share of all rows."""
    if not funnel["dropped"]:
        return "No filter dropped a row."
    step, count = max(funnel["dropped"].items(), key=lambda item: item[1])
    others = sum(funnel["dropped"].values()) - count
    return (
        f"The filter `{step}` drops most: {count:,} of {funnel['rows_in']:,} rows ({count / funnel['rows_in']:.0%}). "
        f"All other filters together drop {others:,}."
    )


def about_near(funnel: dict) -> str:
    """Say how many rows near-duplicates joined to a group, which an exact comparison would miss."""
    near = funnel.get("near_duplicates") or {}
    if funnel.get("split") != "near":
        return (
            f"These splits were drawn with `data.split={funnel.get('split')}`, which does not look for near-duplicates."
        )
    if not near.get("rows"):
        return "No two texts differ by a few words only: near-duplicates changed no group."
    return (
        f"{plural(near['rows'], 'row')} differ from another row by a few words only. They join {plural(near['groups'], 'group')} "
        "that an exact comparison would have kept apart."
    )


def about_leaks(by_split: Mapping[str, dict[str, int]]) -> list[str]:
    """Say for each way to split how many test rows have their title or description in training."""
    sentences = []
    for split, counts in by_split.items():
        leaked = max(counts["title"], counts["content"])
        verdict = (
            "no text of the test split is also in training"
            if not leaked
            else (
                f"{plural(counts['title'], 'title')} and {plural(counts['content'], 'description')} of "
                f"{counts['rows']:,} test rows are also in training"
            )
        )
        sentences.append(f"`{split}`: {verdict}.")
    return sentences


def about_lengths(lengths: Sequence[int], limit: int) -> str:
    """Say how many descriptions are longer than a row by themselves."""
    over, middle = sum(length > limit for length in lengths), sorted(lengths)[len(lengths) // 2]
    long = f"{over:,} of {len(lengths):,} are longer than" if over else f"none of {len(lengths):,} is longer than"
    return f"The median description has {middle:,} tokens; {long} {limit:,} tokens by itself."


def about_two_answers(answers: Mapping[str, object], title: str, prefix: str) -> list[str]:
    """Compare the answers of base and fine-tuned model: format, end, and numbers that the title does not give.

    answers: {'base', 'tuned': Answer}.
    """
    from ftlib.data.lexical import numbers

    sentences = []
    for system, name in (("base", "The base model"), ("tuned", "The fine-tuned model")):
        answer = answers[system]
        begins = "begins" if answer.text.strip().startswith(prefix.strip()) else "does not begin"
        stops = "stops by itself" if answer.stopped else "does not stop by itself (it was truncated)"
        invented = sorted(numbers(answer.text) - numbers(title))
        extra = (
            f", and names numbers that the title does not give ({', '.join(map(str, invented))})" if invented else ""
        )
        sentences.append(f'{name} {begins} with "{prefix.strip()}" and {stops}{extra}.')
    return sentences


# 02: ids, labels and the loss


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


# 03: training


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
