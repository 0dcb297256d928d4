"""`ftlib data look`: one screen that says what a file is and what would be kept of it, before any training."""

import gzip
import json

import pytest

from ftlib.cli.entry import main


def screen(capsys, *arguments) -> str:
    """What the command prints; at most 40 lines of 110 columns."""
    assert main(["data", "look", *map(str, arguments)]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 40 and max(map(len, text.splitlines())) <= 110
    return text


def questions(n=30) -> list[dict]:
    return [
        {"id": i, "question": f"Where is lamp L{i}?", "answer": f"Lamp L{i} is in the {i}th room."} for i in range(n)
    ]


def test_screen_of_the_courses_own_rows(capsys):
    """A learner sees at the first glance what the course trains on."""
    text = screen(capsys, "sample")
    assert text.startswith("catalog.jsonl.gz: JSON Lines in a gzip file, ")
    assert "used: uid = uid, title = title, content = content" in text and "of 3,000 rows" in text
    assert (
        "dropped: " in text
        and " missing" in text
        and " duplicate" in text
        and "next: ftlib prepare --data sample" in text
    )
    assert "own_data.md" not in text


def test_counts_are_those_of_the_preparation(capsys, settings, tmp_path):
    """A look that promises more rows than are kept is worse than none."""
    from ftlib.data.dataset import prepare

    funnel = prepare(settings(), tmp_path / "dataset")
    text = screen(capsys, "sample", "--all")
    assert f"kept: {funnel['kept']:,} of 3,000 rows" in text
    assert all(f"{count:,} {step}" in text for step, count in funnel["dropped"].items())


def test_a_mapping_is_suggested_and_its_command_works(capsys, tmp_path, monkeypatch):
    """Who has questions and answers must not read the manual to learn what they are called here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qa.json.gz").write_bytes(gzip.compress(json.dumps(questions()).encode()))
    text = screen(capsys, "qa.json.gz")
    assert "one JSON array of objects in a gzip file" in text and "columns: id, question, answer" in text
    assert "suggested: uid = id, title = question, content = answer" in text and "kept: 30 of 30 rows" in text
    command = text.partition("next: ")[2].partition("\nAre you allowed")[0].replace("\\\n", " ").split()
    assert command[:2] == ["ftlib", "prepare"]
    sizes = ["--set", "data.test_size=3", "--set", "data.validation_size=3"]
    assert main([*command[1:], "--run", str(tmp_path / "run"), *sizes]) == 0


def test_a_mapping_can_be_given(capsys, tmp_path):
    """The suggestion is a guess from names; the user knows better."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row | {"note": "A text that is long enough."}) + "\n" for row in questions()))
    options = ["--set", "data.columns.title=question", "--set", "data.columns.content=note"]
    text = screen(capsys, path, *options)
    assert "title = question, content = note" in text and "uid = id" in text
    assert " ".join(options) in text.replace("\\\n ", "")


def test_columns_without_a_plausible_name_are_shown(capsys, tmp_path):
    """A wrong guess would be trained; the first rows show which column is meant."""
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "".join(f"Lamp {i},room {i}\n" for i in range(20)))
    text = screen(capsys, path)
    assert "columns: a, b" in text and "--set data.columns.title=NAME" in text and '{"a":"Lamp 0","b":"room 0"}' in text
    assert "next: ftlib" not in text


def test_many_columns_and_many_faults_fit_on_the_screen(capsys, tmp_path):
    """A table of 300 columns, or rows of ten thousand characters, must not scroll the summary away."""
    rows = [
        {"title": "T" * 5000, "content": "\x1b[2J" + "word " * 3000}
        | {f"column number {n} " * 5: n for n in range(300)}
    ] * 3
    rows = [json.dumps(row | {"title": f"{n} {row['title']}"}).encode() for n, row in enumerate(rows)]
    faults = [
        b"{broken",
        b'{"title": 5}',
        b'{"title": "caf\xe9"}',
        b"[1]",
        b'{"title": "short", "content": "x"}',
        b'{"title": "a',
    ] * 7
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(rows + faults))
    text = screen(capsys, path)
    assert "\x1b" not in text and text.count("malformed: ") >= 3 and "short_content" in text


def test_only_the_first_rows_are_counted_unless_all_are_asked_for(capsys, tmp_path, write_rows, products):
    """A look at a file of gigabytes takes seconds; and a part must not be taken for the whole."""
    path = write_rows(products(50))
    assert "kept: 20 of the first 20 rows (--all reads the whole file)" in screen(capsys, path, "--rows", "20")
    assert "kept: 50 of 50 rows" in screen(capsys, path, "--rows", "20", "--all")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv"], "does not exist"),
        (["page"], "a web page .HTML. and no data"),
        (["rows", "--rows", "0"], "--rows 0: allowed is 1 or more"),
        (["hf:a/b/c"], "write it as hf:OWNER/NAME or hf:OWNER/NAME:SPLIT"),
    ],
)
def test_what_cannot_be_looked_at_is_answered_in_one_line(capsys, tmp_path, monkeypatch, arguments, words):
    """A traceback on the first command that a newcomer types."""
    import re

    monkeypatch.chdir(tmp_path)
    (tmp_path / "page").write_text("<html><body>Sorry</body></html>")
    assert main(["data", "look", *arguments]) == 2
    said = capsys.readouterr().err
    assert re.search(words, said) and said.count("\n") == 1


def test_a_data_set_on_the_hub_is_read_once(capsys, tmp_path, monkeypatch):
    """Rows that are streamed twice cost twice the time, and an image column would fill the disk."""
    import datasets

    calls = []

    def load(name, split, streaming):
        calls.append((name, split, streaming))
        if split != "test":
            raise ValueError(f"Bad split: {split}. Available splits: ['test']")
        return iter([row | {"picture": b"\x00", "tags": ["a"]} for row in questions()])

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setenv("FTLIB_CACHE", str(tmp_path))
    for _ in range(2):
        assert "columns: id, question, answer\n" in screen(capsys, "hf:me/faq:test")
    assert calls == [("me/faq", "test", True)]
    assert main(["data", "look", "hf:me/faq"]) == 2
    assert "Available splits: ['test']" in capsys.readouterr().err and not list(tmp_path.rglob("*train*"))
