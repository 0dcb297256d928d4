"""Read the rows of a data set on the Hugging Face hub: `hf:OWNER/NAME[:SPLIT]` becomes a file of JSON lines in the cache.

`prepare` reads a file twice, and in the same order, so the rows are streamed to the disk once. Delete the file to download again.
Columns that hold no texts, numbers or truth values (images, lists) are left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from ftlib.data.archives import ONE_A_LINE
from ftlib.data.conversion import json_line
from ftlib.runtime.console import log
from ftlib.runtime.errors import DataError
from ftlib.runtime.files import cache_dir, replacing

ADDRESS = re.compile(r"hf:(?P<name>[\w.-]+(/[\w.-]+)?)(:(?P<split>[\w.-]+))?")


def is_address(text: str) -> bool:
    """Return whether a setting names a data set on the hub."""
    return text.startswith("hf:")


def _parsed(address: str) -> tuple[str, str]:
    """Return (name, split) of an address. Raises DataError."""
    match = ADDRESS.fullmatch(address)
    if not match:
        raise DataError(f"data.path = {address}: write it as hf:OWNER/NAME or hf:OWNER/NAME:SPLIT")
    return match["name"], match["split"] or "train"


def cached_file(address: str) -> Path:
    """Return the path of the downloaded rows, whether they are there or not. Raises DataError for an invalid address."""
    name, split = _parsed(address)
    return cache_dir() / "data" / f"{name.replace('/', '--')}--{split}.jsonl"


def download(address: str) -> Path:
    """Return the file of rows; download them if it is missing.

    Raises:
        DataError: no such data set or split, or the hub cannot be reached.
    """
    path, (name, split) = cached_file(address), _parsed(address)
    if path.exists():
        return path
    import datasets

    log.info(f"downloading {name}, split {split} (once; it is kept in the cache)")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        rows = datasets.load_dataset(name, split=split, streaming=True)
        with replacing(path) as partial, open(partial, "wb") as file:
            for row in rows:
                values = {key: value for key, value in row.items() if isinstance(value, (str, int, float, type(None)))}
                file.write(json_line(values))
    except (datasets.exceptions.DatasetsError, ValueError, ConnectionError, FileNotFoundError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"data.path = {address}: the rows cannot be downloaded ({reason}); check name and split, or download a file by hand "
            f"and give it with --data PATH ({ONE_A_LINE}, or a JSON array, CSV, TSV or Parquet)"
        ) from None
    return path
