"""Checkers of the exercises of notebooks 01 and 02, see `exercises`."""

from __future__ import annotations

from ftlib.course.grading import INTEGERS, NUMBER, TEXT, exercise, pair_of
from ftlib.prompts.encoding import IGNORED
from ftlib.runtime.language import to_translate, tr


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
