"""Find the user's data file where people put it, and say which file is used.

What: `data_path(cfg)` is the file that `data.path` names; with `auto` the real file in one of `folders()` or one folder deeper,
else the synthetic sample. Why the names are matched loosely: browsers, Drive and Windows rename copies ("trn (1).json"), and a
run on the sample in place of the user's rows looks like success. How: `describe(cfg)` is what every command prints first.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.data.archives import DATA_NAME
from ftlib.data.sample import SAMPLE_PATH
from ftlib.runtime.files import home_path

FILE_NAMES = ("trn.json", "trn.json.gz", "LF-Amazon-1.3M.raw.zip")  # as the file is distributed; these are taken first
# the same packed in other ways, or under a name that a browser, Drive or Windows gave to a copy
SIMILAR = re.compile(
    r"(copy of |c[oó]pia de )?"
    r"(trn( ?\(\d+\))?(\.jsonl?|\.ndjson)?|(lf-)?amazon(titles)?-1\.3mm?(\.raw)?)"
    r"( ?\(\d+\)|[ _-]+copy|[ _-]+c[oó]pia|_\d)?"
    r"(\.jsonl?|\.ndjson)?(\.gz|\.bz2|\.xz|\.zip|\.tar|\.tar\.gz|\.tgz)?( ?\(\d+\))?",
    re.IGNORECASE,
)
ENDINGS = re.compile(r".*(\.jsonl?|\.ndjson|\.gz|\.bz2|\.xz|\.zip|\.tar|\.tgz)( ?\(\d+\))?", re.IGNORECASE)
LOOKS_LIKE_DATA = re.compile(
    rf"{DATA_NAME.pattern}|.*\.(7z|rar|zst|tgz|tar|tar\.gz|xlsx|crdownload|part)", re.IGNORECASE
)
NOT_OURS = ("sample_data",)  # Colab puts other data sets there
MOST = 200  # folders that are looked into; a Drive can hold thousands
SHOWN = 5


def folders() -> list[Path]:
    """Where `data.path: auto` looks: data/ here and in the repository, Colab's disk, Google Drive, Kaggle's input folder."""
    own = [Path("data"), Path(__file__).resolve().parents[2] / "data"]
    return [*own, Path("/content"), Path("/content/drive/MyDrive"), Path("/kaggle/input")]


@dataclass(frozen=True)
class Search:
    """path: the file that is taken, None if there is none. others: files that look like data and were not taken."""

    path: Path | None
    others: tuple[Path, ...]


def search() -> Search:
    """The real file: first by its usual names, then by similar ones, then one folder deeper (two in Kaggle's input folder)."""
    others: list[Path] = []
    level = folders()
    for depth in range(3):
        deeper: list[Path] = []
        for folder in level[:MOST]:
            files, inside = _listed(folder)
            exact = [folder / name for name in FILE_NAMES if name in files]
            similar = [folder / name for name in files if SIMILAR.fullmatch(name) and ENDINGS.fullmatch(name)]
            # /content and Drive hold much that is none of our business
            ours = folder.name == "data" or "data" in folder.parts or "kaggle" in folder.parts
            others += [folder / name for name in files if LOOKS_LIKE_DATA.fullmatch(name) and ours]
            if exact or similar:
                path = (exact or similar)[0]
                left = [other for other in dict.fromkeys([*exact, *similar, *others]) if not _same(other, path)]
                return Search(path, tuple(left))
            deeper += [folder / name for name in inside if depth == 0 or "kaggle" in folder.parts]
        level = deeper
    return Search(None, tuple(dict.fromkeys(others)))


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """(files, folders) in a folder, by name; hidden ones are left out. A folder that cannot be read counts as empty."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    except OSError:
        return [], []
    files = [name for name, is_folder in found if not is_folder]
    return files, [name for name, is_folder in found if is_folder and name not in NOT_OURS and name != "drive"]


def data_path(cfg: Config) -> Path:
    """The file that `data.path` names. 'sample': the synthetic rows in the package; 'auto': the real file, else the sample."""
    if cfg.data.path == "auto":
        return search().path or SAMPLE_PATH
    return SAMPLE_PATH if cfg.data.path == "sample" else home_path(cfg.data.path, "data.path")


def on_sample(cfg: Config) -> bool:
    """True if the rows are the synthetic ones, so that every result can say so."""
    return data_path(cfg) == SAMPLE_PATH


def describe(cfg: Config, prepared: dict | None = None) -> str:
    """The data of a run in one line. prepared: the manifest of its data set, if there is one.

    With `auto` it names the files that look like data and were not taken.
    """
    found = search() if cfg.data.path == "auto" else Search(None, ())
    path = found.path or data_path(cfg)
    usable = prepared and prepared["config"].get("data", {}).get("path") == cfg.data.path
    if usable and not prepared["sample"] and (path == SAMPLE_PATH or not os.path.exists(path)):
        return f"data {prepared['file']} (prepared earlier; the file itself is gone)"
    words = (
        "data: the synthetic sample that ships with the course, no real products"
        if path == SAMPLE_PATH
        else f"data {path}"
    )
    if found.others:
        more = f" and {len(found.others) - SHOWN} more" if len(found.others) > SHOWN else ""
        words += f" (not used: {', '.join(map(str, found.others[:SHOWN]))}{more}; name one with --data to use it)"
    return words
