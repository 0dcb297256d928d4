"""The synthetic catalog: its stored file, its schema, its noise, and that descriptions keep to their titles."""

import gzip
import html
import json
import random
import re
import subprocess
import sys
import unicodedata
from itertools import islice

import pytest

from ftlib.data.sample import SAMPLE_PATH, words
from ftlib.data.sample.generate import DRAW, SHARES, clean_products, make_rows, write_sample
from ftlib.runtime.errors import FtlibError


@pytest.fixture(scope="module")
def rows():
    """The rows of the stored file."""
    with gzip.open(SAMPLE_PATH, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def contents(rows):
    """The contents of the stored file that hold any text."""
    return [row["content"] for row in rows if row.get("content")]


def share(texts, pattern):
    """Part of the texts in which the pattern occurs."""
    return sum(bool(re.search(pattern, text)) for text in texts) / len(texts)


def test_stored_file_is_what_the_code_makes(tmp_path):
    """Without it the shipped sample and the generator drift apart, and nobody can make the sample again."""
    write_sample(tmp_path / "again.jsonl")
    assert gzip.decompress(SAMPLE_PATH.read_bytes()) == (tmp_path / "again.jsonl").read_bytes()


def test_stored_file_is_small_and_tells_no_time():
    """Without it a rebuilt sample shows up as changed in git each time, or makes the clone slow."""
    data = SAMPLE_PATH.read_bytes()
    assert len(data) < 500_000
    assert data[3] == 0 and data[4:8] == bytes(4)  # gzip header: no file name, no time


def test_writing_twice_gives_the_same_bytes(tmp_path):
    """Without it two students with one seed train on different data and compare numbers that cannot be compared."""
    write_sample(tmp_path / "a.jsonl.gz", n=200, seed=1)
    write_sample(tmp_path / "b.jsonl.gz", n=200, seed=1)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz", "a.json.gz"])
def test_allowed_names_make_their_folder(tmp_path, name):
    """Without it `ftlib sample --out data/my.jsonl` ends in a traceback because there is no folder `data` yet."""
    path = tmp_path / "new" / "folder" / name
    write_sample(path, n=3)
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
        assert len([json.loads(line) for line in file]) == 3


@pytest.mark.parametrize("name", ["a", "a.gz", "a.csv", "a.jsonl.zip", "a_jsonl"])
def test_other_names_are_refused(tmp_path, name):
    """Without it a sample is written under a name that `ftlib run --data` then refuses, or reads as something else."""
    with pytest.raises(FtlibError, match=r"must end in \.jsonl, "):
        write_sample(tmp_path / "new" / name, n=3)
    assert not list(tmp_path.iterdir())


def test_importing_the_package_loads_no_words():
    """Without it each command that only needs the stored sample's path pays for reading all word tables."""
    check = (
        "import sys, ftlib.data.sample; sys.exit(any(name.startswith('ftlib.data.sample.') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_word_tables_hang_together():
    """Without it an article whose material or unit has no entry stops `ftlib sample` once in some thousand rows."""
    goods = words.table("goods")
    for kind in SHARES.keys() - DRAW.keys():
        department = words.department(kind)
        assert department.option in goods["options"]
        for thing in department.things:
            assert set(thing.made) <= goods["materials"].keys(), thing
            assert {size.rsplit(" ", 1)[1] for size in thing.sizes} <= goods["units"].keys(), thing


def test_unquoted_words_of_yaml_are_refused():
    """Without it a color `no` or a pack of `2` becomes False or a number, and the text says so or the draw fails."""
    for leaf in (True, 2, 0.5, None):
        with pytest.raises(TypeError, match="put it in quotes"):
            words._checked({"colors": ["red", leaf]}, "goods_kitchen")


def test_seeds_differ():
    """Without it `--seed` is ignored, and a second seed only seems to confirm the first one's result."""
    assert [row["title"] for row in make_rows(50, seed=1)] != [row["title"] for row in make_rows(50, seed=2)]


def test_schema(rows):
    """Without it code that works on the sample breaks on the real trn.json."""
    assert len(rows) == 3000
    for row in rows:
        assert set(row) - {"content"} == {"uid", "title", "target_ind", "target_rel"}
        assert re.fullmatch(r"[0-9]{10}|B0Z[0-9A-Z]{7}", row["uid"])
        assert isinstance(row["title"], str) and row["title"].strip()
        assert isinstance(row.get("content"), str | None)
        assert row["target_rel"] == [1.0] * len(row["target_ind"])
        assert all(type(label) is int for label in row["target_ind"])
    assert len({row["uid"] for row in rows}) == len(rows)


@pytest.mark.parametrize("n", [0, 1, 7, 5000])
def test_any_n(n):
    """Without it `ftlib sample --rows N` gives another number of rows than asked for, or ids that clash."""
    assert len({row["uid"] for row in make_rows(n)}) == n


def test_products_are_distinct():
    """Without it deduplication eats a large sample, and test products turn up in training."""
    products = list(clean_products(5000))
    assert len({product.title.lower() for product in products}) == 5000
    rng = random.Random(0)
    texts = {re.sub(r"\W+", " ", product.describe(rng).lower()) for product in products}
    assert len(texts) > 0.9 * 5000


def test_rows_come_one_by_one():
    """Without it asking for a few rows of a huge catalog builds all of it in memory first."""
    assert len(list(islice(make_rows(10**9), 3))) == 3


def test_descriptions_keep_to_their_titles():
    """Without it the model is taught to make up figures, and the check of facts blames the model for it."""
    rng = random.Random(0)
    for product in clean_products(3000, seed=7):
        text = product.describe(rng)
        assert set(re.findall(r"\d+", text)) <= set(re.findall(r"\d+", product.title)), (product.title, text)


def test_language_is_clean():
    """Without it the model learns wrong articles, unfilled templates or doubled words from the sample."""
    rng = random.Random(0)
    for product in clean_products(3000, seed=7):
        text = product.describe(rng)
        assert not re.search(r"[{}]|  |\.\.|\b(\w+) \1\b(?! Ring)", text), text
        assert not re.search(r"\b[Aa] (?!USB|one|use)[aeiou]|\b[Aa]n (?![aeiouÉé8]|1[18]\b|O-)", text, re.I), text


def test_lengths(rows):
    """Without it the CPU run of the notebooks gets slow, or texts become too short to show what was learned."""
    rng = random.Random(0)
    lengths = sorted(len(product.describe(rng)) for product in clean_products(3000))
    assert 300 <= sum(lengths) / 3000 <= 400
    assert 250 <= lengths[1500] <= 350
    assert 650 <= lengths[2850] <= 900


def test_head_is_books_only(rows):
    """Without it sampling the head does no harm here, and the notebook's warning about the real file shows nothing."""
    assert all(row["uid"].isdigit() for row in rows[:600])
    assert not any(row["uid"].isdigit() for row in rows[700:])


def test_missing_contents(rows):
    """Without it a loader that trips over missing contents passes here and stops after an hour on the real file."""
    assert 0.25 < sum(row.get("content") == "" for row in rows) / len(rows) < 0.35
    assert any("content" not in row for row in rows)
    assert any(row.get("content", "") is None for row in rows)


@pytest.mark.parametrize(
    ("pattern", "low", "high"),
    [
        (r"&#?\w+;", 0.05, 0.11),
        (r"&amp;(amp|quot|#\w+);", 0.001, 0.02),
        (r"</?(b|p|br|ul|li)\b[^>]*>", 0.01, 0.04),
        (r"  ", 0.04, 0.10),
        (r"\n", 0.003, 0.03),
        (r"\t", 0.0005, 0.01),
        (r"\u00a0|&nbsp;|&#160;", 0.001, 0.02),
    ],
)
def test_dirt_of_contents(contents, pattern, low, high):
    """Without it a kind of dirt is missing here, and the cleaning of it is never tried before the real run."""
    assert low < share(contents, pattern) < high


def test_boilerplate_of_books(rows):
    """Without it models trained on the sample never meet the lines that spoil descriptions of real books."""
    books = [row["content"] for row in rows if row["uid"].isdigit() and row.get("content")]
    assert 0.19 < share(books, "--This text refers to .*edition") < 0.29
    assert 0.11 < share(books, "Reed Business Information") < 0.21
    others = [row["content"] for row in rows if not row["uid"].isdigit() and row.get("content")]
    assert share(others, "This text refers to|Reed Business") == 0


def test_repeats(rows):
    """Without it leakage of one text into both training and test set cannot be shown, nor its removal tested."""
    pairs = [(row["title"].strip().lower(), row["content"].strip().lower()) for row in rows if row.get("content")]
    texts_of: dict[str, set] = {}
    for title, text in pairs:
        texts_of.setdefault(title, set()).add(text)
    assert 0.03 < 1 - len({text for _, text in pairs}) / len(pairs) < 0.09
    assert 0.003 < sum(len(texts) - 1 for texts in texts_of.values()) / len(pairs) < 0.025
    assert 0.001 < sum(title == text for title, text in pairs) / len(pairs) < 0.015
    assert 0.005 < sum(len(text) < 20 for _, text in pairs) / len(pairs) < 0.03
    assert 0 < sum(len(row["title"].strip()) < 3 for row in rows) < 12


def test_titles_and_unicode(rows):
    """Without it titles with entities or decomposed accents count as different from the same title written plainly."""
    titles = [row["title"] for row in rows]
    assert 0.01 < sum(html.unescape(title) != title for title in titles) / len(titles) < 0.06
    texts = [row["title"] + (row.get("content") or "") for row in rows]
    assert any(unicodedata.normalize("NFC", text) != text for text in texts)


def test_adult_items_are_rare_and_named(rows):
    """Without it the filter for adult items has nothing to find, or a class meets too many of them."""
    adult = [row for row in rows if re.search("erotic|adults? (only|novelty)", row["title"], re.I)]
    assert 1 <= len(adult) <= 0.008 * len(rows)
