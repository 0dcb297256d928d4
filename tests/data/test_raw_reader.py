"""Raw files of every kind, whole and broken."""

import gzip
import json
import tracemalloc
import zipfile

import pytest

from ftlib.data.raw_reader import DataError, Malformed, open_raw, read_rows

GOOD = {"uid": "a", "title": "Lamp", "content": "It shines.", "target_ind": [3, 9], "target_rel": [1.0, 0.5]}
LINE = json.dumps(GOOD).encode() + b"\n"


@pytest.fixture
def read(write_rows):
    """A function: (uids read, malformed kinds) of lines written to a file."""

    def read(lines, name="rows.jsonl"):
        malformed = Malformed()
        uids = [row.uid for row in read_rows(write_rows(lines, name), malformed)]
        return uids, malformed.kinds

    return read


@pytest.mark.parametrize("name", ["trn.json", "trn.jsonl", "trn.json.gz", "trn.jsonl.gz", "TRN.JSON.GZ"])
def test_kinds_of_file(write_rows, name):
    """Without it one of the promised file types is refused, or read as bytes of the compressed file."""
    path = write_rows([LINE], name)
    if name.endswith(".GZ"):
        path.write_bytes(gzip.compress(LINE))
    malformed = Malformed()
    (row,) = read_rows(path, malformed)
    assert (row.uid, row.title, row.content, malformed.kinds) == ("a", "Lamp", "It shines.", {})


@pytest.mark.parametrize("inside", ["trn.json.gz", "LF-Amazon-1.3M/trn.json.gz"])
def test_distributed_zip(tmp_path, inside):
    """Without it the file as it is downloaded must be unpacked by hand, or another of its members is read."""
    path = tmp_path / "LF-Amazon-1.3M.raw.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tst.json.gz", gzip.compress(b'{"uid": "wrong"}\n'))
        archive.writestr("__MACOSX/._trn.json.gz", b"junk")
        archive.writestr(inside, gzip.compress(LINE * 3))
    assert [row.uid for row in read_rows(path, Malformed())] == ["a"] * 3


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'{"uid": "b", "title": "caf\xe9"}\n', "bad_utf8"),
        (b'{"uid": "b", "title": \n', "broken_json"),
        (b'{"uid": "b"} {"uid": "c"}\n', "broken_json"),
        (b'{"uid": "b", "title": "\\ud800"}\n', "broken_json"),  # half a character would break everything after it
        (b'{"uid": "b", "title": 7}\n', "wrong_types"),
        (b'{"uid": "b", "content": ["x"]}\n', "wrong_types"),
        (b'{"uid": true, "title": "x"}\n', "wrong_types"),
        (b"[1, 2]\n", "wrong_types"),
    ],
)
def test_malformed_lines_are_counted_by_kind(read, line, kind):
    """Without it an unreadable row is lost without a word, or stops the whole file."""
    assert read([LINE, line, LINE]) == (["a", "a"], {kind: {"count": 1, "first_lines": [2]}})


def test_last_line_cut_off(read):
    """Without it a download that broke off passes for a whole file."""
    assert read([LINE, LINE[:30]]) == (["a"], {"truncated_line": {"count": 1, "first_lines": [2]}})
    assert read([LINE, LINE.rstrip()]) == (["a", "a"], {})  # whole, just without a line end


@pytest.mark.parametrize("cut", [-4, 200])
def test_truncated_gzip(tmp_path, cut):
    """Without it a broken compressed file ends in a traceback, or the rows before the break are lost."""
    path = tmp_path / "trn.json.gz"
    rows = [{"uid": f"{i * 7919 % 10007:x}", "title": f"{i * i:x}"} for i in range(2000)]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())[:cut])
    malformed = Malformed()
    found = list(read_rows(path, malformed))
    assert malformed.kinds == {"truncated_gzip": {"count": 1, "first_lines": [len(found) + 1]}}
    assert (len(found) == 2000) is (cut == -4)


def test_web_page_saved_as_gzip(write_rows, tmp_path):
    """Without it a login page that was saved in place of the file ends in a traceback."""
    (tmp_path / "trn.json.gz").write_bytes(b"<html>please log in</html>")
    with pytest.raises(DataError, match="a web page .HTML. and no data.*download it again"):
        list(read_rows(tmp_path / "trn.json.gz", Malformed()))


def test_first_five_line_numbers_and_the_first_reason(write_rows):
    """Without it the report holds a million line numbers, or none to look at."""
    path = write_rows([LINE, *[b'{"uid": [7]}\n'] * 8])
    malformed = Malformed()
    assert len(list(read_rows(path, malformed))) == 1
    assert malformed.kinds == {"wrong_types": {"count": 8, "first_lines": [2, 3, 4, 5, 6]}}
    assert malformed.total == 8 and "$.uid" in malformed.why["wrong_types"]


def test_what_may_be_missing(write_rows):
    """Without it rows that are whole, but lack a text, are counted as broken and the file is refused."""
    lines = [
        {"uid": "a"},
        {"uid": "b", "title": None, "content": None},
        {"uid": "c", "title": "", "colour": {"x": [1]}},
    ]
    malformed = Malformed()
    found = [(row.uid, row.title, row.content) for row in read_rows(write_rows(lines), malformed)]
    assert found == [("a", None, None), ("b", None, None), ("c", "", None)] and malformed.kinds == {}


def test_white_space_between_lines(read):
    """Without it a file that went through a Windows editor has broken lines: blank ones, CRLF, a byte order mark."""
    windows = LINE.replace(b"\n", b"\r\n")
    assert read([b"\xef\xbb\xbf" + windows, b"\r\n", b"   \n", windows, b'{"uid": []}']) == (
        ["a", "a"],
        {"wrong_types": {"count": 1, "first_lines": [5]}},
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nowhere.json", None, "does not exist.*--data sample"),
        ("folder", "folder", "is a folder: there is no data file in it"),
        ("half.zip", b"PK\x03\x04 half", "not a complete zip file.*download it again"),
        ("other.zip", "zip", r"holds no trn\.json\.gz; it holds tst\.json\.gz"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, words):
    """Without it a wrong path gives a traceback from deep inside zipfile or gzip."""
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("tst.json.gz", b"")
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words), open_raw(path):
        pass


def test_reading_streams(tmp_path):
    """Without it the real file, 1.9 GB unpacked, is held in memory and a free Colab machine dies."""
    path = tmp_path / "trn.json.gz"
    line = json.dumps(GOOD | {"content": "It shines. " * 40}).encode() + b"\n"
    path.write_bytes(gzip.compress(line * 60_000, compresslevel=1))
    tracemalloc.start()
    try:
        n = sum(1 for _ in read_rows(path, Malformed()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n == 60_000 and peak < 12_000_000 < len(line) * n / 2
