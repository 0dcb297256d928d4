"""From raw rows to splits: every row is accounted for, nothing leaks, and the choice is the same everywhere."""

import json
import random
from types import SimpleNamespace

import pytest

from ftlib.config.settings import Config
from ftlib.data.cleaning import normalize
from ftlib.data.dataset import SPLITS, data_path, on_sample, prepare
from ftlib.data.raw_reader import DataError
from ftlib.pipeline.stage import Run
from ftlib.pipeline.stages import ensure
from ftlib.prompts.templates import QUESTIONS, build_prompt
from ftlib.runtime.files import read_json

SIZES = {"data.train_size": 10, "data.validation_size": 3, "data.test_size": 3}


@pytest.fixture
def prepared(settings, write_rows, tmp_path):
    """A function: prepare rows with some settings; returns the splits, the funnel and all uids of each split."""
    from datasets import load_from_disk

    def run(rows, name="rows.jsonl", **overrides):
        cfg = settings(**{"data.path": str(write_rows(rows, name))} | overrides)
        folder = tmp_path / f"dataset{len(list(tmp_path.iterdir()))}"
        funnel = prepare(cfg, folder)
        data = load_from_disk(str(folder))
        return SimpleNamespace(data=data, funnel=funnel, uids={s: data[s]["uid"][:] for s in SPLITS}, folder=folder)

    return run


@pytest.fixture
def messy():
    """600 rows with few titles and few descriptions, shared in chains, plus three that share through one of them."""
    draw = random.Random(3)
    rows = [
        {
            "uid": f"m{i}",
            "title": draw.choice(["Lamp {}", "LAMP {}!", "<b>lamp</b> {}"]).format(draw.randrange(400)),
            "content": f"A description of some length, number {draw.randrange(400)}{draw.choice(['', '.', ' &amp;'])}",
        }
        for i in range(600)
    ]
    bridge = [
        ("Red desk", "A desk in red, made of oak."),
        ("Red desk", "A desk, blue."),
        ("Blue desk", "A desk, blue."),
    ]
    return rows + [{"uid": f"b{i}", "title": t, "content": c + " With legs."} for i, (t, c) in enumerate(bridge)]


def everything_wrong(products):
    """20 good rows and one or more of every kind that is lost."""
    lost = [
        {"uid": "null", "title": "Title", "content": None},
        {"uid": "empty", "title": "", "content": "A description of no product."},
        {"uid": "spaces", "title": "Title", "content": " <br> &nbsp; "},
        {"uid": "short1", "title": "ab", "content": "The title of this one is too short."},
        {"uid": "short2", "title": "Short", "content": "<b>Not enough</b><br><br><br>"},
        {"uid": "same", "title": "The same words in both of them", "content": "The SAME words in both of them!"},
        {"uid": "twice", "title": "LAMP model L3!", "content": "A lamp with <b>3</b> bulbs and a cord"},
    ]
    return products(20) + lost + [b'{"uid": [3]}\n', b"{\n"]


def test_every_row_is_accounted_for(prepared, products):
    """Without it rows vanish without a word, and nobody can say why a product is not in the data."""
    funnel = prepared(everything_wrong(products), **SIZES, **{"data.max_malformed_share": 0.1}).funnel
    assert funnel["dropped"] == {
        "missing": 3,
        "short_title": 1,
        "short_content": 1,
        "same_as_title": 1,
        "duplicate": 1,
    }
    assert funnel["malformed"] == {
        "wrong_types": {"count": 1, "first_lines": [28]},
        "broken_json": {"count": 1, "first_lines": [29]},
    }
    assert (funnel["rows_in"], funnel["kept"], funnel["groups"]) == (29, 20, 20)
    assert funnel["rows_in"] == funnel["kept"] + sum(funnel["dropped"].values()) + 2
    assert funnel["examples"]["short_content"]["uid"] == "short2" and funnel["examples"]["missing"]["uid"] == "null"
    assert funnel["examples"]["tags"]["after"] != funnel["examples"]["tags"]["before"]
    assert set(funnel["dropped"]) | set(funnel["cleaned"]) == set(funnel["examples"])


def test_funnel_file(prepared, products):
    """Without it the notebook that draws the funnel, or a later stage, does not find what contract.md promises."""
    result = prepared(products(40), **SIZES)
    stored = read_json(result.folder / "funnel.json")
    assert stored == result.funnel
    assert stored.keys() == {
        "file", "sample", "rows_in", "malformed", "dropped", "cleaned", "kept", "split", "groups", "near_duplicates", "splits",
        "left_out", "notes", "chars", "examples", "seconds", "rows_per_s", "peak_mb",
    }  # fmt: skip
    assert stored["splits"] == {"train": 10, "validation": 3, "test": 3} and stored["file"] == "rows.jsonl"
    assert stored["chars"]["title"]["p100"] == len("Lamp model L10") and stored["chars"]["title"]["p1"] == len(
        "Lamp model L1"
    )
    assert stored["sample"] is False and stored["rows_per_s"] > 0 and stored["peak_mb"] > 0


def test_columns(prepared, products):
    """Without it training reads columns that are not there, or trains on text that was not cleaned."""
    rows = [row | {"title": f" <b>{row['title']}</b>", "target_ind": [1]} for row in products(40)]
    data = prepared(rows, **SIZES, **{"data.questions": ["en_short", "en_customer"]}).data
    for split in SPLITS:
        assert data[split].column_names == ["uid", "title", "question", "content", "input_text", "target_text"]
        for row in data[split]:
            assert row["title"] == f"Lamp model L{row['uid'][1:]}"
            assert row["input_text"] == build_prompt(row["title"], row["question"])
            assert row["target_text"] == f"Description: {row['content']}"
    asked = {row["question"] for row in data["train"]}
    assert asked == {QUESTIONS["en_short"], QUESTIONS["en_customer"]}


@pytest.mark.parametrize("deduplicate", [True, False])
def test_no_text_in_two_splits(prepared, messy, deduplicate):
    """Without it a test title or description was trained on, and memory looks like skill."""
    sizes = {"data.validation_size": 5, "data.test_size": 5}
    result = prepared(messy, **sizes, **{"data.deduplicate": deduplicate, "data.split": "group"})
    for column in ("title", "content"):
        where = {}
        for split in SPLITS:
            for text in result.data[split][column]:
                where.setdefault(normalize(text), set()).add(split)
        assert not {text: splits for text, splits in where.items() if len(splits) > 1}
    for split in ("validation", "test"):  # one row a group, so no text twice
        titles, contents = ([normalize(t) for t in result.data[split][c]] for c in ("title", "content"))
        assert len(set(titles)) == len(titles) == len(set(contents)) == 5


def test_rows_that_share_through_another(prepared, products):
    """Without it the chain "same title, then same description" leaks between splits although no two neighbors do."""
    text = "A description that is shared by some of the rows, number {}."
    # A chain of 30: each row has its description in common with one neighbor and its title with the other.
    chain = [
        {"uid": f"c{i}", "title": f"Chained lamp {(i + 1) // 2}", "content": text.format(i // 2)} for i in range(30)
    ]
    random.Random(1).shuffle(chain)
    for seed in range(5):
        sizes = {"data.validation_size": 1, "data.test_size": 2}
        result = prepared(chain + products(8), **sizes, **{"data.seed": seed, "data.split": "group"})
        assert result.funnel["groups"] == 9
        holding = {split for split in SPLITS if any(uid.startswith("c") for uid in result.uids[split])}
        assert len(holding) == 1


def test_random_split_leaks_on_purpose(prepared, messy):
    """Without it `data.split=random`, the reference's way, which the course compares with, does the same as group."""
    sizes = {"data.train_size": 300, "data.validation_size": 50, "data.test_size": 50}
    data = prepared(messy, **sizes, **{"data.split": "random"}).data
    trained = {normalize(title) for title in data["train"]["title"]}
    assert sum(normalize(title) in trained for title in data["test"]["title"]) > 10


def test_choice_is_the_same_on_every_machine(prepared, products):
    """Without it two students with one seed get different test sets, and their numbers cannot be compared."""
    sizes = {"data.train_size": 4, "data.validation_size": 2, "data.test_size": 3}
    uids = prepared(products(12), **sizes).uids
    assert uids == {"train": ["u7", "u1", "u2", "u11"], "validation": ["u0", "u9"], "test": ["u8", "u5", "u6"]}
    assert prepared(products(12), "again/rows.jsonl.gz", **sizes).uids == uids
    assert prepared(products(12), **sizes, **{"data.seed": 1}).uids != uids


def test_group_split_is_unchanged(prepared, products):
    """Recorded studies used `data.split=group`; other rows under this name would make their figures unrepeatable."""
    rows = [row | {"title": f"Lamp number {row['uid'][1:]}"} for row in products(12)]
    sizes = {"data.train_size": 4, "data.validation_size": 2, "data.test_size": 3, "data.split": "group"}
    uids = prepared(rows, **sizes).uids
    assert uids == {"train": ["u8", "u4", "u3", "u11"], "validation": ["u6", "u2"], "test": ["u10", "u7", "u0"]}


def test_question_belongs_to_the_row(prepared, products):
    """Without it a row is asked something else when the sizes change, and runs on the same data cannot be compared."""
    settings = SIZES | {"data.questions": ["all"]}
    few, many = prepared(products(40), **settings), prepared(products(40), **settings | {"data.train_size": 30})
    asked = {row["uid"]: row["input_text"] for split in SPLITS for row in many.data[split]}
    assert all(asked[row["uid"]] == row["input_text"] for split in SPLITS for row in few.data[split])


def test_sample_reaches_across_the_file(prepared, products):
    """Without it training sees the head of the file alone, which in the real one is nearly all books."""
    uids = prepared(products(1000), **SIZES | {"data.train_size": 100}).uids
    tenths = {int(uid[1:]) // 100 for uid in uids["train"]}
    assert tenths == set(range(10))
    assert len(set(uids["train"])) == 100 and uids["train"] != sorted(uids["train"])


def test_sizes_shrink_with_a_note(prepared, products):
    """Without it the default 10,000 rows stop a student with a small file, or the change is not told."""
    result = prepared(products(50))  # the smoke profile asks for 200, 24 and 24
    assert result.funnel["splits"] == {"train": 40, "validation": 5, "test": 5}
    assert len(result.funnel["notes"]) == 3
    assert "data.test_size is 5 instead of 24: the data has 50 groups" in result.funnel["notes"]
    assert any("data.train_size is 40 instead of 200: 40 rows are left" in note for note in result.funnel["notes"])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"data.train_size": 45}, "data.train_size = 45: 40 rows are left"),
        ({"data.test_size": 50}, "data.test_size = 50 and data.validation_size = 5: the data has 50 groups"),
        ({"data.validation_size": 46}, "data.validation_size = 46"),
    ],
)
def test_sizes_that_the_user_set_are_not_changed(prepared, products, overrides, words):
    """Without it a run that asked for 45 rows trains on 40 and reports 45."""
    with pytest.raises(DataError, match=words):
        prepared(products(50), **overrides)


def test_too_many_malformed_lines(prepared, products):
    """Without it half a download is trained on; or the user is told neither what is wrong nor how to go on."""
    rows = products(98) + [{"uid": [7]}, {"uid": [8]}]
    with pytest.raises(DataError) as error:
        prepared(rows, **SIZES)
    message = str(error.value)
    for word in (
        "2 of 100 lines",
        "2.0%",
        "allowed 1.0%",
        "wrong_types: 2",
        "[99, 100]",
        "$.uid",
        "--set data.max_malformed_share=0.02",
    ):
        assert word in message
    assert prepared(rows, **SIZES, **{"data.max_malformed_share": 0.02}).funnel["kept"] == 98


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "the file is empty"),
        (
            [{"uid": "a", "name": "Lamp", "description": "Its columns have other names."}] * 9,
            "columns are uid, name, description; .*--set data.columns.title=name --set data.columns.content=description",
        ),
        ([{"uid": "a", "title": "Lamp", "content": "The only product in this file."}], "1 different product"),
    ],
)
def test_files_without_usable_rows(prepared, rows, words):
    """Without it an empty file, or one with other column names, ends in a traceback of the array library."""
    with pytest.raises(DataError, match=words):
        prepared(rows)


def test_deduplicate_can_be_switched_off(prepared, products):
    """Without it `data.deduplicate=false` does nothing, or its duplicates fall into different splits."""
    rows = products(20) + products(20)
    assert prepared(rows, **SIZES).funnel["dropped"] == {"duplicate": 20}
    kept = prepared(rows, **SIZES, **{"data.deduplicate": False}).funnel
    assert (kept["dropped"], kept["kept"], kept["groups"]) == ({}, 40, 20)


def test_adult_filter(prepared, products):
    """Without it `data.drop_adult` does nothing, does not say how many rows it took, or is on when nobody asked."""
    rows = products(20) + [{"uid": "x", "title": "Erotic tales", "content": "Stories that are not for a classroom."}]
    assert prepared(rows, **SIZES).funnel["dropped"] == {}
    funnel = prepared(rows, **SIZES, **{"data.drop_adult": True}).funnel
    assert funnel["dropped"] == {"adult": 1} and funnel["examples"]["adult"]["uid"] == "x"


def test_filters_can_be_set(prepared, products):
    """Without it the thresholds of the reference are fixed, whatever the configuration says."""
    rows = products(20) + [{"uid": "x", "title": "TV", "content": "A short one."}]
    overrides = {"data.min_title_chars": 2, "data.min_content_chars": 5}
    assert prepared(rows, **SIZES, **overrides).funnel["kept"] == 21


def test_titles_of_signs_alone(prepared, products):
    """Without it all titles without a letter count as one title, and their rows as one group."""
    rows = products(20) + [
        {"uid": f"s{i}", "title": sign * 3, "content": f"{i} albums with a strange name, {i}."}
        for i, sign in enumerate("?!$")
    ]
    assert prepared(rows, **SIZES).funnel["groups"] == 23


def test_the_shipped_sample(prepared, settings, tmp_path):
    """Without it the first command that a new user runs says that its own sample is too small or broken."""
    funnel = prepare(settings(), tmp_path / "dataset")
    assert funnel["splits"] == {"train": 200, "validation": 24, "test": 24} and funnel["notes"] == []
    assert funnel["sample"] is True and funnel["kept"] >= 1500


def test_rows_without_a_uid_or_with_a_repeated_one_get_their_own(prepared, products):
    """Answers are kept by uid: two rows with one uid would share one answer, and a row without one would have none."""
    rows = products(20)
    rows[3]["uid"] = rows[4]["uid"] = "same"
    rows[5]["uid"], rows[6]["uid"] = None, ""
    del rows[7]["uid"]
    made = prepared(rows, **SIZES)
    uids = [uid for split in SPLITS for uid in made.uids[split]]
    assert len(set(uids)) == len(uids) == 16 and all(uids)
    assert made.funnel["malformed"] == {}


def test_the_real_file_is_found_where_people_put_it(settings, write_rows, products, tmp_path, monkeypatch):
    """A student who put trn.json into data/ and still got the sample would compare figures with the wrong rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "ftlib.data.file_search.__file__", str(tmp_path / "ftlib" / "data_files.py")
    )  # not the developer's own data/
    cfg = settings(**{"data.path": "auto"})
    assert on_sample(cfg)
    write_rows(products(3), "data/trn.json.gz")
    assert data_path(cfg).name == "trn.json.gz" and not on_sample(cfg)


def test_a_file_that_has_gone_does_not_bring_the_sample_in(settings, write_rows, products, tmp_path, monkeypatch):
    """Colab's disk forgets trn.json over night; the runs on Drive must not be rebuilt from synthetic rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "ftlib.data.file_search.__file__", str(tmp_path / "ftlib" / "data_files.py")
    )  # not the developer's own data/
    cfg, run = settings(**{"data.path": "auto"}), Run(tmp_path / "run")
    file = write_rows(products(40), "data/trn.json")
    made = ensure("dataset", cfg, run).manifest()
    file.unlink()
    assert ensure("dataset", cfg, run).manifest() == made and made["sample"] is False


def test_rows_of_one_template_are_split_by_equal_texts(tmp_path):
    """A file of 'Item 1' to 'Item 60' was refused, because its rows are near-duplicates of each other."""
    rows = [
        {"uid": n, "title": f"Item {n}", "content": f"This is the long text of a very plain item, number {n}."}
        for n in range(60)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = prepare(Config.load("smoke", **{"data.path": str(path)}), tmp_path / "default")
    assert report["split"] == "group" and report["groups"] == 60
    assert any("data.split is group instead of near" in note and "1 group(s)" in note for note in report["notes"])
    with pytest.raises(DataError, match="1 different product.*--set data.split=group"):
        prepare(Config.load("smoke", **{"data.path": str(path), "data.split": "near"}), tmp_path / "asked")


def test_a_packed_file_is_unpacked_once(prepared, products, monkeypatch):
    """Unpacking two gigabytes a second time, on one core, took longer than counting all rows."""
    from ftlib.data import dataset

    rows = products(60)
    plain = prepared(rows, **SIZES)
    monkeypatch.setattr(dataset, "lines_at", lambda *_: pytest.fail("the file was read again"))
    for size in (2**18, 400):  # 400 bytes: many parts, so that offsets count from the start of the file
        monkeypatch.setattr("ftlib.data.scan.UNPACKED_PART", size)
        packed = prepared(rows, "rows.jsonl.gz", **SIZES)
        assert packed.uids == plain.uids
        assert [packed.data[s][:] for s in SPLITS] == [plain.data[s][:] for s in SPLITS]


@pytest.mark.parametrize("split", ["near", "group", "random"])
@pytest.mark.parametrize(("count", "size"), [(1, 2**26), (7, 2**26), (7, 500), (7, 1)])
def test_lines_that_are_not_kept_are_read_again(prepared, products, monkeypatch, split, count, size):
    """The bound of the memory decides how long it takes, never which rows are used."""
    from ftlib.data import dataset, kept_lines, scan

    rows, settings = products(60) + products(4), SIZES | {"data.split": split}
    plain = prepared(rows, **settings)
    monkeypatch.setattr(dataset, "candidate_count", lambda cfg: count)
    monkeypatch.setattr(kept_lines, "MAX_BYTES", size)
    monkeypatch.setattr(scan, "UNPACKED_PART", 1000)
    packed = prepared(rows, "rows.jsonl.gz", **settings)
    assert [packed.data[s][:] for s in SPLITS] == [plain.data[s][:] for s in SPLITS]
    machine = ("file", "seconds", "rows_per_s", "peak_mb")
    assert {k: v for k, v in packed.funnel.items() if k not in machine} == {
        k: v for k, v in plain.funnel.items() if k not in machine
    }


def test_kept_lines_are_those_with_the_lowest_order(tmp_path):
    """With others the file is read again, as it was before."""
    import numpy as np

    from ftlib.data.funnel import KeptRows
    from ftlib.data.kept_lines import KeptLines

    draw, lines, start, all_rows = np.random.default_rng(0), KeptLines(5), 0, []
    for _ in range(20):
        texts = [b"line %d" % draw.integers(10**6) for _ in range(8)]
        order = draw.integers(-50, 50, 8)
        offsets = np.cumsum([0, *(len(text) + 1 for text in texts)])[:-1]
        lines.add(KeptRows(offsets, *[order] * 7), b"\n".join(texts), start)
        all_rows += zip(order.tolist(), (start + offsets).tolist(), texts, strict=True)
        start += sum(map(len, texts)) + 8
    first = {}
    for value, offset, text in all_rows:
        first.setdefault(value, (offset, text))
    lowest = [first[value] for value in sorted(first)[:5]]
    kept = lines.by_offset()
    assert len(kept) <= 10 and all(kept[offset] == text for offset, text in lowest)
