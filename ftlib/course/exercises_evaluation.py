"""Checkers of the third exercises of notebooks 04 to 06; call them as `exercises.ex_4_3` and so on."""

from __future__ import annotations

from ftlib.course.grading import LIST, NUMBER, TEXT, exercise
from ftlib.runtime.language import to_translate, tr


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


@exercise(
    to_translate(
        "best = min(nll) of the runs without leak; keep runs with nll <= best + noise; min of those by (parameters, nll)."
    )
)
def ex_5_3(answer):
    """`choose(runs, noise)`: the name of the smallest run whose NLL is within `noise` of the best; leaking runs do not count."""

    def run(name, nll, parameters, leak=False):
        return {"name": name, "nll": nll, "parameters": parameters, "leak": leak}

    small, medium, large = run("small", 3.0, 10), run("medium", 2.905, 40), run("large", 2.9, 130)
    for runs, noise, expected, rule in (
        ([small, large], 0.01, "large", tr("a run that is clearly worse must not win because it is small")),
        (
            [small, medium, large],
            0.01,
            "medium",
            tr("within the noise the smaller run must win: the difference is no finding"),
        ),
        ([large, medium, small], 0.01, "medium", tr("the order of the list must not matter")),
        (
            [run("leaking", 2.5, 10, True), small, medium, large],
            0.01,
            "medium",
            tr("a run whose training rows leak into the test rows must not count, neither as winner nor as the best"),
        ),
        (
            [run("a", 3.0, 10), run("b", 2.995, 20), run("c", 2.99, 30)],
            0.0,
            "c",
            tr("with noise 0 only the best run counts"),
        ),
        (
            [run("a", 3.0, 10), run("b", 2.994, 20), run("c", 2.988, 30)],
            0.007,
            "b",
            tr("the noise is counted from the BEST run. From run to run, small losses add up"),
        ),
        ([run("a", 2.75, 10), run("b", 2.5, 20)], 0.25, "a", tr("exactly at the noise still counts as no finding")),
        ([run("a", 2.92, 10), run("b", 2.9, 10)], 0.05, "b", tr("of two runs of the same size the lower NLL must win")),
    ):
        result = answer([dict(each) for each in runs], noise, kind=TEXT)
        answer.must(result == expected, f"{rule}.", expected)


def try_choice(choose, runs: list[dict], allowed: tuple[float, ...] = (0.0, 0.02, 0.05)) -> str:
    """Apply the reader's `choose` of exercise 5.3 to a study, for several levels of noise."""
    if not ex_5_3(choose):
        return tr("The study is chosen from as soon as the function above passes its check.")
    sizes = {run["name"]: run["parameters"] for run in runs}
    chosen = [(noise, choose([run | {"leak": False} for run in runs], noise)) for noise in allowed]
    return "\n".join(
        tr("noise {noise:g}: {name}, {size:,} trained weights", noise=noise, name=name, size=sizes[name])
        for noise, name in chosen
    )


@exercise(
    to_translate(
        "ftlib.data.numbers gives numbers; re.findall(r'(\\d[\\d.,]*)[ -]*([a-z]+)', text.lower()) gives (number, word) pairs."
    )
)
def ex_6_3(answer):
    """`moved(title, text)`: a list of (number, word) of the text whose number is in the title, but not before that word."""
    for title, text, expected, rule in (
        (
            "Zorblax 9000 toaster",
            "It is 9000 inches wide.",
            {("9000", "inches")},
            tr("a number with a new unit must be found"),
        ),
        ("Cup, 300 ml", "It holds 300 ml.", set(), tr("a number with the unit of the title is no invention")),
        ("Cup, 300 ml", "It is 12 cm high.", set(), tr("a number that the title lacks is another check's task")),
        (
            "Cable, 3 feet, 2 pack",
            "Each of the 3 pack is 3 feet long.",
            {("3", "pack")},
            tr("each pair must be checked"),
        ),
        ("CUP, 300 ML", "Holds 300 ml.", set(), tr("upper and lower case must not matter")),
        (
            "Lamp 14 in",
            "The 14 in lamp has 14 bulbs. Yes, 14 bulbs.",
            {("14", "bulbs")},
            tr("a pair said twice counts once"),
        ),
        ("Set of 12 cups", "The set has 2 cups.", set(), tr("numbers must be compared whole: 2 does not stand in 12")),
    ):
        try:
            result = [(str(number), str(word).lower()) for number, word in answer(title, text, kind=LIST)]
        except (TypeError, ValueError):
            answer.must(False, tr("the result must be a list of pairs (number, word)."), sorted(expected))
        right = set(result) == expected and len(result) == len(expected)
        answer.must(
            right, f"{rule}. {tr('A number of the title in a wrong place reads like a fact.')}", sorted(expected)
        )
