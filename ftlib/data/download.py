"""Download trn.json of AmazonTitles-1.3MM from the hub, from Google Drive or from an address, and resume after an interruption.

A partial file keeps the suffix `.part`; the same command continues it with an HTTP range. The finished file is compared with
the size that the server announced and, from the hub, with its SHA-256. Its first bytes must be those of a data file, because
Drive answers with a web page (its virus warning, or an exceeded quota). Sizes and line counts of the copies are not known
beforehand, so nothing else is checked. Run it with `ftlib data fetch`.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from ftlib.data import file_formats
from ftlib.data.archives import choose_member
from ftlib.runtime.console import log
from ftlib.runtime.errors import DataError

HUB_DATASET = "beTinti/AmazonTitles-1.3MM"
DRIVE_ID = "12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK"
DRIVE = "https://drive.usercontent.google.com/download"
PAGE = "http://manikvarma.org/downloads/XC/XMLRepository.html"
BY_HAND = (
    f"by hand: open https://drive.google.com/file/d/{DRIVE_ID} or {PAGE} (LF-AmazonTitles-1.3M, raw text) in a browser, put the "
    "file into data/ and run `ftlib data look data/FILE`"
)
READ, TIMEOUT, ATTEMPTS = 2**20, 60, 5  # bytes per read, seconds, times that a broken connection is continued
HTML_BYTES = 2**20  # of a web page that is searched for its title and form


@dataclass(frozen=True)
class Remote:
    """A file on a server.

    Attributes:
        address: http or https.
        name: of the file on the disk.
        size: in bytes, if a listing says so.
        sha256: if a listing says so.
    """

    address: str
    name: str
    size: int | None = None
    sha256: str | None = None


class Incomplete(Exception):
    """Raised if a connection ended before the file was complete."""


def fetch(origin: str, folder: Path, address: str | None = None) -> str:
    """Download the file into a folder and return what was found, with the next command.

    Args:
        origin: hub, drive or archive.
        folder: created if needed.
        address: of the same file elsewhere, for which `origin` does not matter.

    Raises:
        DataError: no connection, another size, or a web page; the message says how to get the file by hand.
    """
    try:
        remote = _remote(origin, address)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / remote.name
        if not path.exists():
            _download(remote, path)
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException, Incomplete) as error:
        reason = getattr(error, "reason", None) or error
        failed = f"download from {address or origin} failed ({reason})"
        raise DataError(f"{failed}: run the same command to resume; {BY_HAND}") from None
    identity = file_formats.identify(path)
    return f"{path}: {identity.sentence}, {path.stat().st_size:,} bytes; next: ftlib data look {path} --all"


def _remote(origin: str, address: str | None) -> Remote:
    """Return the file to download. Raises DataError, URLError."""
    if address:
        if not address.startswith(("http://", "https://")):
            raise DataError(f"--url {address}: allowed are http and https")
        name = urllib.parse.unquote(Path(urllib.parse.urlsplit(address).path).name)
        return Remote(address, _safe_name(name) or "trn.json")
    if origin == "archive":
        raise DataError(
            f"--from archive: the archive has no fixed address; copy the link of LF-AmazonTitles-1.3M's raw text from {PAGE} "
            "and run `ftlib data fetch --url LINK`"
        )
    if origin == "drive":
        query = urllib.parse.urlencode({"id": DRIVE_ID, "export": "download", "confirm": "t"})
        return Remote(f"{DRIVE}?{query}", "LF-Amazon-1.3M.raw.zip")
    return _on_hub()


def _safe_name(name: str) -> str:
    """Return a file name without characters that have a meaning in a path."""
    return re.sub(r"[^\w.() -]", "_", name).lstrip(".")


def _on_hub() -> Remote:
    """Choose the training file among those of the hub's data set."""
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    with _opened(f"{hub}/api/datasets/{HUB_DATASET}/tree/main?recursive=true") as response:
        entries = {entry["path"]: entry for entry in json.load(response) if entry.get("type") == "file"}
    name = choose_member(list(entries), f"the data set {HUB_DATASET}")
    entry, quoted = entries[name], urllib.parse.quote(name)
    address = f"{hub}/datasets/{HUB_DATASET}/resolve/main/{quoted}"
    return Remote(address, _safe_name(Path(name).name), entry.get("size"), entry.get("lfs", {}).get("oid"))


def _opened(address: str, start: int = 0):
    """Open an address, from a byte offset on if the server supports that."""
    headers = {"User-Agent": "ftlib"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 (http and https only, see `_remote`)
    return urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310


def _download(remote: Remote, path: Path) -> None:
    """Download to `path`, through a partial file that later calls continue. Raises DataError, Incomplete, URLError."""
    partial = path.with_name(path.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            page = _continue(remote, partial)
            break
        except (Incomplete, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            if attempt == ATTEMPTS:
                raise
            log.info(f"the connection broke ({error}); continuing at byte {_size(partial):,}")
    if page is not None:  # Drive's warning that it did not scan the file has a form that leads to the file
        confirmed = _confirmed(page, remote.address)
        if confirmed is None or confirmed == remote.address:
            raise DataError(f"{remote.address} answered with a web page{_title(page)} and no data; {BY_HAND}")
        _download(replace(remote, address=confirmed), path)
        return
    _check_sum(remote, partial)
    _check_kind(remote, partial)
    os.replace(partial, path)


def _continue(remote: Remote, partial: Path) -> str | None:
    """Append the rest of a file to the partial one; return the text of a web page if that is the answer.

    Raises:
        Incomplete: the connection ended early.
        DataError: the size is not the announced one.
    """
    start = _size(partial)
    if remote.size is not None and start == remote.size:
        return None
    try:
        response = _opened(remote.address, start)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing is left to send, or the file is another one now
            raise
        partial.unlink()
        raise Incomplete("the server has no such part of the file") from None
    with response:
        resumed = response.status == 206
        start = start if resumed else 0
        if "html" in response.headers.get("Content-Type", ""):
            return response.read(HTML_BYTES).decode("utf-8", errors="replace")
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        if remote.size is not None and total is not None and total != remote.size:
            partial.unlink(missing_ok=True)
            raise DataError(f"{remote.address} sends {total:,} bytes, and its listing says {remote.size:,}: {BY_HAND}")
        with (
            open(partial, "ab" if resumed else "wb") as file,
            tqdm(total=total, initial=start, unit="B", unit_scale=True, disable=None, desc=remote.name) as bar,
        ):
            while piece := response.read(READ):
                file.write(piece)
                bar.update(len(piece))
    expected = remote.size or total
    if expected is not None and _size(partial) < expected:
        raise Incomplete(f"{_size(partial):,} of {expected:,} bytes arrived")
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_sum(remote: Remote, partial: Path) -> None:
    """Compare size and SHA-256 with the listing; a file that differs is removed. Raises DataError."""
    with open(partial, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest() if remote.sha256 else None
    size = _size(partial)
    if (remote.size is not None and size != remote.size) or found != remote.sha256:
        partial.unlink()
        listed = f"{remote.size:,} bytes, SHA-256 {remote.sha256}" if remote.sha256 else f"{remote.size:,} bytes"
        got = f"{size:,} bytes, SHA-256 {found}" if remote.sha256 else f"{size:,} bytes"
        raise DataError(
            f"{remote.address}: got {got}, the listing says {listed}; it was removed: run the same command again"
        )


def _check_kind(remote: Remote, partial: Path) -> None:
    """Remove a file that cannot be read, such as a web page that was sent as data. Raises DataError."""
    try:
        file_formats.refuse(file_formats.identify(partial))
    except DataError as error:
        partial.unlink()
        raise DataError(f"{remote.address} was no data: {error}; {BY_HAND}") from None


def _confirmed(page: str, address: str) -> str | None:
    """Return the address that the form of a web page leads to, with its hidden fields; None without such a form."""
    form = re.search(r"<form[^>]*\baction=\"([^\"]+)\"[^>]*>(.*?)</form>", page, re.IGNORECASE | re.DOTALL)
    if not form:
        return None
    fields = dict(
        (html.unescape(name), html.unescape(value))
        for name, value in re.findall(
            r"<input[^>]*\bname=\"([^\"]*)\"[^>]*\bvalue=\"([^\"]*)\"", form[2], re.IGNORECASE
        )
    )
    target = urllib.parse.urljoin(address, html.unescape(form[1]))
    same_host = (
        urllib.parse.urlsplit(target).netloc.split(":")[0] == urllib.parse.urlsplit(address).netloc.split(":")[0]
    )
    if not fields or not same_host or not target.startswith(("http://", "https://")):
        return None
    return f"{target}?{urllib.parse.urlencode(fields)}"


def _title(page: str) -> str:
    with contextlib.suppress(TypeError):
        title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)[1]
        return f' ("{html.unescape(" ".join(title.split()))[:60]}")'
    return ""
