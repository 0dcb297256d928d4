"""`ftlib data fetch` against a server on 127.0.0.1: downloads that break, lie about their size, or are web pages."""

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ftlib.cli.entry import main
from ftlib.data import download
from ftlib.runtime.errors import DataError

LINES = b"".join(
    json.dumps({"uid": str(n), "title": f"Lamp {n}", "content": "A lamp."}).encode() + b"\n" for n in range(900)
)
WARNING = """<html><title>Google Drive - Virus scan warning</title><form id="download-form" action="/big" method="get">
<input type="hidden" name="id" value="1&amp;2"><input type="hidden" name="confirm" value="t"></form></html>"""
QUOTA = "<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>"


class Handler(BaseHTTPRequestHandler):
    """Each path misbehaves in its own way; `server.ranges` holds the ranges that were asked for."""

    def log_message(self, *_):
        pass

    def send(self, data, status=200, kind="application/octet-stream", announced=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data) if announced is None else announced))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(data)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        wanted = self.headers.get("Range")
        self.server.ranges.append((self.path, wanted))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if path.startswith("/api/datasets/"):
            digest = "0" * 64 if self.server.wrong == "sum" else hashlib.sha256(LINES).hexdigest()
            size = len(LINES) + (self.server.wrong == "size")
            files = [{"type": "file", "path": "README.md", "size": 3}, {"type": "directory", "path": "d"}]
            files.append({"type": "file", "path": "d/trn.json", "size": size, "lfs": {"oid": digest}})
            self.send(json.dumps(files).encode(), kind="application/json")
        elif path == "/breaks/trn.json" or "/resolve/" in path:
            stop = start + 20_000 if path.startswith("/breaks") else None
            if start >= len(LINES):
                return self.send(b"", 416)
            self.send(LINES[start:stop], 206 if wanted else 200, announced=len(LINES) - start)
        elif path == "/no-ranges/trn.json":
            self.send(LINES)
        elif path == "/warning/trn.zip" or path == "/big":
            self.send(
                LINES if query == "id=1%262&confirm=t" else WARNING.encode(), kind="text/html" if not query else "x/y"
            )
        elif path == "/quota/trn.zip":
            self.send(QUOTA.encode(), kind="text/html; charset=utf-8")
        elif path == "/untyped/trn.zip":
            self.send(QUOTA.encode())
        else:
            self.send(b"", 404)


@pytest.fixture
def server(monkeypatch):
    """A server; `address` is its root."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.ranges, server.wrong, server.daemon_threads = [], "", True
    server.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setattr(download, "TIMEOUT", 5)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_broken_download_is_continued_where_it_broke(server, tmp_path, monkeypatch, capsys):
    """890 MB over a café's network begin at 0 again and again; and a half file that has the final name is trained on."""
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    address = f"{server.address}/breaks/trn.json"
    with pytest.raises(DataError, match="run the same command to resume; by hand: open https://drive.google.com"):
        download.fetch("hub", tmp_path, address)
    partial = tmp_path / "trn.json.part"
    assert 0 < partial.stat().st_size < len(LINES) and not (tmp_path / "trn.json").exists()
    while not (tmp_path / "trn.json").exists():
        with contextlib.suppress(DataError):
            report = download.fetch("hub", tmp_path, address)
    assert (tmp_path / "trn.json").read_bytes() == LINES and not partial.exists()
    asked = [int(wanted[6:-1]) for _, wanted in server.ranges if wanted]
    assert asked == sorted(set(asked)) and len(asked) >= 2
    assert f"{len(LINES):,} bytes" in report and "next: ftlib data look" in report


def test_a_server_without_ranges_begins_again(server, tmp_path):
    """Appending the whole file to its first half gives a file of one and a half."""
    (tmp_path / "trn.json.part").write_bytes(LINES[:500])
    download.fetch("hub", tmp_path, f"{server.address}/no-ranges/trn.json")
    assert (tmp_path / "trn.json").read_bytes() == LINES


def test_the_hubs_file_is_found_and_verified(server, tmp_path, capsys):
    """Another file of the same repository, or a damaged one, would be prepared without a word."""
    assert main(["data", "fetch", "--from", "hub", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "trn.json").read_bytes() == LINES and "JSON Lines" in capsys.readouterr().out
    assert main(["data", "fetch", "--from", "hub", "--out", str(tmp_path)]) == 0  # it is there already
    assert sum("/resolve/" in path for path, _ in server.ranges) == 1


@pytest.mark.parametrize(("wrong", "words"), [("size", "its listing says"), ("sum", "SHA-256 0000.* it was removed")])
def test_a_wrong_size_or_sum_is_refused(server, tmp_path, wrong, words):
    """A file that is another one, or damaged on its way, must not get the name of the right one."""
    server.wrong = wrong
    with pytest.raises(DataError, match=words):
        download.fetch("hub", tmp_path)
    assert not list(tmp_path.iterdir())


def test_drives_warning_is_confirmed(server, tmp_path, monkeypatch):
    """Drive answers for each large file with a page that must be confirmed; the page was saved as the data."""
    monkeypatch.setattr(download, "_remote", lambda *_: download.Remote(f"{server.address}/warning/trn.zip", "trn.zip"))
    download.fetch("drive", tmp_path)
    assert (tmp_path / "trn.zip").read_bytes() == LINES


@pytest.mark.parametrize("path", ["quota", "untyped"])
def test_a_web_page_is_no_data(server, tmp_path, path):
    """An exceeded quota comes as a web page with status 200."""
    with pytest.raises(DataError, match="a web page.*Google Drive - Quota exceeded.*no data"):
        download.fetch("drive", tmp_path, f"{server.address}/{path}/trn.zip")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("origin", "address", "words"),
    [
        ("archive", None, "copy the link .*XMLRepository.html and run `ftlib data fetch --url LINK`"),
        ("hub", "file:///etc/hosts", "allowed are http and https"),
        ("hub", "http://127.0.0.1:9/trn.json", "failed .*by hand: open"),
        ("hub", "404", "failed .*Not Found.*by hand: open"),
    ],
)
def test_what_cannot_be_downloaded_says_what_to_do(server, tmp_path, origin, address, words):
    """A traceback of urllib does not say where else the file is."""
    with pytest.raises(DataError, match=words) as error:
        download.fetch(origin, tmp_path, f"{server.address}/nowhere" if address == "404" else address)
    assert "\n" not in str(error.value)
