"""Files as people really have them: read whatever their name, or refused in one line whose advice works."""

import bz2
import collections
import csv
import functools
import gzip
import io
import json
import lzma
import random
import re
import struct
import sys
import tarfile
import zipfile

import pandas
import pytest

from ftlib.cli.entry import main
from ftlib.data.columns import OURS, Columns
from ftlib.data.content_kinds import KINDS, Kind
from ftlib.data.dataset import SPLITS, prepare
from ftlib.data.file_formats import identify
from ftlib.data.raw_reader import DataError, Malformed, check_file, read_rows

SIZES = {"data.train_size": 10, "data.validation_size": 3, "data.test_size": 3}


def table(n=40) -> list[dict]:
    return [
        {"uid": f"00{i}", "title": f"Lamp number L{i}", "content": f'A lamp with {i} bulbs, a cord and "art".'}
        for i in range(n)
    ]


ROWS = table()
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
BYTES = LINES.encode()


def zipped(*members, **options) -> bytes:
    """A zip file of (name, content)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*members, mode="w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def patched(data: bytes, flags: int = 0, method: int | None = None) -> bytes:
    """A zip file that says it is locked, or packed by another method: in the local and in the central header of each member."""
    data = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(mark), bytes(data)):
            at = found.start() + place
            data[at : at + 2] = struct.pack("<H", struct.unpack("<H", data[at : at + 2])[0] | flags)
            if method is not None:
                data[at + 2 : at + 4] = struct.pack("<H", method)
    return bytes(data)


def patched_end(data: bytes) -> bytes:
    """A zip file whose last record says that it is the third of several disks."""
    at = data.rindex(b"PK\x05\x06")
    return data[: at + 4] + struct.pack("<H", 2) + data[at + 6 :]


def parquet() -> bytes:
    buffer = io.BytesIO()
    pandas.DataFrame(ROWS).to_parquet(buffer)
    return buffer.getvalue()


READ = {
    "gzip named .json": ("trn.json", gzip.compress(BYTES)),
    "plain named .gz": ("trn.json.gz", BYTES),
    "plain named .zip": ("trn.zip", BYTES),
    "gzip named .zip": ("trn.zip", gzip.compress(BYTES)),
    "zip named .gz": ("trn.json.gz", zipped(("trn.json.gz", gzip.compress(BYTES)))),
    "no suffix at all": ("download", BYTES),
    "text suffix": ("trn.txt", BYTES),
    "bzip2": ("trn.json.bz2", bz2.compress(BYTES)),
    "xz": ("trn.json.xz", lzma.compress(BYTES)),
    "gzip of several members": ("trn.json.gz", gzip.compress(BYTES[:500]) + gzip.compress(BYTES[500:])),
    "gzip with zeros behind": ("trn.json.gz", gzip.compress(BYTES) + bytes(512)),
    "gzip twice": ("trn.json.gz.gz", gzip.compress(gzip.compress(BYTES))),
    "zip of the unpacked file": ("LF-Amazon-1.3M.zip", zipped(("trn.json", BYTES), compression=zipfile.ZIP_DEFLATED)),
    "zip by Windows Explorer": ("trn.zip", zipped(("LF-Amazon-1.3M\\lbl.json.gz", b"x"), ("LF-Amazon-1.3M\\trn.json", BYTES))),
    "zip by macOS": ("Archive.zip", zipped(("trn.json", BYTES), ("__MACOSX/._trn.json", b"\0\5\x16\7"))),
    "zip with LZMA": ("trn.zip", zipped(("trn.json", BYTES), compression=zipfile.ZIP_LZMA)),
    "zip in zip": ("download.zip", zipped(("LF-Amazon-1.3M.raw.zip", zipped(("a/trn.json.gz", gzip.compress(BYTES)))))),
    "zip of one file with another name": ("mine.zip", zipped(("shop/products.jsonl", BYTES), ("shop/README.md", b"# Shop"))),
    "tar": ("trn.tar", tarred(("LF-Amazon-1.3M/trn.json", BYTES))),
    "tar.gz": ("trn.tar.gz", tarred(("d/tst.json", b"{}"), ("d/trn.json", BYTES), mode="w:gz")),
    "tar.bz2 of the packed file": ("t.tar.bz2", tarred(("d/trn.json.gz", gzip.compress(BYTES)), mode="w:bz2")),
    "byte order mark": ("trn.json", b"\xef\xbb\xbf" + BYTES),
    "Windows line ends": ("trn.json", BYTES.replace(b"\n", b"\r\n")),
    "no line end at the end": ("trn.json", BYTES.rstrip()),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_the_content_decides_and_not_the_name(tmp_path, kind):
    """Browsers, Drive and Windows rename files, and a right file was refused or read as noise because of three letters."""
    name, data = READ[kind]
    path = tmp_path / name
    path.write_bytes(data)
    check_file(path)
    malformed = Malformed()
    assert [row.title for row in read_rows(path, malformed)] == [row["title"] for row in ROWS] and not malformed.kinds


@pytest.mark.parametrize("kind", ["zip in zip", "tar.bz2 of the packed file", "xz", "gzip named .json"])
def test_both_passes_read_an_archive(settings, tmp_path, kind):
    """The second pass fetches rows by their place in the unpacked stream, which must be that of the first."""
    name, data = READ[kind]
    (tmp_path / name).write_bytes(data)
    made = prepare(settings(**{"data.path": str(tmp_path / name)}, **SIZES), tmp_path / "dataset")
    assert made["kept"] == len(ROWS) and sum(made["splits"].values()) == 16


PAGE = "<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>Sorry</body></html>"
REFUSED = {
    "web page": ("trn.json", PAGE, r'a web page \(HTML\) \("Google Drive - Quota exceeded"\) .* download it again'),
    "web page named .gz": ("trn.json.gz", PAGE, r"a web page .*not packed, whatever its name says"),
    "web page in a zip": ("t.zip", zipped(("trn.json", PAGE)), r"t\.zip \(trn\.json\) is a web page"),
    "a store's error": ("trn.json", '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "XML and no JSON .*AccessDenied"),
    "Drive's error": (
        "trn.zip", json.dumps({"error": {"errors": [{"reason": "downloadQuotaExceeded"}], "message": "quota"}}, indent=1),
        r'an error message of the download service \("quota"\) and no data: download it again'),
    "a part of a split zip": ("t.zip", patched_end(zipped(("trn.json", BYTES))), "one part of a split zip file: join all parts"),
    "an API's error": ("trn.json", '{"error": "Not Found", "status": 404}',
        "an error message of the download service"),
    "plain answer": ("trn.json", "Not Found\n", 'text and no JSON .it begins with "Not Found".'),
    "LFS pointer": ("trn.json", f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1\n", "git lfs pull"),
    "annex pointer": ("trn.json", "/annex/objects/SHA256E-s1--00.json\n", "git annex get"),
    "utf-16": ("trn.json", LINES.encode("utf-16"), "UTF-16 .*iconv -f UTF-16 -t UTF-8"),
    "utf-16 without a mark": ("trn.json", LINES.encode("utf-16-le"), "UTF-16"),
    "utf-32": ("trn.json", LINES.encode("utf-32"), "UTF-16"),
    "objects over several lines": ("trn.json", "\n".join(json.dumps(row, indent=2) for row in ROWS), "several lines .*jq -c"),
    "nested objects over several lines": (
        "trn.json", json.dumps({"meta": {"a": {"b": 1}}} | ROWS[0], indent=2) * 2, "several lines"),
    "objects on one line": ("trn.json", "".join(map(json.dumps, ROWS)), "without line breaks .*jq -c"),
    "old Mac line ends": ("trn.json", "\r".join(map(json.dumps, ROWS)), "without line breaks"),
    "a comma after each": ("trn.json", ",\n".join(map(json.dumps, ROWS[:9])) + ",\n", "a comma after each"),
    "rows under a key": ("trn.json", json.dumps({"data": ROWS}, indent=1), r"rows under 'data'.*jq -c '\.\[\"data\"\]\[\]'"),
    "one byte kept by macOS": ("._trn.json", b"\0\5\x16\7\0\2\0\0Mac OS X", r"without \._"),
    "pickle": ("trn.json", b"\x80\x04\x95" + bytes(50) + b"\n", "pickle, which ftlib never opens"),
    "sqlite": ("trn.json", b"SQLite format 3\0" + bytes(50), "SQLite database"),
    "zeros": ("trn.json", bytes(5000), "zero bytes only, so the download did not finish"),
    "noise": ("trn.json", bytes(range(256)) * 20, "a binary file of an unknown kind"),
    "7z": ("trn.7z", b"7z\xbc\xaf\x27\x1c\0\4", r"a 7z archive.*7z x trn\.7z.*give the file inside"),
    "rar": ("trn.rar", b"Rar!\x1a\x07\x01\0", "a RAR archive.*unrar x"),
    "zstd": ("trn.json.zst", b"\x28\xb5\x2f\xfd\x04\x00", "Zstandard.*zstd -d"),
    "zip with a password": ("t.zip", patched(zipped(("trn.json", BYTES)), flags=1), "locked with a password: unpack it by hand"),
    "zip above 2 GB by Windows": ("t.zip", patched(zipped(("trn.json", BYTES)), method=9),
        "Deflate64, which Windows Explorer uses"),
    "zip with AES": ("t.zip", patched(zipped(("trn.json", BYTES)), flags=1, method=99), "locked with a password"),
    "zip of the test rows": ("t.zip", zipped(("tst.json.gz", b"x")), r"holds no trn\.json\.gz; it holds tst\.json\.gz"),
    "zip of two tables": ("t.zip", zipped(("a.json", b"x"), ("b.csv", b"y")), r"several data files .*a\.json, b\.csv"),
    "empty zip": ("t.zip", zipped(), "holds nothing"),
    "Excel": ("trn.xlsx", zipped(("xl/workbook.xml", "<x/>"), ("[Content_Types].xml", "")), r"Excel workbook.*read_excel"),
    "half a zip": ("t.zip", zipped(("trn.json", BYTES))[:-30], "not a complete zip file.*download it again"),
    "the end of a zip": ("t.zip", b"PK\x03\x04" + bytes(90), "not a complete zip file"),
    "a few bytes of a tar.gz": ("t.tar.gz", gzip.compress(tarred(("trn.json", BYTES)))[:300],
        "stops in the middle.*download it again"),
    "half a Parquet file": ("t.parquet", parquet()[:400], "a Parquet file that is damaged .*download it again"),
    "an array of lists": ("trn.json", json.dumps([["Cup", "A cup."]] * 9), "one JSON array whose elements are no objects"),
    "five zips": ("t.zip", zipped(("1.zip", zipped(("2.zip", zipped(("3.zip", zipped(("4.zip",
        zipped(("trn.json", BYTES)))))))))),
                  "archives within archives"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_of_another_kind_is_named_in_one_line(tmp_path, kind):
    """A web page in place of the data was counted as malformed lines, with the advice to allow more of them."""
    name, data, words = REFUSED[kind]
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    for use_damaged in (False, True):
        with pytest.raises(DataError, match=words) as error:
            check_file(path, use_damaged)
        assert "\n" not in str(error.value) and str(path) in str(error.value)
        assert "max_malformed_share" not in str(error.value)


@pytest.mark.parametrize("kind", ["web page named .gz", "utf-16", "zip with a password"])
def test_no_setting_makes_another_kind_of_file_an_empty_one(tmp_path, kind, capsys):
    """Who followed the advice to allow malformed lines was told that the file is empty."""
    name, data, words = REFUSED[kind]
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    allow = ["--set", "data.max_malformed_share=1", "--set", "data.use_damaged=true"]
    assert main(["prepare", "--data", str(path), "--run", str(tmp_path / "run"), *allow]) == 2
    said = capsys.readouterr().err
    assert re.search(words, said) and said.count("\n") == 1 and "file is empty" not in said


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.zip", zipped(("a\x1b[2Jb\nc.json", b"x"), ("d.json", b"y"))),
        ("t.zip", zipped(("a\x1b[2J.json", b"<html><title>\x1b[2J\n</title>"))),
        ("trn.json", json.dumps({"\x1b[2J\n": 1, "b": 2})),
        ("trn.json", "a\x1b[2J,b\n1,2\n"),
        ("trn.json", '{"message": "\x1b[2J"}'),
        ("trn.json", "\x1b[2J sorry\n"),
    ],
    ids=["members", "member", "field", "column", "message", "text"],  # a zip file holds the time, and so would its id
)
def test_a_strangers_names_cannot_control_the_terminal(tmp_path, name, data):
    """A field, column or member name with escape codes would clear the screen, or write a line that ftlib never wrote."""
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(DataError) as error:
        check_file(tmp_path / name)
    assert "\x1b" not in str(error.value) and "\n" not in str(error.value)


def frame() -> pandas.DataFrame:
    return pandas.DataFrame(ROWS)


TABLES = {  # what people save with pandas or json, and is read as it is
    "csv": lambda path: frame().to_csv(path, index=False),
    "csv with an index": lambda path: frame().to_csv(path),
    "semicolons": lambda path: frame().to_csv(path, sep=";", index=False),
    "tsv": lambda path: frame().to_csv(path, sep="\t", index=False),
    "csv with quotes everywhere": lambda path: frame().to_csv(path, index=False, quoting=csv.QUOTE_ALL),
    "csv by Excel": lambda path: frame().to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\r\n"),
    "array": lambda path: frame().to_json(path, orient="records"),
    "indented array": lambda path: path.write_text(json.dumps(ROWS, indent=2)),
    "array with a mark": lambda path: path.write_text("\ufeff " + json.dumps(ROWS)),
    "parquet": lambda path: frame().to_parquet(path),
}
PACKING = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "zip": lambda data: zipped(("t.csv", data), compression=zipfile.ZIP_DEFLATED),
}


def of(path, columns=OURS) -> list[dict]:
    """The rows of a file; none of its lines is malformed."""
    malformed = Malformed()
    check_file(path, columns=columns)
    found = [
        {name: getattr(row, name) for name in ("uid", "title", "content")}
        for row in read_rows(path, malformed, columns)
    ]
    assert not malformed.kinds
    return found


@pytest.mark.parametrize("packing", PACKING)
@pytest.mark.parametrize("kind", TABLES)
def test_tables_and_arrays_are_read(tmp_path, kind, packing):
    """Who has a spreadsheet had to learn pandas first, and lost the zeros at the beginning of a uid."""
    path = tmp_path / "table"
    TABLES[kind](path)
    path.write_bytes(PACKING[packing](path.read_bytes()))
    assert of(path) == ROWS and identify(path).packed


@pytest.mark.parametrize("kind", ["array", "csv", "parquet"])
def test_both_passes_read_a_table(settings, tmp_path, kind):
    """The second pass finds rows by their offset in the converted lines, which must be those of the first."""
    TABLES[kind](tmp_path / "table")
    made = prepare(settings(**{"data.path": str(tmp_path / "table")}, **SIZES), tmp_path / "dataset")
    assert made["kept"] == len(ROWS) and sum(made["splits"].values()) == 16


OTHER = {"uid": "id", "title": "question", "content": "answer"}


@pytest.mark.parametrize("kind", ["json lines", "array", "csv", "parquet"])
def test_columns_may_have_other_names(settings, tmp_path, kind):
    """A data set of questions and answers had to be rewritten before anything could be tried."""
    path, table = tmp_path / "table", frame().rename(columns=OTHER).assign(title="not this one")
    save = {
        "csv": table.to_csv,
        "parquet": table.to_parquet,
        "json lines": functools.partial(table.to_json, lines=True, orient="records"),
    }
    save.get(kind, functools.partial(table.to_json, orient="records"))(path)
    assert of(path, Columns(**OTHER)) == ROWS
    names = {f"data.columns.{column}": name for column, name in OTHER.items()}
    made = prepare(settings(**{"data.path": str(path)}, **names, **SIZES), tmp_path / "dataset")
    assert made["kept"] == len(ROWS)


@pytest.mark.parametrize(
    ("names", "columns", "options"),
    [
        (["id", "question", "answer"], {}, "--set data.columns.title=question --set data.columns.content=answer"),
        (["Pergunta", "Resposta curta"], {}, "--set data.columns.title=Pergunta --set 'data.columns.content=Resposta curta'"),
        (["title", "body"], {}, "data.columns.content = 'content' is not among them: use --set data.columns.content=body"),
        (["x", "y"], {}, "--set data.columns.title=NAME --set data.columns.content=NAME"),
        (["title", "content"], {"uid": "asin"}, "data.columns.uid = 'asin' is not among them: use --set data.columns.uid=uid"),
    ],
)  # fmt: skip
def test_columns_that_are_not_there_are_answered_with_the_command(tmp_path, names, columns, options):
    """A traceback, or no word on which names the file has, sends the reader to a text editor with a file of gigabytes."""
    path = tmp_path / "rows.csv"
    pandas.DataFrame([[f"a{i}"] * len(names) for i in range(5)], columns=names).to_csv(path, index=False)
    with pytest.raises(DataError) as error:
        check_file(path, columns=Columns(**columns))
    assert f"its columns are {', '.join(names)}; " in str(error.value) and str(error.value).endswith(options)


def test_a_broken_record_is_counted_and_the_next_one_is_read(tmp_path):
    """One cell in Latin-1, or one record without a column, must not cost the rest of the table."""
    path, malformed = tmp_path / "rows.csv", Malformed()
    records = [b"1;L\xe2mpada;x", b"2;Copo;x;;", b"3;Copo", b'4;"a"b;x', b"", b"5;Copo;x"]
    path.write_bytes(b"\n".join([b"uid;title;content", *records]))
    assert [row.uid for row in read_rows(path, malformed)] == ["2", "5"]
    assert {kind: entry["first_lines"] for kind, entry in malformed.kinds.items()} == {
        "bad_utf8": [1],
        "wrong_types": [3, 4],
    }
    assert (
        malformed.why["wrong_types"] == "a record of 2 instead of 3 columns" and "LATIN1" in malformed.why["bad_utf8"]
    )


def test_an_element_that_is_no_object_is_counted(tmp_path):
    """A number among the rows of an array ended the whole file with a traceback."""
    path, malformed = tmp_path / "rows.json", Malformed()
    path.write_text(json.dumps([ROWS[0], 7, ROWS[1] | {"uid": 12345678901234567890123, "price": 1.5}, None]))
    assert [row.uid for row in read_rows(path, malformed)] == ["000", str(12345678901234567890123)]
    assert malformed.kinds["wrong_types"]["first_lines"] == [2, 4]


ADVISED = {  # the message's own line of pandas must turn these into rows
    "columns": lambda path: frame().to_json(path),
    "columns by uid": lambda path: frame().set_index("uid", drop=False).to_json(path),
    "index": lambda path: frame().to_json(path, orient="index"),
    "split": lambda path: frame().to_json(path, orient="split"),
    "table": lambda path: frame().to_json(path, orient="table", index=False),
    "nan": lambda path: path.write_text("".join(json.dumps(row | {"price": float("nan")}) + "\n" for row in ROWS)),
}


@pytest.mark.parametrize("kind", ADVISED)
def test_the_advised_line_of_pandas_works(tmp_path, kind, monkeypatch):
    """Advice that loses leading zeros of a uid, or fails itself, costs more time than none."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "trn.json"
    ADVISED[kind](path)
    with pytest.raises(DataError) as error:
        check_file(path)
    advice = re.search(r"(pandas\.read.*lines=True\))", str(error.value))[1]
    eval(advice, {"pandas": pandas, "PATH": str(path)})  # noqa: S307 (our own message)
    assert of(tmp_path / "rows.jsonl") == ROWS


def test_python_dicts_are_named(tmp_path):
    """McAuley's older files hold Python dicts a line, which look like JSON."""
    path = tmp_path / "meta.json"
    path.write_text("".join(f"{row!r}\n" for row in ROWS))
    with pytest.raises(DataError, match="Python dicts .single quotes.*ast.literal_eval"):
        check_file(path)


def test_a_reader_can_be_plugged_in(tmp_path, monkeypatch):
    """A kind that is refused today is read tomorrow without a change of the passes over the file."""
    path = tmp_path / "trn.xml"
    frame().to_xml(path, index=False, parser="etree")

    def read(stream):
        return io.BytesIO(
            pandas.read_xml(stream, parser="etree", dtype=str).to_json(orient="records", lines=True).encode()
        )

    kinds = [Kind(kind.name, kind.describe, read) if kind.name == "xml" else kind for kind in KINDS]
    monkeypatch.setattr("ftlib.data.file_formats.KINDS", kinds)
    assert [row.uid for row in read_rows(path, Malformed())] == [row["uid"] for row in ROWS] and identify(path).packed


def test_a_python_without_a_compression_says_so(tmp_path, monkeypatch):
    """A Python that was built from source often lacks xz or bzip2; every command would fail with an ImportError."""
    monkeypatch.setitem(sys.modules, "lzma", None)
    path = tmp_path / "trn.json.xz"
    path.write_bytes(READ["xz"][1])
    with pytest.raises(DataError, match="this Python was built without lzma: unpack the file by hand"):
        check_file(path)


# Damaged files


def flipped(plain: bytes) -> bytes:
    """A gzip file with one bit of its content changed such that it still unpacks to as many rows."""
    packed = bytearray(gzip.compress(plain, compresslevel=0))  # stored blocks: the text itself
    place = packed.index(b"Lamp number L7")
    packed[place] ^= 1
    return bytes(packed)


DAMAGED = {  # (name, content, what the message says)
    "plain cut": ("trn.json", BYTES[:-30], "stops in the middle after 39 rows .the last line is not complete."),
    "plain cut in a character": ("trn.json", BYTES + '{"title": "caf\u00e9'.encode()[:-1], "stops in the middle after 40 rows"),
    "gzip cut": ("trn.json.gz", gzip.compress(BYTES)[:-30], "stops in the middle after [0-9]+ rows"),
    "gzip without its checksum": ("trn.json.gz", gzip.compress(BYTES)[:-8], "stops in the middle after 40 rows"),
    "gzip bit": ("trn.json.gz", flipped(BYTES), "checksum differs, after 40 rows"),
    "gzip and more": ("trn.json.gz", gzip.compress(BYTES) + b"<html>", "is damaged"),
    "bzip2 cut": ("trn.json.bz2", bz2.compress(BYTES)[:-9], "stops in the middle"),
    "bzip2 bit": ("trn.json.bz2", bz2.compress(BYTES)[:-2] + b"\0\0", "is damaged|stops in the middle"),
    "xz cut": ("trn.json.xz", lzma.compress(BYTES)[:-40], "stops in the middle"),
    "zip bit": ("t.zip", zipped(("trn.json", BYTES)).replace(b"Lamp number L7", b"Damp number L7"), "checksum differs"),
    "tar cut": ("t.tar", tarred(("trn.json", BYTES))[:2000], "stops in the middle after"),
    "tar.gz cut": ("t.tar.gz", gzip.compress(tarred(("trn.json", BYTES * 9)), 0)[:25000], "stops in the middle after"),
    "array cut": ("trn.json", json.dumps(ROWS)[:-50].encode(), "stops in the middle after 39 rows .the JSON array"),
    "array with an error": ("trn.json", json.dumps(ROWS).replace("L5", '"').encode(), "stops in the middle after 5 rows"),
    "packed array cut": ("trn.json.gz", gzip.compress(json.dumps(ROWS).encode())[:-30], "stops in the middle after [0-9]+ rows"),
    "table cut": ("t.csv", frame().to_csv(index=False).encode()[:-10], "stops in the middle after 39 rows"),
    "packed table cut": ("t.csv.gz", gzip.compress(frame().to_csv(index=False).encode())[:-30], "stops in the middle"),
    "zeros at the end": ("trn.json", BYTES + bytes(3000), "ends in zero bytes, so its download did not finish"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_refused_unless_its_use_is_asked_for(settings, tmp_path, kind):
    """Half a download vanished in the one percent of malformed lines, and nobody knew that half the rows were missing."""
    name, data, words = DAMAGED[kind]
    path = tmp_path / name
    path.write_bytes(data)
    cfg = {"data.path": str(path), **SIZES, "data.max_malformed_share": 0.2}
    with pytest.raises(DataError, match=words) as error:
        prepare(settings(**cfg), tmp_path / "dataset")
    assert "download it again" in str(error.value) and "--set data.use_damaged=true" in str(error.value)
    if kind in ("plain cut", "gzip bit", "gzip without its checksum", "gzip and more"):
        made = prepare(settings(**cfg, **{"data.use_damaged": True}), tmp_path / "dataset")
        assert made["kept"] >= 39 and "data.use_damaged is set" in made["notes"][0]
        assert sum(made["splits"][split] for split in SPLITS) == 16


def test_use_damaged_makes_no_data_set_stale(settings, tmp_path, write_rows, products):
    """A setting that is off and was not there before must not cost anybody a night's training again."""
    from ftlib.pipeline.stage import Run
    from ftlib.pipeline.stages import stage_key

    path = write_rows(products(20))
    run = Run(tmp_path / "run")
    keys = {
        on: stage_key("dataset", settings(**{"data.path": str(path), "data.use_damaged": on}), run).fingerprint
        for on in (False, True)
    }
    assert keys[False] != keys[True]
    cfg = settings(**{"data.path": str(path)})
    data = {key: value for key, value in cfg.to_dict()["data"].items() if key != "use_damaged"}
    before = type(cfg).to_dict
    try:
        type(cfg).to_dict = lambda self: before(self) | {"data": data}
        assert stage_key("dataset", cfg, run).fingerprint == keys[False]
    finally:
        type(cfg).to_dict = before


# Numbers as uids, and malformed lines


def test_numbers_are_uids(tmp_path, settings):
    """Tables number their rows; every row of such a file was malformed."""
    path = tmp_path / "trn.json"
    uids = [7, 7.0, "7", 8.5, 10**30, None, -1]
    rows = [row | {"uid": uid} for row, uid in zip(ROWS, uids, strict=False)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + json.dumps(ROWS[9]) + "\n")
    malformed = Malformed()
    assert [row.uid for row in read_rows(path, malformed)] == ["7", "7", "7", "8.5", str(10**30), None, "-1", "009"]
    assert not malformed.kinds
    path.write_text("".join(json.dumps(row | {"uid": i}) + "\n" for i, row in enumerate(ROWS)))
    made = [prepare(settings(**{"data.path": str(path)}, **SIZES), tmp_path / f"d{i}") for i in range(2)]
    assert made[0]["kept"] == len(ROWS)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"uid": "a", "title": NaN}\n', "NaN or Infinity"),
        (b'{"uid": "a", "title": "caf\xe9"}\n', "no UTF-8 .*LATIN1"),
        (b'{"uid": "a"},\n', "a comma after the object"),
        (b"{'uid': 'a'}\n", "single quotes, as in a Python dict"),
    ],
)
def test_the_first_malformed_line_of_a_kind_is_explained(write_rows, line, words):
    """`invalid character (byte 24)` says nothing to somebody who has never seen the parser."""
    malformed = Malformed()
    list(read_rows(write_rows([BYTES, line]), malformed))
    assert re.search(words, next(iter(malformed.why.values())))


def test_the_advised_share_of_malformed_lines_works(settings, write_rows, tmp_path):
    """A number in an error message that leads to the next error message is no advice."""
    path = write_rows([*ROWS, *[b"{broken\n"] * 3])
    with pytest.raises(DataError, match="3 of 43 lines cannot be read") as error:
        prepare(settings(**{"data.path": str(path)}, **SIZES), tmp_path / "dataset")
    key, _, value = re.search(r"--set (\S+)", str(error.value))[1].partition("=")
    assert prepare(settings(**{"data.path": str(path), key: value}, **SIZES), tmp_path / "dataset")["kept"] == 40
    path.write_bytes(b"{broken\n" * 9)
    with pytest.raises(DataError, match=r"none of 9 rows can be used \(broken_json: 9 ") as error:
        prepare(settings(**{"data.path": str(path), "data.max_malformed_share": 1.0}), tmp_path / "dataset")
    assert "max_malformed_share" not in str(error.value)


@pytest.mark.slow
def test_thousands_of_damaged_archives_end_in_one_line(tmp_path):
    """zipfile, tarfile, gzip, bz2 and lzma have dozens of errors of their own; each would be a traceback."""
    draw, found = random.Random(5), collections.Counter()
    contents = [
        data if isinstance(data, bytes) else data.encode() for _, data, *_ in [*READ.values(), *REFUSED.values()]
    ]
    for number in range(20_000):
        data = bytearray(draw.choice(contents))
        for _ in range(draw.randrange(1, 6)):
            place = draw.randrange(len(data) + 1) if draw.random() < 0.6 else draw.randrange(min(len(data), 60) + 1)
            data[place : place + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
        path = tmp_path / f"{number}.json"
        path.write_bytes(data)
        try:
            check_file(path)
            found["read"] += bool(list(read_rows(path, Malformed())))
        except DataError as error:
            found["refused"] += 1
            assert "\n" not in str(error)
        path.unlink()
    assert min(found["read"], found["refused"]) > 1000
