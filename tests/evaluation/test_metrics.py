"""The text metrics: values worked out by hand, equality with the libraries, and the ways a table could mislead."""

import math
import random
import socket

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import sentence_chrf

from ftlib.data.lexical import given_numbers, numbers, unsupported, words
from ftlib.evaluation import metrics
from ftlib.evaluation.copied_runs import CopiedRun
from ftlib.evaluation.metric_table import METRICS
from ftlib.evaluation.metrics import Chrf, Form, Grounding, Rouge, Shape, Verbatim
from ftlib.evaluation.row_metrics import compute_rows, score_rows
from ftlib.prompts.templates import strip_prefix

ANSWERS = [
    "Description: This cotton shirt was washed twice. It comes in 3 colours! Buy the shirt.",
    "A steel kettle with a 1.5 litre capacity",
    "",
]
REFERENCES = [
    "Description: A soft cotton shirt. Washes well and comes in three colours.",
    "Description: Steel kettle, holds 1.5 litres.\nStops when the water boils.",
    "Description: A game for two players.",
]
INPUTS: dict[str, tuple[str, ...]] = {
    "Rouge": (),
    "Chrf": (),
    "Form": ("stopped",),
    "Verbatim": (),
    "Shape": (),
    "Grounding": ("titles",),
    "Context": ("titles", "passages"),
    "CopiedRun": (),
}  # metric: what its `compute` needs
TITLES = ["Cotton Shirt (3 colours)", "1.50L Steel Kettle", "Board Game"]


@pytest.fixture
def offline(monkeypatch):
    """Any attempt to reach the network fails."""

    def refuse(*_):
        raise OSError("a metric tried to open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def rows_of(metric, predictions, references, **extra):
    return metric.compute(predictions=predictions, references=references, per_row=True, **extra)


def test_rouge_is_that_of_the_library():
    """Our ROUGE differs from the one others publish, because of the stemmer, the sentences or a swapped argument."""
    rows = rows_of(Rouge(), ANSWERS, REFERENCES)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    for i, (answer, reference) in enumerate(zip(ANSWERS, REFERENCES, strict=True)):
        for name, score in scorer.score(strip_prefix(reference), strip_prefix(answer)).items():
            assert (rows[f"{name}_p"][i], rows[f"{name}_r"][i], rows[name][i]) == tuple(score)


def test_rouge_lsum_compares_sentences():
    """rougeLsum silently equals rougeL, because the library takes sentences only one a line."""
    answer, reference = "It is red. A big ball!", "A big ball. It is red."
    rows = rows_of(Rouge(), [answer], [reference])
    assert rows["rougeLsum"] == [1.0]  # each sentence has its match
    assert rows["rougeL"] == [0.5]  # in one line only three of the six words keep their order
    lines = RougeScorer(["rougeLsum"], use_stemmer=True).score("A big ball.\nIt is red.", "It is red.\nA big ball!")
    assert rows["rougeLsum"] == [lines["rougeLsum"].fmeasure]


def test_chrf_is_that_of_the_library():
    """chrF comes out on another scale or with other settings than sacrebleu's chrF2."""
    pairs = zip(map(strip_prefix, ANSWERS), map(strip_prefix, REFERENCES), strict=True)
    expected = [sentence_chrf(answer, [reference]).score for answer, reference in pairs]
    assert rows_of(Chrf(), ANSWERS, REFERENCES)["chrf"] == expected
    assert Chrf().compute(predictions=["same text"], references=["same text"])["chrf"] == 100.0


def test_prefix_earns_nothing():
    """A model that learnt only to write "Description:" seems to beat the base model on every metric."""
    bare, prefixed = ["red wool hat"], [" Description: red wool hat"]
    plain = score_rows(bare, ["blue wool scarf"], ["Hat"], [True], CopiedRun(["red wool hat for men"]))
    with_prefix = score_rows(
        prefixed, ["Description: blue wool scarf"], ["Hat"], [True], CopiedRun(["Description: red wool hat for men"])
    )
    assert (plain.pop("format"), with_prefix.pop("format")) == ([0.0], [1.0])
    assert plain == with_prefix
    nothing = score_rows(["Description:"], ["Description: blue wool scarf"], ["Hat"], [True])
    assert nothing["rouge1"] == nothing["chrf"] == [0.0]


def test_strip_prefix():
    """The prefix stays in, or a word of the text itself is cut."""
    assert strip_prefix("\n Description:  Red hat ") == "Red hat"
    assert strip_prefix("description: Red hat") == "description: Red hat"
    assert strip_prefix("Red hat. Description: warm") == "Red hat. Description: warm"


def test_form():
    """The shares of well-formed and finished answers count the wrong answers, or a prefix in the middle."""
    predictions = ["Description: a", " Description: b", "description: c", "a Description: d"]
    shares = Form().compute(predictions=predictions, references=predictions, stopped=[True, True, True, False])
    assert shares == {"format": 0.5, "stops": 0.75}
    assert "stops" not in Form().compute(predictions=predictions, references=predictions)


def test_shape_by_hand():
    """A looping answer passes for a varied one, or length is measured against the wrong text."""
    rows = rows_of(Shape(), ["a b c d a b c d", "a b"], ["one two three four", "one two, three: 1,000"])
    assert rows["length_ratio"] == [2.0, 0.5]
    assert rows["distinct1"] == [4 / 8, 1.0]
    assert rows["distinct2"] == [4 / 7, 1.0]
    assert rows["rep4"] == pytest.approx([1 / 5, 0.0])  # abcd bcda cdab dabc abcd: one of five comes again


def test_numbers_are_compared_by_value():
    """The answer is charged with inventing a number that its title writes differently."""
    assert numbers("1,000 watts, .5 l, 007, 3.0 and 1,500.250") == {"1000", "0.5", "7", "3", "1500.25"}
    assert numbers("8GB, 10x12 in., 2nd") == {"8", "10", "12", "2"}
    assert numbers("MP3, USB3.0 and two") == set()
    assert words("Don’t use the 8GB card") == ["don't", "use", "the", "8", "gb", "card"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1.000 pieces, 10.000 hours, 1.250 g", {"1000", "10000", "1250"}),
        (
            "1.375 in. and 0.500 in.",
            {"1.375", "0.5"},
        ),  # no thousands: a decimal does not end in 0, nor begins so a thousand
        ("1.234.567 and 1.234,50 and 12,345.5", {"1234567", "1234.5", "12345.5"}),
        ("1,5 l, 12,75 m", {"1.5", "12.75"}),
        ("sizes 1,2,3 and 1, 5", {"1", "2", "3", "5"}),
        ("1/2 in., ½ cup, ¾, 1½ l, 1-1/2 x 2 3/8, 3 ⁄ 4", {"0.5", "0.75", "1.5", "2.375", "3", "4"}),
        ("24/7, 9/11, 1/2/2020, 50/50", {"24", "7", "9", "11", "1", "2", "2020", "50"}),
        ("XJ9000, mp3", set()),
    ],
)
def test_numbers_are_read_as_people_write_them(text, values):
    """ "1,5 l" counts as two inventions, "1.000 pieces" as one piece, and ½ as no number at all."""
    assert numbers(text) == values


def test_a_number_in_another_notation_is_not_invented():
    """The answer says 9000 of the XJ9000, or 0.5 of a title's ½, and is charged with an invention."""
    for answer, title in (
        ("The 9000 is here", "XJ9000 mixer"),
        ("Holds 0.5 cups, or 1/2 cup", "Cup, ½"),
        ("disc 1/2", "disc 1 of 2"),
        ("1.000 kg", "exactly 1 kg"),
        ("1.000 pieces", "1,000 pieces"),
        ("1,5 and 3", "sizes 1, 5 and 3"),
        ("1.375 in.", "1 3/8 in."),
    ):
        assert unsupported(answer, title) == set(), (answer, title)
    assert unsupported("7000 and 0.5 of XJ1", "XJ9000, 1/4") == {"7000", "0.5"}
    assert given_numbers("XJ9000, 1.250") == {"9000", "1250", "1.25"}
    assert numbers(f"1/{'9' * 5000}")  # longer than Python turns into a whole number


def test_grounding_by_hand():
    """Facts the title gives are called invented, or function words count as covering the title."""
    answers = ["The kettle holds 1.5 litres, 1.5!", "Made in 1999 for 4 or 4 users", "it"]
    rows = rows_of(Grounding(), answers, ANSWERS, titles=["The 1.50L Steel Kettle", "Set of 2", "It"])
    assert rows["title_coverage"] == [2 / 4, 0.0, 1.0]  # 1.5 and kettle of 1.5, l, steel, kettle
    assert rows["unsupported_numbers"] == [0.0, 2.0, 0.0]  # 1999 and 4, which comes twice


def longest_common_run(answer, texts):
    """The slow definition of `copied_run`, to compare with."""
    best, tokens = 0, words(answer)
    for text in map(words, texts):
        for i in range(len(tokens)):
            for j in range(len(text)):
                length = 0
                while tokens[i + length : i + length + 1] == text[j + length : j + length + 1] != []:
                    length += 1
                best = max(best, length)
    return float(best if best >= 5 else 0)


def test_copied_run_by_hand():
    """Everyday phrases count as copies, a run is joined across two descriptions, or one is missed for a comma."""
    texts = ["one two three four", "five six seven eight nine ten", "Description: red, green and blue socks!"]
    answers = [
        "five six seven eight",  # four words: too short
        "one two three four five six seven eight",  # the run of eight spans two descriptions
        "say Five six, seven eight NINE again",
        "Description: red green and blue socks",
        "five six new eight nine ten",
        "",
    ]
    assert compute_rows([CopiedRun(texts)], answers, answers)["copied_run"] == [0.0, 0.0, 5.0, 5.0, 0.0, 0.0]


def test_copied_run_equals_the_slow_definition():
    """A shortcut in the search misses the longest copy of some answers."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abc", k=draw.randint(0, 30))) for _ in range(20)]
    answers = [" ".join(draw.choices("abcd", (9, 9, 9, 1), k=draw.randint(0, 40))) for _ in range(40)]
    expected = [longest_common_run(answer, texts) for answer in answers]
    assert len(set(expected)) > 4  # the cases differ
    assert compute_rows([CopiedRun(texts)], answers, answers)["copied_run"] == expected


def test_score_rows_gives_every_metric_and_no_nan():
    """One empty answer or odd title turns a column of the table into nan, or a described metric never arrives."""
    rows = score_rows(ANSWERS + ["!"], REFERENCES + [""], TITLES + ["???"], [True] * 4, CopiedRun(REFERENCES))
    assert set(rows) == {column.name for column in METRICS} - {
        "nll",
        "nll_content",
        "bits_per_byte",
        "nll_per_byte",
        "cosine",
        "copied_passage",
    }  # those need a model, or passages
    assert all(len(values) == 4 for values in rows.values())
    assert all(type(value) is float and math.isfinite(value) for values in rows.values() for value in values)
    assert {column.better for column in METRICS} <= {"higher", "lower", "reference", "neutral"}


def test_systems_that_generate_nothing_lack_stops():
    """A baseline that copies the title is credited with ending its answers by itself."""
    rows = score_rows(TITLES, REFERENCES, TITLES, None)
    assert "stops" not in rows and "copied_run" not in rows
    assert rows["title_coverage"] == [1.0, 1.0, 1.0]


def test_batches_and_means_without_network(offline, tmp_path):
    """The evaluation needs the hub, or answers added batch by batch score otherwise than at once."""
    metric = Rouge(cache_dir=str(tmp_path))
    for answer, reference in zip(ANSWERS, REFERENCES, strict=True):
        metric.add_batch(predictions=[answer], references=[reference])
    means = metric.compute()
    rows = rows_of(Rouge(), ANSWERS, REFERENCES)
    assert means == pytest.approx({name: sum(values) / 3 for name, values in rows.items()})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    score_rows(ANSWERS, REFERENCES, TITLES, [True] * 3, CopiedRun(REFERENCES))


def test_wrong_input_is_named():
    """Answers are scored against another row's title, or an empty split ends in a puzzling error of a library."""
    with pytest.raises(ValueError, match="titles has 1 entries for 3 answers"):
        score_rows(ANSWERS, REFERENCES, TITLES[:1], None)
    with pytest.raises(ValueError, match="references has 1 entries for 3 answers"):
        score_rows(ANSWERS, REFERENCES[:1], TITLES, None)
    with pytest.raises(ValueError, match="no answers to score"):
        score_rows([], [], [], [])
    with pytest.raises(ValueError, match="no training texts"):
        CopiedRun([])


def test_scores_shared_out_over_processes_are_the_same_in_the_same_order(monkeypatch):
    """On a machine with many cores each answer would get another answer's score."""
    answers = [f"{a} {n}" for n in range(7) for a in ANSWERS]
    references = [f"{r} {n}" for n in range(7) for r in REFERENCES]
    passages = [((title, reference),) for title, reference in zip(TITLES * 7, references, strict=True)]

    def scores() -> dict:
        copied = CopiedRun([*references, *answers[:4]])
        return score_rows(answers, references, TITLES * 7, [True, False, True] * 7, copied, passages=passages)

    alone = scores()
    monkeypatch.setattr("ftlib.evaluation.row_metrics.SHARE", 5)
    monkeypatch.setattr("ftlib.evaluation.copied_runs.TEXTS_SHARE", 5)
    monkeypatch.setattr("ftlib.runtime.hardware.usable_cores", lambda: 4)
    assert scores() == alone
    assert len(set(alone["copied_run"])) > 1 and any(alone["copied_passage"])


def test_an_evaluate_metric_gives_what_the_tables_hold():
    """A reader who computes a metric with `evaluate` would get another value than `metrics.json`."""
    extra = {"titles": TITLES, "stopped": [True] * 3, "passages": [(("Shirt", REFERENCES[0]),), (), ()]}
    copied, passages = CopiedRun(REFERENCES), extra["passages"]
    table = score_rows(ANSWERS, REFERENCES, TITLES, extra["stopped"], copied, passages=passages)
    found = {}
    for name, needs in INPUTS.items():
        metric = getattr(metrics, name)(*([REFERENCES] if name == "CopiedRun" else []))
        found |= rows_of(metric, ANSWERS, REFERENCES, **{need: extra[need] for need in needs})
    assert found == table


def test_words_that_come_back_exactly():
    """A memorised description and one that only sounds like it must not look the same."""
    text = "a tall steel kettle with a wooden handle and a lid of glass"
    other = "a tall steel kettle with a wooden grip and a lid of glass"
    half = "a tall steel kettle with a wooden handle, and no more"
    found = Verbatim().compute(
        predictions=[f"Description: {text}!", other, half, "", "Red hat.", "anything"],
        references=[text, text, text, text, "red hat", ""],
        per_row=True,
    )
    assert found["gram8_r"] == [1.0, 0.0, 2 / 6, 0.0, 1.0, 0.0]
