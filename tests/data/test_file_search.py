"""`data.path: auto`: the user's file is found where people put it, and the first line of a command names the data."""

import gzip
import io
import json
import os
import sys
from pathlib import Path

import pytest

from ftlib.cli.entry import main
from ftlib.config.settings import parse_setting
from ftlib.data import file_search
from ftlib.data.file_search import data_path, describe, search
from ftlib.data.raw_reader import DataError, check_file
from ftlib.models.base_models import cache_dir
from ftlib.pipeline.stage import Run
from ftlib.runtime import environment
from ftlib.runtime.errors import storage_problem
from ftlib.runtime.files import home_path, runs_root, write_json

LINE = json.dumps({"uid": "a", "title": "Lamp", "content": "A lamp with a cord and a bulb."}) + "\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder; Colab's, Drive's and Kaggle's folders lie below it."""
    monkeypatch.chdir(tmp_path)
    names = ("data", "repository/data", "content", "content/drive/MyDrive", "kaggle/input")
    monkeypatch.setattr(file_search, "folders", lambda: [tmp_path / name for name in names])
    return tmp_path


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(LINE.encode()) if name.endswith(".gz") else LINE.encode())


@pytest.mark.parametrize(
    "name",
    [
        "data/trn.json",
        "data/trn.json.gz",
        "data/LF-Amazon-1.3M.raw.zip",
        "data/LF-Amazon-1.3M.raw (1).zip",
        "data/LF-Amazon-1.3M/trn.json",
        "data/trn (1).json",
        "data/trn(2).json.gz",
        "data/trn.json (1).gz",
        "data/trn.jsonl",
        "data/TRN.JSON",
        "data/trn - Copy.json",
        "data/Copy of trn.json",
        "data/Cópia de trn.json",
        "data/trn.json.bz2",
        "data/AmazonTitles-1.3MM.zip",
        "repository/data/trn.json",
        "content/trn.json",
        "content/LF-Amazon-1.3M/trn.json.gz",
        "content/drive/MyDrive/trn.json.gz",
        "content/drive/MyDrive/fiap/trn.json",
        "kaggle/input/amazontitles/trn.json",
        "kaggle/input/amazontitles/LF-Amazon-1.3M/trn.json",
    ],
)
def test_the_users_file_is_found(folder, settings, name):
    """A run on the sample in place of the user's rows looks like success."""
    put(folder, name)
    assert search().path == folder / name and data_path(settings(**{"data.path": "auto"})) == folder / name


@pytest.mark.parametrize(
    "name", ["data/tst.json", "data/rows.csv", "data/trn.json.part", "data/trained.json", "content/sample_data/trn.json",
             "data/.trn.json", "data/trn.json/inside.txt", "data/a/b/trn.json"],
)  # fmt: skip
def test_other_files_are_not_taken(folder, name):
    """Test rows, half downloads or Colab's example data must not be trained on by themselves."""
    put(folder, name)
    assert search().path is None


def test_the_nearest_file_with_the_usual_name_is_taken(folder):
    """Which of several files is used must not depend on the order in which a disk lists them."""
    put(folder, "content/trn.json", "data/deeper/trn.json", "data/trn (1).json")
    assert search().path == folder / "data/trn (1).json"
    put(folder, "data/trn.json.gz")
    found = search()
    assert found.path == folder / "data/trn.json.gz" and folder / "data/trn (1).json" in found.others


def test_what_looks_like_data_and_is_not_used_is_named(folder, settings):
    """Who put rows.csv into data/ must learn from the first line that it was not taken, and how to take it."""
    put(folder, "data/rows.csv", "data/trn.7z", "data/notes.md", "content/private.json", "kaggle/input/x/y.parquet")
    said = describe(settings(**{"data.path": "auto"}))
    assert said.startswith("data: the synthetic sample") and "--data" in said
    assert all(name in said for name in ("rows.csv", "trn.7z", "y.parquet"))
    assert "notes.md" not in said and "private.json" not in said
    put(folder, *(f"data/{n}.json" for n in range(20)))
    assert "and 18 more" in describe(settings(**{"data.path": "auto"}))


@pytest.mark.parametrize("command", ["prepare", "run", "train", "evaluate", "ask"])
def test_the_first_line_names_the_data(folder, monkeypatch, capsys, command):
    """Nobody reads the manifest before believing a figure."""
    monkeypatch.setattr("ftlib.cli.stages._build", lambda *_, **__: None)
    put(folder, "data/trn.json")
    title = ["Lamp"] if command == "ask" else []
    for path, words in (("auto", str(folder / "data/trn.json")), ("sample", "the synthetic sample")):
        main([command, *title, "--run", str(folder / "run"), "--data", path])
        output = capsys.readouterr()
        first = (output.out + output.err).splitlines()[0]
        assert words in first and first.startswith("profile smoke")


def test_data_that_has_gone_is_still_named(folder, settings):
    """On Colab's next day the file is gone and the data set is not; the line must not speak of the sample."""
    prepared = {"file": "trn.json", "sample": False, "config": {"data": {"path": "auto"}}}
    assert "trn.json (prepared earlier; the file itself is gone)" in describe(
        settings(**{"data.path": "auto"}), prepared
    )
    assert "sample" in describe(settings(**{"data.path": "auto"}), prepared | {"sample": True})


# Odd names


ODD = [
    "my rows.json",
    "çafé 日本.json",
    "-x.json",
    "a\nb.json",
    "100%.json",
    "a #1.json",
    "a::b.json",
    "it's.json",
    "a'\"b.json",
]


@pytest.mark.parametrize("name", [*ODD, os.fsdecode(b"latin-\xe9.json")])
def test_odd_file_names(tmp_path, name, capsys, products, monkeypatch):
    """Names are made by people: with spaces, signs and characters of another system."""
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in products(40)))
    sizes = [f"--set=data.{key}={n}" for key, n in (("train_size", 10), ("validation_size", 3), ("test_size", 3))]
    run = tmp_path / name.replace(".json", " run").replace("::", "--")
    status = main(["prepare", f"--data={path}", f"--run={run}", *sizes])
    assert status == 0 and Run(run).stage("dataset").manifest()["file"] == name
    monkeypatch.setenv("FTLIB_DATA__PATH", str(path))  # other settings are YAML, where # and ' mean something
    assert main(["prepare", f"--run={run}", *sizes]) == 0
    assert capsys.readouterr().out.count("dataset: up to date") == 1
    assert parse_setting(f"data.path={path}") == ("data.path", str(path))


def test_a_run_folder_that_is_no_folder_to_other_libraries_is_refused(tmp_path, capsys):
    """fsspec reads a::b as a file system within another, so the data set was written to another folder."""
    for path in (f"{tmp_path}/a::b", "s3://bucket/run"):
        assert main(["prepare", "--run", path]) == 2
        assert "is no folder on a disk" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [("x" * 300, "no file can have this name"), ("a\0b", "data.path|no file can have this name|does not exist")],
)
def test_impossible_file_names(tmp_path, name, words):
    """A path that was pasted twice is too long for any file, which the system tells by an error of its own."""
    with pytest.raises(DataError, match=words):
        check_file(tmp_path / name)


def test_a_name_that_is_no_text_is_written_as_escapes(tmp_path):
    """The name of a file from another system must not stop the manifest from being written."""
    write_json(tmp_path / "a.json", {"file": os.fsdecode(b"caf\xe9")})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["file"] == os.fsdecode(b"caf\xe9")


def test_a_path_that_is_no_file_says_what_to_give(tmp_path):
    """A message that names a file which is not there sends the reader in a circle."""
    put(tmp_path, "data/readme.txt", "data/trn.json.gz")
    with pytest.raises(DataError, match=r"is a folder: give the file itself, .*data/trn\.json\.gz"):
        check_file(tmp_path / "data")
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "pipe", "pipe or device"),
        (Path("https://x.org/trn.json"), "is an address: download"),
    ):
        with pytest.raises(DataError, match=words):
            check_file(path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError):
        check_file(tmp_path / "loop")


# Permissions


def test_reading_and_writing_permissions_are_told_apart(tmp_path, monkeypatch):
    """`give another folder with --run` is no help where the data file is the one that is locked."""
    path = tmp_path / "trn.json"
    path.write_text(LINE)
    denied = PermissionError(13, "Permission denied", str(path))
    readable = os.access

    def access(place, mode):
        return not (str(place) == str(path) and mode == os.R_OK) and readable(place, mode)

    monkeypatch.setattr(os, "access", access)
    assert "this file cannot be read: allow it with `chmod u+r`" in storage_problem(denied)
    monkeypatch.setattr(os, "access", readable)
    assert "this folder cannot be written" in storage_problem(denied)
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.X_OK)
    assert f"{tmp_path} cannot be entered" in storage_problem(
        PermissionError(13, "Permission denied", str(tmp_path / "no" / "x"))
    )

    def locked(*_, **__):
        raise denied

    monkeypatch.setattr("ftlib.data.file_formats.open", locked, raising=False)
    with pytest.raises(DataError, match="trn.json cannot be read .permission denied.: allow it"):
        check_file(path)


# No home folder, no name, no characters


@pytest.fixture
def homeless(monkeypatch):
    """A user id that no list knows, as of `docker run --user 1234`."""
    for name in (
        "HOME",
        "FTLIB_CACHE",
        "XDG_CACHE_HOME",
        "USER",
        "LOGNAME",
        "LNAME",
        "USERNAME",
        "USERPROFILE",
        "HF_HOME",
    ):
        monkeypatch.setenv(name, "")  # so that what `prepare` sets is undone
        monkeypatch.delenv(name)

    def unknown(*_):
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_without_a_home_folder_the_cache_lies_in_the_folder_of_the_runs(homeless):
    """Containers with a foreign user id ended in a traceback of pathlib, before anything was said."""
    import getpass

    assert cache_dir() == runs_root() / ".cache" / "ftlib"
    environment.prepare()
    assert Path.home() == (runs_root() / ".cache").absolute() and getpass.getuser().startswith("uid")
    assert cache_dir() == Path.home() / ".cache" / "ftlib"
    environment.prepare()
    assert main(["config"]) == 0


def test_a_home_folder_that_cannot_be_written_is_not_used_for_the_cache(monkeypatch, tmp_path):
    """A container's home folder belongs to another user: pip's and the hub's caches there are somebody else's."""
    for name in ("FTLIB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "ftlib"
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != tmp_path and allowed(place, mode))
    assert cache_dir() == runs_root() / ".cache" / "ftlib"
    monkeypatch.setenv("HF_HOME", "")  # so that what `prepare` sets is undone
    monkeypatch.delenv("HF_HOME")
    environment.prepare()
    assert Path(os.environ["HF_HOME"]) == (runs_root() / ".cache" / "huggingface").absolute()
    (tmp_path / ".cache" / "ftlib").mkdir(parents=True)  # filled by a teacher, for reading
    assert cache_dir() == tmp_path / ".cache" / "ftlib"


def test_the_root_of_the_disk_is_no_home_folder(monkeypatch):
    """Docker sets HOME=/ for a user that the image does not know, and nobody may write there."""
    monkeypatch.setenv("HOME", "/")
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != Path("/"))
    assert environment.home() is None


@pytest.mark.parametrize(
    "setting", ["--data=~/trn.json", "--run=~/run", "--set=model.name=~/model", "--data=~nobody-here/x"]
)
def test_a_tilde_without_a_home_folder_is_one_line(homeless, monkeypatch, setting, capsys):
    """~ stands for a folder that is not there; the message names the setting in which it was written."""
    monkeypatch.setattr(environment, "prepare", lambda: None)
    assert main(["train", setting]) == 2
    said = capsys.readouterr().err
    assert "~ has no home folder on this machine; write the absolute path" in said and "Traceback" not in said


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp850"])
def test_a_console_that_lacks_a_character_loses_it_and_not_the_run(monkeypatch, encoding, tmp_path):
    """One curly quote in a file name, an answer or a bar ended the command on Windows."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["prepare", "--data", str(tmp_path / "“日本” – naïve.json")]) == 2
    print("“日本” – naïve")
    err.flush(), out.flush()
    assert rb"\u65e5\u672c" in err.buffer.getvalue() and b"?" in out.buffer.getvalue()
    assert not environment.prints_unicode(out) and environment.prints_unicode(io.StringIO())


def test_streams_that_cannot_be_set_are_left_alone(monkeypatch):
    """A notebook's output is no text file; the command line must run in it."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)
    environment.prepare()


def test_a_closed_pipe_is_one_line(monkeypatch, capsys):
    """`ftlib runs list | head -1` ended in a traceback."""

    def closed(_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("ftlib.cli.runs.do_runs_list", closed)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert main(["runs", "list"]) == 141


def test_home_path_keeps_other_paths(monkeypatch, tmp_path):
    """Only ~ is replaced."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_path("~/x", "--run") == tmp_path / "x" and home_path("a~b", "--run") == Path("a~b")
