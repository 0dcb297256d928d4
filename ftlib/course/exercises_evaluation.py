"""Checkers of the exercises of notebooks 05 and 06, see `exercises`."""

from __future__ import annotations

from ftlib.course.grading import LIST, NUMBER, TEXT, exercise, pair_of
from ftlib.runtime.language import to_translate, tr, tr_n


@exercise(
    to_translate(
        "Per row take tuned - base; draw row numbers with default_rng(seed).integers; np.percentile of the means at 2.5 and 97.5."
    )
)
def ex_5_1(answer):
    """`difference_interval(base, tuned, resamples, seed)`: (low, high) of mean(tuned - base), 95 %, rows drawn together."""
    import numpy as np

    from ftlib.evaluation.bootstrap import paired_difference

    rng, resamples = np.random.default_rng(5), 4000
    base = 3.5 + 0.8 * rng.normal(size=80)  # the rows differ far more than the two systems do
    tuned = base - 0.3 + 0.1 * rng.normal(size=80)
    right = paired_difference(tuned, base, resamples, 0)
    other, again, (low, high) = (answer(base, tuned, resamples, s, kind=pair_of(NUMBER)) for s in (1, 0, 0))
    answer.given = f"({low:.3f}, {high:.3f})"
    wide = (high - low) / (right["ci95"][1] - right["ci95"][0])
    answer.must(low < high, tr("low must come first and lie below high."))
    mean = tr(
        "it must contain the mean of tuned - base, {mean:.3f}. Its sign says which system is lower.",
        mean=right["mean"],
    )
    answer.must(low < right["mean"] < high, mean)
    paired = tr(
        "{wide:.1f} times as wide as the paired interval. Draw the SAME rows for both and take the mean of each resample.",
        wide=wide,
    )
    answer.must(wide < 1.14, paired)
    narrow = tr(
        "only {wide:.2f} times as wide as the 95 % interval. "
        "Draw as many rows as there are; take percentiles 2.5 and 97.5.",
        wide=wide,
    )
    answer.must(wide > 0.88, narrow)
    second = tr("{first} as low end, and {second} at the second call", first=low, second=again[0])
    answer.must(
        (low, high) == again, tr("the same seed must give the same interval, or nobody can check it."), given=second
    )
    answer.must(
        (low, high) != other,
        tr("and the same with seed 1: the seed is not used. Rows must be drawn at random, from it."),
    )


@exercise(to_translate("ftlib.data.numbers(text) gives the set of a text's numbers; sets can be subtracted."))
def ex_5_2(answer):
    """`invented(title, answer)`: the different numbers of the answer that the title does not give, as a list or set."""
    from ftlib.data.lexical import numbers

    for title, text, rule in (
        ("Blue cup", "It holds 350 ml and is 9.5 cm high.", tr("every number that the title lacks must be found")),
        ("Blue cup, 350 ml", "A cup of 350 ml.", tr("a number that the title gives is not invented")),
        ("Cups, set of 12", "A set of 2 cups.", tr("numbers must be compared whole: 2 does not stand in 12")),
        (
            "Puzzle, 1,000 pieces, .5 m",
            "It has 1000 pieces, 0.50 m wide.",
            tr("the spelling of a number must not matter"),
        ),
        ("Music player", "It plays MP3 files.", tr("a digit inside a word is no number")),
        ("Lamp", "12 months, yes, 12 months.", tr("a number said twice is invented once")),
    ):
        expected, result = numbers(text) - numbers(title), [str(item) for item in answer(title, text, kind=LIST)]
        right = len(result) == len(expected) and {number for item in result for number in numbers(item)} == expected
        answer.must(
            right,
            f"{rule}. {tr('A number that the model cannot know is a guess in the voice of a fact.')}",
            sorted(expected),
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
        "names = list(answers); random.Random(seed).shuffle(names); then take the texts in the order of names."
    )
)
def ex_6_1(answer):
    """`blind(answers, seed)`: (shown, key), two texts in an order drawn from the seed, and the systems' names in that order."""
    answers, first = {"base": "A cup.", "tuned": "Description: A blue cup."}, []
    for texts in (answers, {"base": "Same.", "tuned": "Same."}):
        for seed in range(100):
            again, (shown, key) = (answer(dict(texts), seed, kind=pair_of(LIST)) for _ in range(2))
            named = sorted(map(str, key)) == sorted(texts)
            answer.must(
                named, tr("the key must name each system once, also where both texts are equal, or a vote is lost.")
            )
            fits = shown == [texts[name] for name in key]
            answer.must(
                fits,
                tr("the key must name the system of each text, in the same order. Else the wrong model gets the vote."),
            )
            answer.must(
                (shown, key) == again,
                tr("the same seed must give the same order, so that the key can be made again."),
                again,
            )
            first.append(key[0])
    share, answer.call = first[:100].count("base"), f"{answer.name}(answers, seed)"
    rule = tr("both orders must occur about equally often. Whoever reads two texts tends to favor one place.")
    answer.must(25 <= share <= 75, rule, given=tr("base first for {share} of the seeds 0 to 99", share=share))
    for lag in range(1, 11):
        changes = sum(a != b for a, b in zip(first[:100], first[lag:100], strict=False)) / (100 - lag)
        rule = tr("the order must not follow a pattern in the seed. A reader who finds the pattern knows the author.")
        given = tr_n(
            "another order than {count} seed before in {changes:.0%} of the cases",
            "another order than {count} seeds before in {changes:.0%} of the cases",
            lag,
            changes=changes,
        )
        answer.must(0.2 <= changes <= 0.8, rule, given=given)


@exercise(
    to_translate(
        "Add math.comb(n, k) for k from 0 to min(wins, losses), divide by 2**n, double it, and take min(1, ...)."
    )
)
def ex_6_2(answer):
    """`p_value(wins, losses)`: two-sided exact sign test, the chance of a result at least as uneven if both were equally good."""
    known = {(5, 0): 2 / 32, (8, 2): 112 / 1024, (10, 0): 2 / 1024, (9, 4): 2186 / 8192, (4, 4): 1.0, (0, 0): 1.0}
    for (wins, losses), expected in known.items():
        swapped, p = answer(losses, wins, kind=NUMBER), answer(wins, losses, kind=NUMBER)
        answer.must(
            0 <= p <= 1,
            tr("a p-value lies between 0 and 1. Doubling counts the middle twice where wins equal losses."),
            expected,
        )
        same, both = (
            tr("it must be symmetrical. Nobody knew which model would win."),
            tr("{p:.4g}, and {swapped:.4g} exchanged", p=p, swapped=swapped),
        )
        answer.must(abs(p - swapped) < 1e-9, same, given=both)
        exact = tr(
            "it must be exact and two-sided: add the chances of all results at least as uneven, in both directions."
        )
        answer.must(abs(p - expected) < 1e-9, exact, expected)


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
