"""Files that are broken by accident or on purpose: every line is a row or counted, nothing hangs, memory stays bounded."""

import gzip
import json
import random
import tracemalloc
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib import reader
from ftlib.reader import DataError, Malformed, read_rows, rows_in

QUIET = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
GOOD = b'{"uid": "a", "title": "Lamp", "content": "It shines.", "target_ind": [1], "target_rel": [1.0]}'
NASTY = [
    b"",
    b" \t ",
    b"null",
    b"{}",
    b"[]",
    b'"',
    b"\x00",
    b"\xff\xfe",
    b'{"uid": 1}',
    b'{"title": NaN}',
    b'{"title": Infinity, "x": -Infinity}',
    b'{"title": "a", "title": "b"}',
    b'{"title": "\\ud800"}',
    b'{"title": "\\u0000"}',
    b'{"title": {"a": 1}}',
    b'{"content": 1e999}',
    b'{"x": ' + b"9" * 5000 + b"}",
    GOOD + GOOD,
    b"{",
    b"}",
    b'{"uid": {',
    b'{"title": "over"',
    b'"content": "two lines"}',
    GOOD[:-1],
    b"{'title': 'single'}",
    json.dumps({"title": "x"}).encode("utf-16"),
]
LINES = st.lists(st.one_of(st.sampled_from([GOOD, *NASTY]), st.binary(max_size=60)), max_size=12)


def accounted(path) -> None:
    """Every line that is not blank is a row or a malformed line, with its number among the file's lines."""
    malformed = Malformed()
    rows = sum(1 for _ in read_rows(path, malformed))
    lines = path.read_bytes().split(b"\n")
    assert rows + malformed.total == sum(
        bool(line.removeprefix(b"\xef\xbb\xbf" if not n else b"").strip()) for n, line in enumerate(lines)
    )
    assert all(1 <= n <= len(lines) for found in malformed.kinds.values() for n in found["first_lines"])


@QUIET
@given(st.one_of(st.binary(max_size=400), LINES.map(b"\n".join), LINES.map(b"\r\n".join)))
def test_any_bytes_are_read_or_counted(tmp_path, content):
    """One line that nobody thought of would stop a preparation of two million rows, or be lost in silence."""
    path = tmp_path / "any.json"
    path.write_bytes(content)
    if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        with pytest.raises(DataError, match="one JSON array"):
            accounted(path)
    else:
        accounted(path)


@QUIET
@given(LINES, st.integers(min_value=0), st.integers(0, 255))
def test_a_damaged_gzip_is_counted(tmp_path, lines, place, byte):
    """A download that broke off or was damaged on the way must be told, and never end in a traceback."""
    packed = bytearray(gzip.compress(b"\n".join([GOOD, *lines])))
    path = tmp_path / "any.json.gz"
    for damaged in (packed[: place % len(packed)], packed[:]):
        if len(damaged) == len(packed):
            damaged[place % len(packed)] ^= byte
        path.write_bytes(damaged)
        malformed = Malformed()
        try:
            assert sum(1 for _ in read_rows(path, malformed)) <= len(lines) + 1 + damaged.count(b"{")
        except DataError as error:
            assert "JSON array" in str(error)


@pytest.mark.parametrize("block", [7, 64, 100])
def test_blocks_of_any_size_give_the_same_rows(tmp_path, monkeypatch, block):
    """Lines at the edge of a block would be cut in two, or read twice."""
    path = tmp_path / "rows.json"
    path.write_bytes(b"\n".join([GOOD.replace(b'"a"', b'"%d"' % n) for n in range(9)]))
    monkeypatch.setattr(reader, "BLOCK", block)
    assert [row.uid for row in read_rows(path, Malformed())] == [str(n) for n in range(9)]


def test_a_deep_nest_is_one_malformed_line(tmp_path):
    """A million brackets would end Python's stack, and the preparation with it."""
    path = tmp_path / "deep.json"
    path.write_bytes(b'{"x": ' + b"[" * 10**6 + b"]" * 10**6 + b"}\n" + b'{"x": ' + b'{"a":' * 10**5 + b"\n" + GOOD)
    malformed = Malformed()
    assert len(list(read_rows(path, malformed))) + malformed.total == 3
    assert malformed.total >= 1


@pytest.mark.parametrize("name", ["long.json", "bomb.json.gz", "bomb.zip"])
def test_a_line_without_an_end_takes_no_memory(tmp_path, name):
    """A zip bomb, or a file without line ends: 200 MB of one line would be held at once, several times over."""
    path, size, piece = tmp_path / name, 200 * 2**20, b"x" * 2**20
    if name.endswith(".json"):
        with open(path, "wb") as file:
            for _ in range(size // len(piece)):
                file.write(piece)
            file.write(b"\n" + GOOD)
    else:
        packed = tmp_path / "inner.gz" if name.endswith(".zip") else path
        with gzip.open(packed, "wb", compresslevel=1) as file:
            for _ in range(size // len(piece)):
                file.write(piece)
            file.write(b"\n" + GOOD)
        if packed != path:
            with zipfile.ZipFile(path, "w") as archive:
                archive.write(packed, "../../trn.json.gz")  # nothing is unpacked to the disk, whatever it is called
    malformed = Malformed()
    tracemalloc.start()
    try:
        rows = list(read_rows(path, malformed))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [row.title for row in rows] == ["Lamp"] and malformed.kinds == {
        "line_too_long": {"count": 1, "first_lines": [1]}
    }
    assert peak < 80 * 2**20


@pytest.mark.slow
def test_a_hundred_thousand_damaged_lines():
    """The same as above, as often as the promise says (docs/RELIABILITY.md)."""
    draw, lines = random.Random(7), [GOOD, *NASTY]
    for _ in range(100_000):
        line = bytearray(draw.choice(lines))
        for _ in range(draw.randrange(4)):
            place = draw.randrange(len(line) + 1)
            match draw.randrange(4):
                case 0:
                    line[place : place + draw.randrange(9)] = b""
                case 1:
                    line[place:place] = draw.choice(NASTY)[:40]
                case 2:
                    line[place:place] = bytes([draw.randrange(256)]) * draw.randrange(5)
                case 3:
                    line[place : place + 1] = bytes([draw.randrange(256)])
        block, malformed = bytes(line).replace(b"\n", b" ") + b"\n", Malformed()
        assert len(list(rows_in(block, malformed))) + malformed.total == bool(block.strip())
