"""The checkers of the exercises, tried on the notebooks' own stubs and solutions and on mistakes that students make."""

import ast
import math
import random
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from ftlib.course import exercises, grading

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
CELLS = [cell for path in sorted(FOLDER.glob("*.ipynb")) for cell in nbformat.read(path, as_version=4).cells]
CHECKERS = sorted(name for name in dir(exercises) if re.fullmatch(r"ex_\d_\d", name))


def found(pattern: str, tag: str | None = None) -> dict[str, str]:
    """Exercise -> what `pattern` captures after its number, in the cells with this tag."""
    cells = [cell.source for cell in CELLS if tag in (None, *cell.metadata.get("tags", []))]
    hits = [match for source in cells for match in re.findall(pattern, source, re.DOTALL | re.MULTILINE)]
    return {f"ex_{number[0]}_{number[2]}": text for number, text in hits}


STUBS = {
    f"ex_{n}": cell.source for cell in CELLS for n in re.findall(r"^exercises\.ex_(\d_\d)\(", cell.source, re.MULTILINE)
}
SOLUTIONS = found(
    r"<summary>Solution of exercise (\d\.\d)</summary>\n\n```python\n(.*?)\n```\n\n\S.*</details>", "solution"
)
HINTS = found(r"^### Exercise (\d\.\d): .*<details><summary>Hint</summary>\n\n(.*?)\n\n</details>")
each_exercise = pytest.mark.parametrize("name", STUBS)
WRONG = []  # (exercise, a word that its message must have, function); the function's name is the mistake


def wrong(name: str, word: str):
    return lambda function: WRONG.append((name, word, function)) or function


@pytest.fixture(autouse=True)
def first_try():
    """Tries are counted in the process; each test begins at none."""
    grading._failed.clear()


def answer_of(source: str, name: str):
    """The function that a cell hands to its checker, made by running `source`."""
    space: dict = {}
    exec(source, space)
    return space[re.search(rf"exercises\.{name}\((\w+)\)", STUBS[name])[1]]


@each_exercise
def test_the_notebooks_solution_passes(name):
    """A reader who copies the printed solution and is told "not yet" trusts neither."""
    found = getattr(exercises, name)(answer_of(SOLUTIONS[name], name))
    assert found.passed, found


@each_exercise
def test_the_stub_cell_runs_and_is_open(name):
    """A stub that raises stops "Run all" in the middle; one that passes teaches nothing."""
    *lines, last = ast.parse(STUBS[name]).body
    space = {} if name.endswith("_1") else {"exercises": exercises}  # a notebook's first exercise imports it
    exec(compile(ast.Module(lines, []), name, "exec"), space)
    for _ in range(3):
        found = eval(compile(ast.Expression(last.value), name, "eval"), space)
        assert not found and "Yours to write" in found.message and "Hint" not in found.message


def test_every_checker_has_a_notebook_and_every_exercise_a_checker_stub_hint_and_solution():
    """A missing part shows only when a student meets it: a call that does not exist, a solution without its exercise."""
    assert list(STUBS) == sorted(STUBS) and set(STUBS) == set(HINTS) == set(SOLUTIONS)
    assert sorted(STUBS) == CHECKERS


def test_stubs_and_solutions_are_tagged_and_call_the_function_of_their_statement():
    """Tools that hide or strip solutions go by the tags; a stub with another name than its text confuses."""
    texts = found(r"^### Exercise (\d\.\d): [^`]*`(\w+)\(")
    tagged = {cell.source for cell in CELLS if "exercise" in cell.metadata.get("tags", [])}
    assert tagged == set(STUBS.values())
    for name, source in STUBS.items():
        (stub,) = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
        solved = [node for node in ast.parse(SOLUTIONS[name]).body if isinstance(node, ast.FunctionDef)][-1]
        assert ast.dump(stub.args) == ast.dump(solved.args)
        assert stub.name == solved.name == texts[name]


@pytest.mark.parametrize("name", CHECKERS)
@pytest.mark.parametrize(
    "answer",
    [
        None,
        ...,
        7,
        "text",
        lambda: 1,
        lambda *_: None,
        lambda *_: "x",
        lambda *_: 7,
        lambda *_: [1, "a"],
        lambda *_: {},
    ],
)
def test_nonsense_gives_a_verdict_and_no_error(name, answer):
    """A checker that raises looks like a fault of the course and stops the notebook."""
    found = getattr(exercises, name)(answer)
    assert not found and found.message and found.name == name[3:].replace("_", ".")


@pytest.mark.parametrize("name", CHECKERS)
def test_an_error_in_the_readers_function_is_named(name):
    """ "It failed" without the error sends the reader to the course's code and not to his own."""

    def broken(*_):
        raise KeyError("colour")

    found = getattr(exercises, name)(broken)
    assert not found and "broken(" in found.message and "KeyError: 'colour'" in found.message

    def later(*_):
        raise NotImplementedError

    assert "Yours to write" in getattr(exercises, name)(later).message


@pytest.mark.parametrize("name", CHECKERS)
def test_an_unchanged_stub_is_open_and_not_failed(name):
    """A recorded notebook would greet the reader with a red cross on each exercise that he has not seen yet."""
    for stub in (None, lambda *_: None, lambda *_: ...):
        verdict = getattr(exercises, name)(stub)
        assert not verdict and not verdict.started
        assert "○" in str(verdict) and "✗" not in str(verdict) and "Hint" not in str(verdict)
        assert "dotted" in verdict._repr_html_()


def test_a_verdict_shows_itself_as_text_and_as_escaped_html():
    """A message quotes what the reader's function gave; unescaped, a stray tag would hide the rest of the page."""
    found = exercises.ex_1_1(lambda text: "<b>example</b>")
    page = found._repr_html_()
    assert "<b>example" not in page and "&lt;b&gt;example" in page and "not yet" in page
    assert str(found) == repr(found) and "✗ Exercise 1.1: not yet" in str(found)
    passed = exercises.ex_6_2(sign_test)
    assert "✓ Exercise 6.2: passed" in str(passed) and "passed" in passed._repr_html_()


def test_the_hint_comes_with_the_second_failed_try():
    """A hint at the first try takes the thinking away; none at all leaves the reader stuck."""
    messages = [exercises.ex_3_2(lambda sums, counts: 0.0).message for _ in range(3)]
    assert ["Hint: " in message for message in messages] == [False, True, True]
    assert "Hint: " not in exercises.ex_3_1(lambda *_: 0.0).message, "another exercise has its own count"


def test_the_result_instead_of_the_function_is_explained():
    """`exercises.ex_6_2(p_value(5, 0))` is the most natural slip."""
    assert "without brackets" in exercises.ex_6_2(0.0625).message


def test_importing_the_checkers_needs_no_torch():
    """The first exercise would otherwise wait for a library that it does not use."""
    import subprocess
    import sys

    code = "import sys, ftlib.course.exercises; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# 1.1


@wrong("ex_1_1", "an address is left")
def knows_no_www(text):
    return " ".join(re.sub(r"https?://\S+", "", text, flags=re.I).split())


@wrong("ex_1_1", "an address is left")
def knows_small_letters_only(text):
    return " ".join(re.sub(r"(https?://|www\.)\S+", "", text).split())


@wrong("ex_1_1", "a blank too many")
def leaves_the_blanks(text):
    return re.sub(r"(https?://|www\.)\S+", "", text, flags=re.I)


@wrong("ex_1_1", "other words must stay")
def cuts_to_the_end(text):
    return re.sub(r"(https?://|www\.).*", "", text, flags=re.I).strip()


@wrong("ex_1_1", "must stay unchanged")
def takes_every_dot_for_an_address(text):
    return " ".join(re.sub(r"https?://\S+|\S+\.\w\S*", "", text, flags=re.I).split())


@wrong("ex_1_1", "must stay unchanged")
def lower_cases(text):
    words = re.sub(r"(https?://|www\.)\S+", "", text, flags=re.I).split()
    return " ".join(words).replace("Blue", "blue")


# 1.2


@wrong("ex_1_2", "case and punctuation")
def compares_as_spelt(train, test):
    return sum(title in train for title in test)


@wrong("ex_1_2", "case and punctuation")
def forgets_punctuation(train, test):
    return sum(title.lower() in {t.lower() for t in train} for title in test)


@wrong("ex_1_2", "every row of the test split")
def counts_different_titles(train, test):
    return len(set(map(check_key, train)) & set(map(check_key, test)))


@wrong("ex_1_2", "rows of the training split")
def counts_pairs(train, test):
    return sum(check_key(a) == check_key(b) for a in train for b in test)


@wrong("ex_1_2", "shares words")
def looks_inside_titles(train, test):
    return sum(any(check_key(b) in check_key(a) or check_key(a) in check_key(b) for a in train) for b in test)


def check_key(title):
    return " ".join(re.findall(r"\w+", title.casefold()))


# 1.1, 1.2 and 1.3


@wrong("ex_1_1", "a blank too many")
def keeps_line_ends(text):
    return re.sub(r" {2,}", " ", re.sub(r"(https?://|www\.)\S+", "", text, flags=re.I)).strip()


@wrong("ex_1_3", "held-out rows are explained")
def forgets_what_is_left_out(funnel):
    return funnel["kept"] - sum(funnel["splits"].values())


@wrong("ex_1_3", "not needed are explained")
def forgets_the_rows_not_needed(funnel):
    return funnel["kept"] - sum(funnel["splits"].values()) - funnel["left_out"]["held_out_groups"]


@wrong("ex_1_3", "in a split are explained")
def counts_from_all_rows(funnel):
    return funnel["rows_in"] - sum(funnel["splits"].values()) - sum(funnel["left_out"].values())


@wrong("ex_1_3", "positive number")
def subtracts_the_wrong_way(funnel):
    return sum(funnel["splits"].values()) + sum(funnel["left_out"].values()) - funnel["kept"]


@wrong("ex_1_3", "positive number")
def always_adds_up(funnel):
    return 0


# 2.1


@wrong("ex_2_1", "prompt must be masked")
def trains_on_the_prompt(prompt, answer, end):
    return prompt + answer + [end], prompt + answer + [end]


@wrong("ex_2_1", "end must be labeled")
def masks_the_end(prompt, answer, end):
    return prompt + answer + [end], [-100] * len(prompt) + answer + [-100]


@wrong("ex_2_1", "the end has no label")
def forgets_the_ends_label(prompt, answer, end):
    return prompt + answer + [end], [-100] * len(prompt) + answer


@wrong("ex_2_1", "equal lengths")
def labels_the_answer_only(prompt, answer, end):
    return prompt + answer + [end], answer + [end]


@wrong("ex_2_1", "equal lengths")
def shifts_the_labels(prompt, answer, end):
    return prompt + answer + [end], ([-100] * len(prompt) + answer + [end])[1:]


@wrong("ex_2_1", "Its place decides")
def masks_by_id(prompt, answer, end):
    ids = prompt + answer + [end]
    return ids, [-100 if i in prompt else i for i in ids[:-1]] + [end]


@wrong("ex_2_1", "must be prompt, answer and end")
def forgets_the_end(prompt, answer, end):
    return prompt + answer, [-100] * len(prompt) + answer


@wrong("ex_2_1", "must stay unchanged")
def changes_its_inputs(prompt, answer, end):
    answer.append(end)
    return prompt + answer, [-100] * len(prompt) + answer


# 2.2


@wrong("ex_2_2", "begin again at 0")
def counts_through(lengths):
    return list(range(sum(lengths)))


@wrong("ex_2_2", "begin again at 0")
def begins_at_one(lengths):
    return [place + 1 for length in lengths for place in range(length)]


@wrong("ex_2_2", "length must be the sum")
def gives_the_starts(lengths):
    return [0 for _ in lengths]


@wrong("ex_2_2", "rise by one")
def gives_zeros(lengths):
    return [0] * sum(lengths)


@wrong("ex_2_2", "result must be a list of whole numbers")
def gives_a_list_a_part(lengths):
    return [list(range(length)) for length in lengths]


# 2.3 and 2.4


@wrong("ex_2_3", "in nats")
def counts_bits(vocabulary):
    return math.log2(vocabulary)


@wrong("ex_2_3", "must be 0")
def gives_the_probability(vocabulary):
    return 1 / vocabulary


@wrong("ex_2_3", "in nats")
def forgets_the_minus(vocabulary):
    return math.log(1 / vocabulary)


@wrong("ex_2_3", "must be 0")
def gives_the_perplexity(vocabulary):
    return vocabulary


@wrong("ex_2_3", "in nats")
def counts_in_tens(vocabulary):
    return math.log10(vocabulary)


@wrong("ex_2_4", "A nat is 1.44 bits")
def leaves_nats(nats, texts):
    return sum(nats) / sum(len(text.encode()) for text in texts)


@wrong("ex_2_4", "A nat is 1.44 bits")
def multiplies_by_the_logarithm(nats, texts):
    return sum(nats) * math.log(2) / sum(len(text.encode()) for text in texts)


@wrong("ex_2_4", "not characters")
def counts_characters(nats, texts):
    return sum(nats) / math.log(2) / sum(map(len, texts))


@wrong("ex_2_4", "every byte must weigh the same")
def takes_a_mean_of_means(nats, texts):
    return sum(n / math.log(2) / len(text.encode()) for n, text in zip(nats, texts, strict=True)) / len(texts)


@wrong("ex_2_4", "A nat is 1.44 bits")
def counts_words(nats, texts):
    return sum(nats) / math.log(2) / sum(len(text.split()) for text in texts)


# 3.1


@wrong("ex_3_1", "not always 2")
def takes_rank_two_for_granted(x, W, A, B, alpha, r):
    return x @ W.T + alpha / 2 * x @ (B @ A).T


@wrong("ex_3_1", "scale alpha / r")
def lora_without_scale(x, W, A, B, alpha, r):
    return x @ (W + B @ A).T


@wrong("ex_3_1", "with alpha = r")
def scales_by_alpha(x, W, A, B, alpha, r):
    return x @ (W + alpha * B @ A).T


@wrong("ex_3_1", "W must stay unchanged")
def adds_in_place(x, W, A, B, alpha, r):
    W += alpha / r * B @ A
    return x @ W.T


@wrong("ex_3_1", "RuntimeError")
def swaps_a_and_b(x, W, A, B, alpha, r):
    return x @ (W + alpha / r * A @ B).T


@wrong("ex_3_1", "with B = 0")
def forgets_the_base(x, W, A, B, alpha, r):
    return alpha / r * x @ (B @ A).T


@wrong("ex_3_1", "tensor of shape")
def forgets_the_input(x, W, A, B, alpha, r):
    return W + alpha / r * B @ A


# 3.2


@wrong("ex_3_2", "every token must weigh the same")
def mean_of_means(sums, counts):
    return sum(s / max(c, 1) for s, c in zip(sums, counts, strict=True)) / len(sums)


@wrong("ex_3_2", "sum / its count")
def mean_of_sums(sums, counts):
    return sum(sums) / len(sums)


@wrong("ex_3_2", "mean of the two losses")
def sum_of_means(sums, counts):
    return sum(s / c for s, c in zip(sums, counts, strict=True))


@wrong("ex_3_2", "an empty micro-batch")
def gives_nan_for_an_empty_one(sums, counts):
    return sum(sums) / sum(counts) if all(counts) else math.nan


# 3.3


def read_curves(train, validation, rise=1.2, turn=1.05, fall=0.9):
    if any(math.isnan(loss) or loss > rise * train[0] for loss in train):
        return "too high"
    if validation[-1] > turn * min(validation):
        return "overfitting"
    return "too low" if validation[-1] > fall * validation[0] else "right"


@wrong("ex_3_3", "overfitting")
def looks_at_the_training_loss_only(train, validation):
    return "too high" if max(train) > 1.2 * train[0] else "too low" if train[-1] > 0.9 * train[0] else "right"


@wrong("ex_3_3", "above 1.2 of the first")
def looks_at_the_ends_only(train, validation):
    return read_curves([train[0], train[-1]], validation)


@wrong("ex_3_3", "nan must count")
def compares_with_nan(train, validation):
    return (
        "too high"
        if max(train, key=lambda x: -1 if x != x else x) > 1.2 * train[0]
        else read_curves([1, 1], validation)
    )


@wrong("ex_3_3", "noise")
def calls_every_turn_overfitting(train, validation):
    return read_curves(train, validation, turn=1.0)


@wrong("ex_3_3", "above 1.05 of its lowest")
def compares_the_validation_with_its_first_value(train, validation):
    bad = any(math.isnan(loss) or loss > 1.2 * train[0] for loss in train)
    return (
        "too high"
        if bad
        else "overfitting"
        if validation[-1] > 1.05 * validation[0]
        else read_curves([1], validation, turn=9)
    )


@wrong("ex_3_3", "first rule that fits")
def looks_for_overfitting_first(train, validation):
    return "overfitting" if validation[-1] > 1.05 * min(validation) else read_curves(train, validation)


# 4.1


@wrong("ex_4_1", "scale alpha / r")
def merge_without_scale(W, A, B, alpha, r):
    return (W.float() + B.float() @ A.float()).to(W.dtype)


@wrong("ex_4_1", "RuntimeError")
def merges_in_the_wrong_order(W, A, B, alpha, r):
    return (W.float() + alpha / r * A.float() @ B.float()).to(W.dtype)


@wrong("ex_4_1", "rounded once")
def rounds_before_adding(W, A, B, alpha, r):
    return W + (alpha / r * B.float() @ A.float()).to(W.dtype)


@wrong("ex_4_1", "rounded once")
def multiplies_in_16_bits(W, A, B, alpha, r):
    return (W + alpha / r * B @ A).to(W.dtype)


@wrong("ex_4_1", "type must be that of W")
def stays_in_32_bits(W, A, B, alpha, r):
    return W.float() + alpha / r * B.float() @ A.float()


@wrong("ex_4_1", "W must stay unchanged")
def merges_in_place(W, A, B, alpha, r):
    total = W.float()
    total += alpha / r * B.float() @ A.float()
    return total.to(W.dtype)


# 4.2


@wrong("ex_4_2", "LARGEST difference")
def looks_at_the_mean(a, b, tolerance):
    return bool((a - b).abs().mean() <= 30 * tolerance) and torch.equal(a.argmax(-1), b.argmax(-1))


@wrong("ex_4_2", "LARGEST difference")
def forgets_the_sign(a, b, tolerance):
    return bool((a - b).max() <= tolerance) and torch.equal(a.argmax(-1), b.argmax(-1))


@wrong("ex_4_2", "greedy choice")
def forgets_the_choice(a, b, tolerance):
    return bool((a - b).abs().max() <= tolerance)


@wrong("ex_4_2", "LARGEST difference")
def compares_choices_only(a, b, tolerance):
    return torch.equal(a.argmax(-1), b.argmax(-1))


@wrong("ex_4_2", "within the tolerance")
def wants_equal_bits(a, b, tolerance):
    return torch.equal(a, b)


@wrong("ex_4_2", "nan must never")
def lets_nan_through(a, b, tolerance):
    choice = torch.equal(a.nan_to_num(-9).argmax(-1), b.nan_to_num(-9).argmax(-1))
    return not ((a - b).abs() > tolerance).any() and choice


# 5.1


def bootstrap(base, tuned, resamples, seed, percentiles=(2.5, 97.5), size=None):
    difference = tuned - base
    rows = np.random.default_rng(seed).integers(0, len(base), (resamples, size or len(base)))
    return tuple(np.percentile(difference[rows].mean(1), percentiles))


@wrong("ex_5_1", "SAME rows")
def draws_apart(base, tuned, resamples, seed):
    rng, n = np.random.default_rng(seed), len(base)
    means = [rng.choice(tuned, n).mean() - rng.choice(base, n).mean() for _ in range(resamples)]
    return np.percentile(means, [2.5, 97.5])


@wrong("ex_5_1", "mean of each resample")
def spread_of_the_rows(base, tuned, resamples, seed):
    return np.percentile(np.random.default_rng(seed).choice(tuned - base, resamples), [2.5, 97.5])


@wrong("ex_5_1", "must contain the mean of tuned - base")
def subtracts_the_other_way(base, tuned, resamples, seed):
    return bootstrap(tuned, base, resamples, seed)


@wrong("ex_5_1", "95 % interval")
def ninety_percent(base, tuned, resamples, seed):
    return bootstrap(base, tuned, resamples, seed, (5, 95))


@wrong("ex_5_1", "low must come first")
def high_first(base, tuned, resamples, seed):
    return bootstrap(base, tuned, resamples, seed)[::-1]


@wrong("ex_5_1", "same seed")
def has_no_seed(base, tuned, resamples, seed):
    return bootstrap(base, tuned, resamples, None)


@wrong("ex_5_1", "seed is not used")
def has_one_seed(base, tuned, resamples, seed):
    return bootstrap(base, tuned, resamples, 0)


@wrong("ex_5_1", "seed is not used")
def normal_distribution(base, tuned, resamples, seed):
    difference = tuned - base
    half = 1.96 * difference.std() / len(difference) ** 0.5
    return difference.mean() - half, difference.mean() + half


# 5.2


@wrong("ex_5_2", "compared whole")
def looks_in_the_string(title, answer):
    return {n for n in check_numbers(answer) if n not in title}


@wrong("ex_5_2", "spelling of a number")
def compares_spellings(title, answer):
    return set(check_numbers(answer)) - set(check_numbers(title))


@wrong("ex_5_2", "every number")
def whole_numbers_only(title, answer):
    return set(re.findall(r"\b\d+\b", answer)) - set(re.findall(r"\b\d+\b", title))


@wrong("ex_5_2", "that the title gives")
def forgets_the_title(title, answer):
    return set(check_numbers(answer))


@wrong("ex_5_2", "digit inside a word")
def finds_digits_anywhere(title, answer):
    from ftlib.data.lexical import numbers

    return (numbers(answer) | set(re.findall(r"(?<=[a-zA-Z])\d", answer))) - numbers(title)


@wrong("ex_5_2", "said twice")
def counts_each_time(title, answer):
    from ftlib.data.lexical import numbers

    return [n for n in check_numbers(answer) if n in numbers(answer) - numbers(title)] or numbers(answer) - numbers(
        title
    )


def check_numbers(text):
    return re.findall(r"(?<![A-Za-z])\d[\d,]*(?:\.\d+)?", text)


# 6.1


@wrong("ex_6_1", "both orders")
def never_shuffles(answers, seed):
    return list(answers.values()), list(answers)


@wrong("ex_6_1", "in the same order")
def forgets_to_shuffle_the_key(answers, seed):
    return random.Random(seed).sample(list(answers.values()), 2), list(answers)


@wrong("ex_6_1", "same seed")
def draws_without_seed(answers, seed):
    key = random.sample(list(answers), 2)
    return [answers[name] for name in key], key


@wrong("ex_6_1", "each system once")
def finds_the_name_by_the_text(answers, seed):
    shown = random.Random(seed).sample(list(answers.values()), 2)
    return shown, [next(name for name in answers if answers[name] == text) for text in shown]


# 6.2


def sign_test(wins, losses):
    n = wins + losses
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n)


@wrong("ex_6_2", "symmetrical")
def one_sided(wins, losses):
    n = wins + losses
    return sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n


@wrong("ex_6_2", "between 0 and 1")
def forgets_the_limit(wins, losses):
    n = wins + losses
    return 2 * sum(math.comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n


@wrong("ex_6_2", "exact and two-sided")
def half_of_it(wins, losses):
    return sign_test(wins, losses) / 2


@wrong("ex_6_2", "at least as uneven")
def this_result_only(wins, losses):
    n = wins + losses
    return min(1.0, 2 * math.comb(n, wins) / 2**n)


@wrong("ex_6_2", "exact")
def normal_approximation(wins, losses):
    n = wins + losses
    return math.erfc(abs(wins - losses) / math.sqrt(2 * n)) if n else 1.0


@pytest.mark.parametrize(("name", "word", "mistake"), WRONG, ids=[f"{name}-{f.__name__}" for name, _, f in WRONG])
def test_a_mistake_is_found_and_its_property_named(name, word, mistake):
    """A plausible mistake that passes is learned; one that fails without a name is only guessed at."""
    found = getattr(exercises, name)(mistake)
    assert not found and word in found.message, found


def test_every_checker_is_tried_on_four_mistakes():
    """A checker that has never refused anything may accept everything."""
    from test_exercises_evaluation import WRONG as OF_EVALUATION

    tried = [name for name, *_ in (*WRONG, *OF_EVALUATION)]
    assert [name for name in CHECKERS if tried.count(name) < 4] == []
