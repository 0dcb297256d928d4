"""Checkers of the exercises of notebooks 03 and 04, see `exercises`."""

from __future__ import annotations

from ftlib.course.grading import NUMBER, TEXT, TRUTH, exercise, tensor_of
from ftlib.runtime.language import to_translate, tr


@exercise(to_translate("Compute x @ W.T and add alpha / r times x @ (B @ A).T; no += on W."))
def ex_3_1(answer):
    """`adapted(x, W, A, B, alpha, r)`: the output of a layer with LoRA, x (W + alpha/r B A)^T; W stays as it is."""
    import torch

    from ftlib.training.lora_math import lora_pair

    generator = torch.Generator().manual_seed(3)
    x, W, B = (torch.randn(*shape, generator=generator) for shape in ((4, 8), (6, 8), (6, 2)))
    A, zero = lora_pair(6, 8, r=2)
    base, change, W_before = x @ W.T, x @ (B @ A).T, W.clone()
    A4, B4 = torch.cat([A, A.flip(1)]), torch.cat([B, B.flip(0)], dim=1)  # the same with rank 4
    scaled = tr("the change must have the scale alpha / r. It keeps the step size when r changes.")
    for a, b, alpha, expected, rule in (
        (A, zero, 2, base, tr("with B = 0 the output must be the base's, x @ W.T. Training begins at the base model.")),
        (A, B, 2, base + change, tr("with alpha = r the output must be x @ (W + B A).T.")),
        (A, B, 8, base + 4 * change, scaled),
        (A4, B4, 8, base + 2 * x @ (B4 @ A4).T, f"{scaled} {tr('r is the rank that is handed in, not always 2.')}"),
    ):
        result = answer(x, W, a, b, alpha, len(a), kind=tensor_of((4, 6)))
        gap = float((result - expected).abs().max())
        answer.must(gap < 1e-4, rule, given=tr("values off by up to {gap:.3g}", gap=gap))
        same = torch.equal(W, W_before)
        answer.must(
            same,
            tr("W must stay unchanged. It is frozen: the next call would add the change twice."),
            given=tr("another W"),
        )


@exercise(to_translate("Add up all sums, add up all counts, divide once."))
def ex_3_2(answer):
    """`step_loss(sums, counts)`: nats per token over one optimizer step, from the micro-batches' loss sums and token counts."""
    from ftlib.models.likelihood import mean_nll

    for sums, counts, rule in (
        ([6.0], [3], tr("the loss of one micro-batch is its sum / its count")),
        ([6.0, 2.0], [2, 2], tr("with equal counts it is the mean of the two losses")),
        (
            [30.0, 1.0],
            [10, 1],
            tr("every token must weigh the same. In a mean of means those of a short micro-batch weigh more"),
        ),
        ([4.0, 0.0], [2, 0], tr("an empty micro-batch must change nothing. A row may have no labeled token")),
    ):
        result, expected = answer(list(sums), list(counts), kind=NUMBER), mean_nll(sums, counts)
        answer.must(
            abs(result - expected) < 1e-6,
            f"{rule}. {tr('How rows are dealt out must not change the loss of the step.')}",
            expected,
        )


@exercise(
    to_translate(
        "Test in the order of the list: any bad training loss, then the turn of the validation, then how far it fell."
    )
)
def ex_3_3(answer):
    """`diagnose(train, validation)`: 'too high', 'overfitting', 'too low' or 'right', by the rules of the exercise."""
    import math

    down, flat = [3.6, 3.0, 2.4, 1.9, 1.5], [3.6, 3.6, 3.5, 3.5, 3.5]
    for train, validation, expected, rule in (
        (down, [3.4, 2.8, 2.3, 2.0, 1.8], "right", tr("both losses fall, so nothing is wrong")),
        (
            flat,
            [3.5, 3.5, 3.5, 3.4, 3.4],
            "too low",
            tr("the validation loss ends at more than 0.9 of its first value"),
        ),
        (down, [3.4, 2.6, 2.2, 2.5, 2.9], "overfitting", tr("the validation loss ends above 1.05 of its lowest value")),
        (
            [3.6, 2.9, 2.0, 0.9, 0.2],
            [3.4, 2.6, 2.9, 3.6, 4.5],
            "overfitting",
            tr("it counts, however low the training loss"),
        ),
        (
            [3.6, 3.0, 6.1, 3.2, 2.9],
            [3.4, 3.0, 3.2, 3.0, 2.9],
            "too high",
            tr("one training loss is above 1.2 of the first"),
        ),
        ([3.6, 5.9, 7.8, 7.5, 7.4], [3.6, 5.0, 7.7, 7.5, 7.4], "too high", tr("the first rule that fits decides")),
        (
            [3.6, 3.0, math.nan, math.nan, math.nan],
            [3.4, 3.0, 3.0, 3.0, 3.0],
            "too high",
            tr("nan must count as too high"),
        ),
        ([3.6, 3.7, 2.6, 2.2, 1.9], [3.4, 2.8, 2.2, 2.0, 2.05], "right", tr("a small rise within the limits is noise")),
    ):
        result = answer(list(train), list(validation), kind=TEXT)
        answer.must(result == expected, f"{rule}. {tr('A curve that is misread costs a training.')}", expected)


@exercise(to_translate("total = W.float() + alpha / r * B.float() @ A.float(), then total.to(W.dtype)."))
def ex_4_1(answer):
    """`merged(W, A, B, alpha, r)`: W + alpha/r B A, added in float32, rounded once to W's type; W stays as it is."""
    import torch

    # Few enough bits that the float32 sum is exact in any order: only the last rounding is left.
    generator = torch.Generator().manual_seed(4)
    sizes = ((24, 16), 1024), ((2, 16), 128), ((24, 2), 128)
    W, A, B = (torch.randint(-127, 128, shape, generator=generator) / steps for shape, steps in sizes)
    change, W_before, shape = B @ A, W.clone(), tensor_of((24, 16))
    for b, alpha, expected, rule in (
        (B * 0, 2, W, tr("with B = 0 the result must be W.")),
        (B, 2, W + change, tr("with alpha = r the result must be W + B A.")),
        (B, 8, W + 4 * change, tr("the change must have the scale alpha / r, as in training.")),
    ):
        gap = float((answer(W, A, b, alpha, 2, kind=shape) - expected).abs().max())
        answer.must(gap < 1e-5, rule, given=tr("values off by up to {gap:.3g}", gap=gap))
        same = torch.equal(W, W_before)
        answer.must(
            same, tr("W must stay unchanged. In float32, W.float() is W itself: += changes it."), given=tr("another W")
        )
    A4, B4 = torch.cat([A, A]), torch.cat([B, B], dim=1)  # rank 4: the same product, twice
    gap = float((answer(W, A4, B4, 4, 4, kind=shape) - (W + 2 * change)).abs().max())
    rule = tr("the rank must be the argument r, not a number. This adapter has another rank than the ones before.")
    answer.must(gap < 1e-5, rule, given=tr("values off by up to {gap:.3g}", gap=gap))
    for kind, factors in ((k, f) for k in (torch.float16, torch.bfloat16) for f in (torch.float32, k)):
        result = answer(W.to(kind), A.to(factors), B.to(factors), 2, 2, kind=shape)
        same_type = tr("the type must be that of W, {kind}. In 32 bits the file is twice as large.", kind=kind)
        answer.must(result.dtype == kind, same_type)
        wrong = int((result != (W + change).to(kind)).sum())
        rule = tr(
            "the sum must be formed in float32 and rounded once, at the end. Each rounding before it loses a part."
        )
        answer.must(wrong == 0, rule, given=tr("{wrong} wrong weights of {total}", wrong=wrong, total=result.numel()))


@exercise(
    to_translate(
        "(a - b).abs().max() for the first condition, torch.equal of the two argmax(-1) for the second; both must hold."
    )
)
def ex_4_2(answer):
    """`same_model(logits_a, logits_b, tolerance)`: is the largest difference within tolerance and every greedy choice equal?"""
    import torch

    a = torch.randn(5, 9, generator=torch.Generator().manual_seed(5))
    a[3, :2] = torch.tensor([6.0, 6.0004])  # nearly a tie: a small difference changes the greedy choice
    far, near, turned, broken, hidden = (a.clone() for _ in range(5))
    far[2, 4] -= 1.0
    near[2, 4] -= 0.02  # above the tolerance, but not as a mean over all 45 logits
    turned[3, 0] += 0.0008
    broken[1, 1] = float("nan")
    hidden[1, int(a[1].argmax())] = float("nan")  # argmax takes nan for the largest, so the choices stay equal
    for b, expected, rule in (
        (a.clone(), True, tr("equal logits are the same model.")),
        (a + 0.0001, True, tr("a difference within the tolerance must be allowed. Rounding alone makes one.")),
        (far, False, tr("the LARGEST difference decides, whatever its sign. One far value hides in a mean.")),
        (
            near,
            False,
            tr("the LARGEST difference decides, also where the mean is small. One far value hides in a mean."),
        ),
        (turned, False, tr("the greedy choice must be equal at every position. After another word all else differs.")),
        (
            broken,
            False,
            tr("nan must never count as the same. A merge that overflows gives nan, and nan > tolerance is False."),
        ),
        (hidden, False, tr("nan must never count as the same, also where it is the greedy choice of both.")),
    ):
        for pair in ((a, b), (b, a)):
            result, gap = answer(*pair, 0.001, kind=TRUTH), float((a - b).abs().max())
            equal = int((a.argmax(-1) == b.argmax(-1)).sum())
            given = tr(
                "{result} where the largest difference is {gap:.3g} and {equal} of {total} greedy choices are equal",
                result=result,
                gap=gap,
                equal=equal,
                total=len(a),
            )
            answer.must(result == expected, rule, expected, given=given)


@exercise(
    to_translate(
        "error = (weights.to(dtype).float() - weights).abs() / weights.abs(); take the max where weights != 0."
    )
)
def ex_4_3(answer):
    """`largest_error(weights, dtype)`: the largest relative error of casting float32 weights to dtype; zeros do not count."""
    import torch

    generator = torch.Generator().manual_seed(43)
    plain = torch.rand(40, generator=generator) + 0.5
    zero, small = torch.cat([plain, torch.zeros(3)]), plain * 2.0**-10
    for weights, rule in (
        (plain, tr("the error of a weight is relative: divide by the size of the weight")),
        (-plain, tr("the sign of a weight must not matter: divide by abs()")),
        (small, tr("small weights have small absolute errors, so only the relative error can be compared")),
        (zero, tr("a weight of 0 is exact in every type, and 0 / 0 is nan: leave zeros out")),
    ):
        for dtype in (torch.float16, torch.bfloat16):
            before = weights.clone()
            result = answer(weights, dtype, kind=NUMBER)
            part = weights[weights != 0]
            expected = float(((part.to(dtype).float() - part).abs() / part.abs()).max())
            answer.must(result == result, f"{rule}.", expected)
            answer.must(
                result >= 0, tr("an error is not negative: take abs() of the difference before the max."), expected
            )
            answer.must(
                torch.equal(weights, before), tr("the weights must stay as they are."), given=tr("changed weights")
            )
            answer.must(
                result > 0, tr("the cast must be undone before you subtract, or the subtraction rounds too."), expected
            )
            answer.must(
                abs(result - expected) < 1e-6 * (1 + expected), f"{rule}; {tr('take the LARGEST error.')}", expected
            )


def try_guess(guess: str, largest_error, weights) -> str:
    """Compare a guess of exercise 4.3 ('float16' or 'bfloat16' rounds more) with the reader's function on real weights."""
    import torch

    if not guess:
        return tr("No guess yet: write float16 or bfloat16 into my_guess, then run both cells.")
    if not ex_4_3(largest_error):
        return tr("The guess is noted. It is compared as soon as the function above passes its check.")
    errors = {str(kind)[6:]: largest_error(weights.float(), kind) for kind in (torch.float16, torch.bfloat16)}
    found = max(errors, key=lambda name: errors[name])
    figures = ", ".join(f"{name} {error:.1e}" for name, error in errors.items())
    if guess == found:
        return tr("On this layer {found} rounds more ({figures}), as you guessed.", found=found, figures=figures)
    return tr(
        "On this layer {found} rounds more ({figures}), and you guessed {guess}.",
        found=found,
        figures=figures,
        guess=guess,
    )
