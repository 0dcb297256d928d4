"""Near-duplicates: found exactly, kept in one split, and written down for every held-out row."""

import itertools
import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data import near_duplicates, shingles
from ftlib.data.cleaning import normalize
from ftlib.data.dataset import SPLITS, prepare
from ftlib.data.near_duplicates import (
    NEAR,
    Duplicate,
    highest_jaccard,
    is_new,
    near_groups,
    pairs,
    title_variant_key,
)
from ftlib.data.raw_reader import Row

SIZES = {"data.train_size": 60, "data.validation_size": 8, "data.test_size": 8}
WORDS = (
    "oak pine lamp desk chair cord bulb shade brass steel glass hook wheel door knob frame shelf drawer mat rug".split()
)
TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=12).map(" ".join), max_size=8)


def jaccard(one: str, other: str) -> float:
    """Jaccard similarity of word 5-shingles, straight from its definition."""
    first, second = (
        {tuple(words[i : i + 5]) for i in range(max(len(words) - 4, 1))}
        if (words := normalize(text).split())
        else set()
        for text in (one, other)
    )
    return len(first & second) / len(first | second) if first | second else 0.0


def product(draw: random.Random, uid: str, words: int = 30) -> dict:
    """A row whose words are its own."""
    own = [f"{draw.choice(WORDS)}{draw.randrange(10**6)}x" for _ in range(words + 3)]
    return {"uid": uid, "title": " ".join(own[:3]), "content": " ".join(own[3:])}


def edited(text: str, position: int) -> str:
    """The text with one word replaced: five of 26 shingles differ."""
    words = text.split()
    return " ".join([*words[:position], "edited", *words[position + 1 :]])


@pytest.fixture
def planted():
    """300 rows: each third one has a near-duplicate by its description, its number, or its color."""
    draw, rows = random.Random(5), []
    for i in range(100):
        row = product(draw, f"p{i}")
        row["title"] += f" Vol. {draw.randrange(50)}"
        twin = product(draw, f"t{i}")
        if i % 3 == 0:
            twin["content"] = edited(row["content"], draw.randrange(30))
        elif i % 3 == 1:
            twin["title"] = row["title"] + "1"
        else:
            row["title"], twin["title"] = (f"{row['title']} ({color})" for color in ("Red", "Blue"))
        rows += [row, twin, product(draw, f"o{i}")]
    draw.shuffle(rows)
    return rows


@pytest.fixture
def prepared(settings, write_rows, tmp_path):
    """A function: prepare rows with some settings; returns the splits, the funnel and the folder."""
    from datasets import load_from_disk

    def run(rows, **overrides):
        cfg = settings(**{"data.path": str(write_rows(rows))} | overrides)
        folder = tmp_path / f"dataset{len(list(tmp_path.iterdir()))}"
        funnel = prepare(cfg, folder)
        return SimpleNamespace(data=load_from_disk(str(folder)), funnel=funnel, folder=folder)

    return run


def related(one: dict, other: dict) -> bool:
    """Brute force: near-duplicates by description or title."""
    key = title_variant_key(one["title"])
    return jaccard(one["content"], other["content"]) >= NEAR or bool(key) and key == title_variant_key(other["title"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Silent Nights, Vol. 3", "Silent Nights, Volume 12"),
        ("Silent Nights: Part II", "Silent Nights: Part IX"),
        ("Algebra, 2nd Edition", "Algebra (Third Edition, Revised)"),
        ("Mechanical Pencil, 0.7 mm, Black, Pack of 12", "Mechanical Pencil 0.5mm Blue, Pack of 2"),
        ("Desk Lamp (Grey, Large)", "Desk lamp (Gray, XL)"),
        ("Rocky", "Rocky IV"),
    ],
)
def test_titles_that_differ_in_number_edition_color_or_size_are_variants(one, other):
    """The second color of a lamp in training answers for the first one in the test."""
    assert title_variant_key(one) == title_variant_key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("Red lamp", "Red desk"), ("Canon MP3 Player", "Canon MP4 Player"), ("Mix 3", "Dim 3")]
)
def test_other_titles_are_no_variants(one, other):
    """Products with different names in one group cost training rows and make the test unlike the data."""
    assert title_variant_key(one) != title_variant_key(other)


def test_titles_of_which_nothing_is_left_form_no_group():
    """ "1984" and "300" are two books; all such titles in one group would be held out together."""
    titles = ["1984", "300", "Blue, Volume II", "???"]
    assert [title_variant_key(title) for title in titles] == [""] * 4
    assert len(pairs(["a b c d e f", "g h i j k l", "m n", "o"], titles)) == 0


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS)
def test_highest_jaccard_is_that_of_brute_force(texts, training_texts):
    """An estimate, or a shingle that runs into the next text, would call near-duplicates new."""
    expected = [max((jaccard(text, other) for other in training_texts), default=0) for text in texts]
    assert highest_jaccard(texts, training_texts).tolist() == expected


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(1, 30))
def test_pairs_are_those_of_brute_force_whatever_the_block(texts, products):
    """A pair at the border of two blocks that is missed leaks."""
    titles = [text[:3] for text in texts]
    rows = [{"title": title, "content": text} for title, text in zip(titles, texts, strict=True)]
    expected = [(i, j) for i, j in itertools.combinations(range(len(rows)), 2) if related(rows[i], rows[j])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shingles, "PRODUCTS", products)
        assert [tuple(pair) for pair in pairs(texts, titles).tolist()] == expected


def test_short_texts_are_one_shingle():
    """Two descriptions of four equal words are equal; without a shingle they would count as new."""
    texts = ["A lamp of oak.", "a lamp, of OAK", "A lamp of", "..."]
    assert highest_jaccard(texts, texts[1:2]).tolist() == [1, 1, 0, 0]
    assert pairs(texts, ["a", "b", "c", "d"]).tolist() == [[0, 1]]


def test_groups_are_connected_components():
    """A chain of small edits leaks from one end to the other if only neighbors are kept together."""
    draw = random.Random(1)
    rows = [Row(**product(draw, "0", 40))]
    for i in range(1, 8):  # each edit is near the one before; the ends share less than half
        rows.append(Row(str(i), product(draw, "")["title"], edited(rows[-1].content, 5 * i - 3)))
    assert jaccard(rows[0].content, rows[-1].content) < NEAR
    rows += [Row(**product(draw, "8")), Row("9", rows[4].title + " 2", product(draw, "")["content"])]
    rows += [Row(**product(draw, str(i))) for i in (10, 11)]
    groups = np.array([*range(10), 8, 11])  # rows 8 and 10 are one group already
    shuffled = list(range(12))
    draw.shuffle(shuffled)
    found = near_groups([rows[i] for i in shuffled], groups[shuffled])
    parts = {frozenset(shuffled[i] for i in np.flatnonzero(found == group)) for group in found}
    assert parts == {frozenset({*range(8), 9}), frozenset({8, 10}), frozenset({11})}
    assert (found <= np.arange(12)).all() and (found[found] == found).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_no_held_out_row_has_a_near_duplicate_in_another_row_of_the_splits(prepared, planted, seed):
    """A model that memorized the first edition is tested on the second, and memory looks like skill."""
    result = prepared(planted, **SIZES, **{"data.seed": seed})
    rows = [row | {"split": split} for split in SPLITS for row in result.data[split]]
    assert result.funnel["splits"] == {"train": 60, "validation": 8, "test": 8}
    assert result.funnel["near_duplicates"] == {"groups": 100, "rows": 200}
    assert result.funnel["groups"] == 200
    for one, other in itertools.combinations(rows, 2):
        if {one["split"], other["split"]} != {"train"}:
            assert not related(one, other), (one, other)


def test_every_row_that_is_left_out_is_accounted_for(prepared, planted, write_rows, capsys):
    """A class that loses a tenth of its rows to groups must see where they went."""
    for split in ("near", "group", "random"):
        funnel = prepared(planted, **SIZES, **{"data.split": split}).funnel
        assert funnel["kept"] == sum(funnel["splits"].values()) + sum(funnel["left_out"].values())
        assert (funnel["left_out"]["held_out_groups"] > 0) == (split == "near")
        assert (funnel["near_duplicates"]["rows"] > 0) == (split == "near")
    from ftlib.pipeline.stages import left_out

    assert left_out(
        {"left_out": {"held_out_groups": 7, "not_needed": 2}, "near_duplicates": {"groups": 3, "rows": 8}}
    ) == (
        "left out: 7 rows in the groups of validation and test rows, 2 not needed; near-duplicates join 8 rows to 3 groups"
    )


def test_texts_of_candidates_only_are_read(settings, planted, write_rows, monkeypatch, tmp_path):
    """The texts of a full file take gigabytes, and reading a packed file again takes half a minute."""
    from ftlib.data import dataset, splits

    monkeypatch.setattr(splits, "SPARE", 10)
    monkeypatch.setattr(splits, "CANDIDATES", 0)
    sizes = {"data.train_size": 20, "data.validation_size": 2, "data.test_size": 2}
    read, rows_at = [], dataset.rows_at
    monkeypatch.setattr(dataset, "rows_at", lambda cfg, offsets: read.append(len(offsets)) or rows_at(cfg, offsets))
    prepare(settings(**{"data.path": str(write_rows(planted))}, **sizes), tmp_path / "dataset")
    assert read == [int(1.3 * 24) + 10]


def test_more_candidates_are_read_where_the_first_do_not_suffice(settings, planted, write_rows, monkeypatch, tmp_path):
    """A file with enough rows must not be refused, nor its splits reduced, because of which rows came first."""
    from ftlib.data import splits

    for name in ("SPARE", "MARGIN", "CANDIDATES"):
        monkeypatch.setattr(splits, name, 1)
    cfg = settings(**{"data.path": str(write_rows(planted))}, **SIZES)
    funnel = prepare(cfg, tmp_path / "dataset")
    assert funnel["splits"] == {"train": 60, "validation": 8, "test": 8} and funnel["notes"] == []


def test_held_out_rows_do_not_depend_on_the_number_of_training_rows(prepared, planted):
    """A curve over training sizes whose points are measured on different rows compares nothing."""
    many, few = prepared(planted, **SIZES), prepared(planted, **SIZES | {"data.train_size": 20})
    assert all(many.data[split]["uid"][:] == few.data[split]["uid"][:] for split in ("validation", "test"))
    assert many.data["train"]["uid"][:20] == few.data["train"]["uid"][:]


def test_the_split_is_deterministic(prepared, planted):
    """Two students with one seed compare figures of different test rows."""
    first, again = prepared(planted, **SIZES), prepared(planted, **SIZES)
    assert all(first.data[split]["uid"][:] == again.data[split]["uid"][:] for split in SPLITS)
    name = near_duplicates.FILE
    assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes()


@pytest.mark.parametrize("split", ["near", "group", "random"])
def test_file_holds_every_held_out_row(prepared, planted, split):
    """Tables that are filtered by near-duplicates would lose rows, or filter by another split's values."""
    planted[0]["uid"] = 'with, comma and "quotes"'
    result = prepared(planted, **SIZES, **{"data.split": split})
    assert (result.folder / near_duplicates.FILE).read_text().splitlines()[0] == "uid,jaccard,title_variant"
    train, expected = result.data["train"], {}
    keys = {title_variant_key(title) for title in train["title"]}
    for row in [*result.data["validation"], *result.data["test"]]:
        highest = max(jaccard(row["content"], text) for text in train["content"])
        expected[row["uid"]] = Duplicate(highest, title_variant_key(row["title"]) in keys)
    assert near_duplicates.read(result.folder, {}) == expected
    assert any(not is_new(duplicate) for duplicate in expected.values()) == (split != "near")


def test_new_rows():
    """A row at the limit, or with a variant's title, is not new."""
    assert is_new(Duplicate(0.19, False))
    assert not is_new(Duplicate(0.2, False)) and not is_new(Duplicate(0.0, True))


def test_a_data_set_of_an_older_version_is_compared_when_it_is_read(tmp_path):
    """An evaluation of an older run would stop for a file that is computed in a second."""
    rows = {"uid": ["a"], "title": ["Red cup"], "content": ["one two three four five six"]}
    other = {"uid": ["b"], "title": ["Blue cup"], "content": ["one two three four five seven"]}
    duplicates = near_duplicates.read(tmp_path, {"train": rows, "validation": other, "test": {k: [] for k in rows}})
    assert duplicates == {"b": Duplicate(1 / 3, True)}


def test_importing_the_module_loads_no_scipy():
    """`ftlib --help` would wait for it."""
    check = "import sys, ftlib.data.dataset, ftlib.cli.entry; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
