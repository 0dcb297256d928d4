"""The synthetic questions and answers: what the code makes, and enough of it to train and to cite."""

import gzip
import json

from ftlib.config.settings import Config
from ftlib.data.dataset import prepare
from ftlib.data.sample import FAQ_PATH
from ftlib.data.sample.faq import make_rows, write_faq


def test_stored_file_is_what_the_code_makes(tmp_path):
    """The shipped file and the generator drift apart, and nobody can make the file again."""
    with gzip.open(FAQ_PATH, "rt", encoding="utf-8") as file:
        stored = [json.loads(line) for line in file]
    assert stored == list(make_rows())
    write_faq(tmp_path / "faq.jsonl.gz")
    with gzip.open(tmp_path / "faq.jsonl.gz") as again, gzip.open(FAQ_PATH) as before:
        assert again.read() == before.read()


def test_rows_are_complete_and_different():
    """A template whose field is missing, or a question that is asked twice, is seen by every learner."""
    rows = list(make_rows())
    assert 280 <= len(rows) <= 320 and len({row["id"] for row in rows}) == len(rows)
    assert len({row["pergunta"] for row in rows}) == len(rows)
    assert all("{" not in text and "  " not in text for row in rows for text in row.values())
    assert not any("0 watts" == row["resposta"][4:11] for row in rows)


def test_the_profile_prepares_them_all(tmp_path):
    """The worked example must not lose rows to filters that were chosen for a catalog."""
    cfg = Config.load("qa", env={})
    funnel = prepare(cfg, tmp_path / "dataset")
    assert funnel["kept"] == funnel["rows_in"] and funnel["sample"] and not funnel["malformed"]

    from datasets import load_from_disk

    row = load_from_disk(str(tmp_path / "dataset"))["test"][0]
    assert (
        row["input_text"].endswith(f"Pergunta: {row['title']}") and row["target_text"] == f"Resposta: {row['content']}"
    )
