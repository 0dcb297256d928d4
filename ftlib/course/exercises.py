"""Checkers of the exercises: `exercises.ex_1_1(answer)` is for the first exercise of notebook 01, and so on.

Each calls the reader's function on small inputs and returns a `Verdict`. Properties are checked in order, from the
simple case to the pitfall that the notebook warns of, so the first failure is the next thing to fix. End the cell with
`exercises.ex_1_1(without_links)`; in a script, print it. Where ftlib computes the expected value itself, it is called;
torch is imported by the exercises that need it.
"""

from __future__ import annotations

from ftlib.course.exercises_evaluation import ex_4_3, ex_5_3, ex_6_3, try_choice, try_guess  # noqa: F401
from ftlib.course.grading import INTEGERS, LIST, NUMBER, TEXT, TRUTH, exercise, pair_of, tensor_of
from ftlib.prompts.encoding import IGNORED
from ftlib.runtime.language import to_translate, tr, tr_n


@exercise(
    to_translate(
        r"re.sub with (?:https?://|www\.)\S+ and re.IGNORECASE finds the addresses; ftlib.data.whitespace cleans up the blanks."
    )
)
def ex_1_1(answer):
    """`without_links(text)`: the text without web addresses, all other words as they were, single blanks between them."""
    for text, expected in (
        ("Manual at https://example.com/a?b=1 in color", "Manual at in color"),
        ("Visit www.example.com and http://example.org/shop for more", "Visit and for more"),
        ("HTTP://EXAMPLE.COM has the Manual", "has the Manual"),
        ("A cup.\nSee https://example.com\nfor sizes", "A cup. See for sizes"),
    ):
        result = answer(text, kind=TEXT)
        answer.must(
            "example" not in result.lower(),
            tr("an address is left. A model that reads addresses makes some up."),
            expected,
        )
        answer.must(
            result.split() == expected.split(),
            tr("the other words must stay. An address ends at the next blank."),
            expected,
        )
        answer.must(
            result == expected,
            tr("a blank too many. Where an address goes, blanks and line ends beside it must not pile up."),
            expected,
        )
    for text in (
        "A cup, e.g. for tea. Vol.2, 3.5 in.; and/or Blue",
        "Reads http and https: all of the www",
        "Über-café",
    ):
        result = answer(text, kind=TEXT)
        answer.must(
            result == text, tr("a text without an address must stay unchanged. A step that eats more harms good rows.")
        )


@exercise(
    to_translate(
        "Put the normalized training titles into a set, then count the test titles whose normalized form is in it."
    )
)
def ex_1_2(answer):
    """`leaked(train_titles, test_titles)`: how many test titles occur in training, case and punctuation aside."""
    from ftlib.data.exploration import leaks

    for train, test, rule in (
        (["Blue Cup", "Pot"], ["Blue Cup", "Jug"], tr("a title that stands in both splits counts")),
        (["Blue Cup"], ["Blue Cup with Lid", "Cup"], tr("a title that only shares words does not count")),
        (["Blue Cup, large", "TEA POT"], ["blue cup (Large)", "Tea-Pot!"], tr("case and punctuation must not matter")),
        (["Pot"], ["Pot", "Pot", "Jug"], tr("every row of the test split counts, also where a title comes twice")),
        (["Pot", "Pot", "pot"], ["Pot"], tr("rows of the training split must not be counted")),
    ):
        splits = {"train": {"title": train, "content": []}, "test": {"title": test, "content": []}}
        expected = leaks(splits)["title"]
        result = answer(train, test, kind=NUMBER)
        answer.must(
            result == expected, f"{rule}. {tr('On each leaked row the model may answer from memory.')}", expected
        )


@exercise(to_translate("funnel['kept'] minus sum(funnel['splits'].values()) minus sum(funnel['left_out'].values())."))
def ex_1_3(answer):
    """`unexplained(funnel)`: kept rows that are in no split and not in `left_out`; 0 where the funnel adds up."""
    for sizes, held_out, not_needed, missing, rule in (
        ((10, 2, 3), 0, 0, 0, tr("rows that are in a split are explained")),
        (
            (10, 2, 3),
            4,
            0,
            0,
            tr("rows left out beside held-out rows are explained too. Lost without a count, they look like a fault"),
        ),
        ((10, 2, 3), 4, 5, 0, tr("rows that are not needed are explained too")),
        ((10, 2, 3), 1, 1, 6, tr("what is left must be returned as a positive number")),
        ((0, 0, 0), 0, 0, 7, tr("without splits all kept rows are unexplained")),
    ):
        splits = dict(zip(("train", "validation", "test"), sizes, strict=True))
        left_out = {"held_out_groups": held_out, "not_needed": not_needed}
        kept = sum(sizes) + held_out + not_needed + missing
        # the losses before `kept` are of other rows, and must not count again
        funnel = {
            "rows_in": kept + 20,
            "dropped": {"missing": 20},
            "kept": kept,
            "splits": splits,
            "left_out": left_out,
        }
        answer.must(answer(funnel, kind=NUMBER) == missing, f"{rule}.", missing)


@exercise(
    to_translate("The labels are as many {ignored} as the prompt has ids, followed by the answer's ids and the end."),
    ignored=IGNORED,
)
def ex_2_1(answer):
    """`labels(prompt_ids, answer_ids, end_id)`: (input_ids, labels), the prompt not trained on, answer and end trained on."""
    for prompt, completion, end in (([5, 6, 7], [8, 9], 2), ([1, 2, 7, 9], [7, 8, 9], 2), ([2], [], 2)):
        inputs, n = (list(prompt), list(completion), end), len(prompt)
        ids, labels = answer(*inputs, kind=pair_of(INTEGERS))
        answer.must(ids == prompt + completion + [end], tr("the ids must be prompt, answer and end, in this order."))
        answer.must(
            labels != [IGNORED] * n + completion,
            tr(
                "the end has no label: it must be {end}. A model that never sees its end never learns to stop.", end=end
            ),
        )
        answer.must(
            len(labels) == len(ids),
            tr("both must have equal lengths. No label is shifted: the model does that itself."),
        )
        answer.must(
            labels[:n] == [IGNORED] * n,
            tr("the prompt must be masked: its {n} labels are {ignored}, or it is trained on.", n=n, ignored=IGNORED),
        )
        answer.must(
            labels[n:-1] == completion,
            tr("the answer must be labeled. Its place decides what is masked, not the id."),
            completion,
        )
        answer.must(
            labels[-1] == end,
            tr("the end must be labeled {end}. A model that never sees its end never learns to stop.", end=end),
        )
        answer.must(
            inputs == (prompt, completion, end),
            tr("the lists handed in must stay unchanged, or the next call sees other rows."),
        )


@exercise(to_translate("For each length, add list(range(length)) to the end of one list."))
def ex_2_2(answer):
    """`positions(lengths)`: the position_ids of one packed row, as the packing of the course makes them."""
    from ftlib.prompts.packing import PackingCollator

    for lengths in ([3], [4, 2], [5, 3, 3, 1]):
        # longest first, as packed
        examples = [{"input_ids": [1] * length, "labels": [1] * length} for length in lengths]
        expected = PackingCollator(0, sum(lengths))(examples)["position_ids"][0].tolist()
        result = answer(list(lengths), kind=INTEGERS)
        answer.must(
            len(result) == len(expected),
            tr("the length must be the sum: one position for each token of the row."),
            expected,
        )
        starts = [token_idx for token_idx, position in enumerate(expected) if position == 0]
        begins = all(result[token_idx] == 0 for token_idx in starts)
        answer.must(
            begins, tr("every part must begin again at 0, or one product reads the description of another."), expected
        )
        answer.must(
            result == expected,
            tr("inside a part the positions rise by one. The model reads the order of words from them."),
            expected,
        )


@exercise(
    to_translate(
        "The probability of each of n tokens is 1 / n; the loss is minus its natural logarithm, which math.log gives."
    )
)
def ex_2_3(answer):
    """`blind_loss(vocabulary)`: nats per token of a model that finds all tokens of its vocabulary equally likely."""
    import math

    for vocabulary, rule in (
        (1, tr("a model with one token is never wrong, so its loss must be 0")),
        (
            2,
            tr("the loss must be in nats: the natural logarithm, which is 0.693 for two tokens. Bits are another unit"),
        ),
        (1000, tr("each token has the probability 1 / 1000, and the loss is minus the logarithm of it")),
        (49152, tr("a larger vocabulary makes the same ignorance more expensive")),
    ):
        result, expected = answer(vocabulary, kind=NUMBER), math.log(vocabulary)
        answer.must(abs(result - expected) < 1e-6, f"{rule}.", expected)


@exercise(
    to_translate("Add all nats and all bytes, divide the sums, and divide by math.log(2): one bit is 0.693 nats.")
)
def ex_2_4(answer):
    """`bits_per_byte(nats, texts)`: bits of loss per UTF-8 byte, from each text's loss in nats and the texts themselves."""
    import math

    for nats, texts, rule in (
        ([math.log(2) * 8], ["blue cup"], tr("8 bits of loss on 8 bytes are 1 bit per byte. A nat is 1.44 bits")),
        ([math.log(2) * 6], ["café x"], tr("bytes must be counted, not characters: é takes two in UTF-8")),
        (
            [math.log(2) * 10, math.log(2) * 2],
            ["cup", "a large blue tea cup"],
            tr("every byte must weigh the same. In a mean of means those of a short text weigh more"),
        ),
    ):
        expected = sum(nats) / math.log(2) / sum(len(text.encode()) for text in texts)
        result = answer(list(nats), list(texts), kind=NUMBER)
        answer.must(abs(result - expected) < 1e-6, f"{rule}.", expected)


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
