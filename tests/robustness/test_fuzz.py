"""Files that are broken by accident or on purpose: every line is a row or counted, nothing hangs, memory stays bounded."""

import gzip
import json
import random
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib.config.settings import Config, ConfigError, flatten, parse_setting
from ftlib.data import raw_reader
from ftlib.data.raw_reader import DataError, Malformed, is_packed, read_rows, rows_in
from ftlib.study.study_file import StudyError, load_study

# The same examples in every run: a suite that fails by luck is not believed. `pytest -m slow` draws new ones.
QUIET = settings(
    deadline=None, max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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
    if is_packed(path):  # the bytes of an archive: its lines are not those of the file
        return
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
    try:
        accounted(path)
    except DataError as error:  # refused as a file of another kind, which one with a row in it never is
        assert "\n" not in str(error)
        rows = [line for line in content.split(b"\n") if raw_reader.decoded(line)]
        assert not rows or content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


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
        except (
            DataError
        ) as error:  # its first bytes are no gzip file any more, or its first line is another kind of text
            assert "\n" not in str(error)


@QUIET
@given(LINES.map(b"\n".join))
def test_lines_decoded_together_are_those_decoded_one_by_one(content):
    """Two objects on a line and one on two lines would give as many rows as lines, each with another's place."""
    found = []
    for together in (raw_reader._one_a_line, lambda block: []):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(raw_reader, "_one_a_line", together)
            found.append((list(rows_in(content, malformed := Malformed())), malformed.kinds, malformed.lines))
    assert found[0] == found[1]


@pytest.mark.parametrize("block", [7, 64, 100])
def test_blocks_of_any_size_give_the_same_rows(tmp_path, monkeypatch, block):
    """Lines at the edge of a block would be cut in two, or read twice."""
    path = tmp_path / "rows.json"
    path.write_bytes(b"\n".join([GOOD.replace(b'"a"', b'"%d"' % n) for n in range(9)]))
    monkeypatch.setattr(raw_reader, "BLOCK", block)
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


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["1e-3", "0x", "~", "=", "<<"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner), max_leaves=6
)
KEYS = st.sampled_from(sorted(flatten(Config.load("smoke", env={}).to_dict())))
YAML = st.one_of(
    st.text(max_size=30),
    VALUES.map(lambda value: yaml.safe_dump(value, default_flow_style=True)),
    st.sampled_from([
        "2024-13-45", "0b_", "&a [*a]", "&a {x: *a}", "!!python/object/apply:os.system [true]", "[" * 900, "? [a]", "{[]: 1}",
        "!!timestamp x", "1:99:99", "!!binary ?", "- a: 1\n b: 2", "\x00", "\ufeff1",
    ]),
)  # fmt: skip


@settings(QUIET, max_examples=60)
@given(st.one_of(KEYS, st.text(max_size=12)), YAML)
def test_any_setting_is_taken_or_refused_in_words(key, value):
    """A slip in `--set` ends in a traceback instead of a line that says what is allowed."""
    for load in (
        lambda: Config.load("smoke", env={}, **dict([parse_setting(f"{key}={value}")])),
        lambda: Config.load("smoke", env={f"FTLIB_{key.upper().replace('.', '__')}": value}),
    ):
        try:
            assert load().profile == "smoke"
        except ConfigError as error:
            assert str(error)


@settings(QUIET, max_examples=60)
@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_recorded_settings_are_taken_or_refused_in_words(recorded):
    """A manifest that another version of ftlib wrote, or somebody edited, would end every command in a traceback."""
    try:
        Config.load("smoke", inherited={"train": recorded, **recorded}, env={})
    except ConfigError as error:
        assert str(error)


STUDY = {"name": "a", "profile": "smoke", "runs": [{"name": "b", "set": {"lora.r": 2}}]}


@settings(QUIET, max_examples=60)
@given(st.one_of(
    st.binary(max_size=60), YAML.map(str.encode), st.builds(lambda key, value: yaml.safe_dump(STUDY | {key: value}).encode(),
    st.sampled_from([*STUDY, "set", "seeds", "other"]), VALUES)))  # fmt: skip
def test_any_study_file_is_taken_or_refused_in_words(tmp_path, content):
    """A study that a colleague sends with a slip in it must say the line, before hours of training."""
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    try:
        assert load_study(path).runs
    except StudyError as error:
        assert str(path) in str(error)


@pytest.mark.slow
def test_a_hundred_thousand_damaged_lines():
    """The same as above, as often as the promise says (docs/reliability.md)."""
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


@pytest.mark.slow
def test_a_hundred_thousand_inputs_of_atheris():
    """The same with inputs that are led by which lines of code they reach."""
    pytest.importorskip("atheris")
    command = [
        sys.executable,
        Path(__file__).parents[1] / "helpers" / "fuzz_reader.py",
        "-atheris_runs=100000",
        "-seed=1",
        "-max_len=300",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0 and "Done 100000" in done.stderr + done.stdout, (done.stdout + done.stderr)[-2000:]
