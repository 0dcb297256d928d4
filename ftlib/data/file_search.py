"""Find the user's data file in the usual folders, and report which file is used.

`data_path(cfg)` resolves `data.path`; `auto` is the real file in one of `folders()` or one level deeper, else the synthetic
sample. Names are matched loosely, because browsers, Drive and Windows rename copies ("trn (1).json"), and a run on the sample
instead of the user's rows looks like a success. Every command prints `describe(cfg)` first.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ftlib.config.settings import Config
from ftlib.data import hub_rows
from ftlib.data.archives import DATA_NAME
from ftlib.data.sample import FAQ_PATH, SAMPLE_PATH
from ftlib.runtime.files import home_path
from ftlib.runtime.language import tr

SYNTHETIC = {"sample": SAMPLE_PATH, "faq": FAQ_PATH}  # data sets that ship with the course
FILE_NAMES = ("trn.json", "trn.json.gz", "LF-Amazon-1.3M.raw.zip")  # names as distributed, which are preferred
# other compressions, and copies renamed by a browser, Drive or Windows
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
EXCLUDED = ("sample_data",)  # Colab's example data sets
MOST = 200  # maximum number of folders searched per level; a Drive can have thousands
SHOWN = 5  # unused files that a message lists


def folders() -> list[Path]:
    """Return the folders that `data.path: auto` searches.

    These are data/ in the current folder and in the repository, Colab's disk, Google Drive and Kaggle's input folder.
    """
    local = [Path("data"), Path(__file__).resolve().parents[2] / "data"]
    return [*local, Path("/content"), Path("/content/drive/MyDrive"), Path("/kaggle/input")]


@dataclass(frozen=True)
class Search:
    """The result of a search.

    Attributes:
        path: the selected file, None if there is none.
        others: files that look like data and were not selected.
    """

    path: Path | None
    others: tuple[Path, ...]


def search() -> Search:
    """Search for the real file by its usual names, then by similar ones, then one level deeper.

    Kaggle's input folder is searched two levels deep.
    """
    others: list[Path] = []
    level = folders()
    for depth in range(3):
        deeper: list[Path] = []
        for folder in level[:MOST]:
            files, subfolders = _listed(folder)
            exact = [folder / name for name in FILE_NAMES if name in files]
            similar = [folder / name for name in files if SIMILAR.fullmatch(name) and ENDINGS.fullmatch(name)]
            # /content and Drive contain unrelated files, which are not reported
            for_data = folder.name == "data" or "data" in folder.parts or "kaggle" in folder.parts
            others += [folder / name for name in files if LOOKS_LIKE_DATA.fullmatch(name) and for_data]
            if exact or similar:
                path = (exact or similar)[0]
                unused = [other for other in dict.fromkeys([*exact, *similar, *others]) if not _same(other, path)]
                return Search(path, tuple(unused))
            deeper += [folder / name for name in subfolders if depth == 0 or "kaggle" in folder.parts]
        level = deeper
    return Search(None, tuple(dict.fromkeys(others)))


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of the visible (files, folders) in a folder, sorted; empty if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    except OSError:
        return [], []
    files = [name for name, is_folder in names if not is_folder]
    return files, [name for name, is_folder in names if is_folder and name not in EXCLUDED and name != "drive"]


def data_path(cfg: Config) -> Path:
    """Resolve `data.path`: a path, a name of SYNTHETIC, 'auto' (the real file, else the sample), or hf:OWNER/NAME[:SPLIT].

    Nothing is downloaded: `present_path` does that.
    """
    if cfg.data.path == "auto":
        return search().path or SAMPLE_PATH
    if hub_rows.is_address(cfg.data.path):
        return hub_rows.cached_file(cfg.data.path)
    return SYNTHETIC.get(cfg.data.path) or home_path(cfg.data.path, "data.path")


def present_path(cfg: Config) -> Path:
    """Resolve `data.path` to a file, and download the rows of a data set on the hub if they are missing. Raises DataError."""
    return hub_rows.download(cfg.data.path) if hub_rows.is_address(cfg.data.path) else data_path(cfg)


def on_sample(cfg: Config) -> bool:
    """Return whether the data is synthetic, which every result must state."""
    return data_path(cfg) in SYNTHETIC.values()


def describe(cfg: Config, prepared: dict | None = None) -> str:
    """Describe the data of a run in one line; with `auto` it lists unused files that look like data.

    Args:
        cfg: the configuration.
        prepared: the manifest of the run's data set, if there is one.
    """
    result = search() if cfg.data.path == "auto" else Search(None, ())
    path = result.path or data_path(cfg)
    same_setting = prepared and prepared["config"].get("data", {}).get("path") == cfg.data.path
    if same_setting and not prepared["sample"] and (path == SAMPLE_PATH or not os.path.exists(path)):
        return tr("data {file} (prepared earlier; the file itself is gone)", file=prepared["file"])
    synthetic = {
        SAMPLE_PATH: tr("data: the synthetic sample that ships with the course, no real products"),
        FAQ_PATH: tr("data: the synthetic questions and answers that ship with the course (Portuguese, no real store)"),
    }
    file = cfg.data.path if hub_rows.is_address(cfg.data.path) else path
    text = synthetic.get(path) or tr("data {file}", file=file)
    if not result.others:
        return text
    files, more = ", ".join(map(str, result.others[:SHOWN])), len(result.others) - SHOWN
    if more > 0:
        unused = tr("(not used: {files} and {more} more; name one with --data to use it)", files=files, more=more)
    else:
        unused = tr("(not used: {files}; name one with --data to use it)", files=files)
    return f"{text} {unused}"
