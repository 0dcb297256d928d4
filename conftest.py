"""What all tests share: a folder of their own for runs and caches, the smoke profile, no network."""

import gc
import gzip
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

FOLDER = Path(tempfile.mkdtemp(prefix="ftlib-tests-"))
for name in [name for name in os.environ if name.startswith("FTLIB_") and "__" in name]:
    del os.environ[name]  # a setting of the user's shell must not decide a test
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each of a hundred processes would compile every module again
# One thread for each process: the models are tiny, and threads that wait for a busy core make a test take ten times as long.
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ |= {"FTLIB_RUNS": str(FOLDER / "runs"), "FTLIB_PROFILE": "smoke", "HF_HUB_OFFLINE": "1"}
os.environ.setdefault("FTLIB_CACHE", str(FOLDER / "cache"))


def pytest_sessionstart():
    """Import the libraries without garbage collections, which would look at each of their million objects again and again."""
    gc.disable()


def pytest_collection_finish():
    """Leave what was imported out of all later collections: evaluations collect after each model that they release."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure():
    shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.fixture(autouse=True, scope="module")
def earlier_modules_are_not_collected():
    """Leave what earlier modules imported and made out of later collections too: every training begins with one."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def short_embeddings():
    """Embed the beginnings of texts: whole ones take an evaluation seconds, and its tests do not look at their values."""
    from ftlib.evaluation import embedding_similarity

    embedding_similarity.LONGEST = 32  # tokens


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Run the translated notebooks after all others: each worker has built the stages by then, and they only read them.

    The longest, which are the last ones of the course, come first, so that no worker waits long for another at the end.
    """
    translated = [item for item in items if item.path.suffix == ".ipynb" and item.path.parent.name != "notebooks"]
    items[:] = [item for item in items if item not in translated] + translated[::-1]


@pytest.fixture
def settings():
    """A function: the smoke configuration with some values set by the user, whatever the environment holds."""
    from ftlib.config.settings import Config

    return lambda **overrides: Config.load("smoke", env={}, **overrides)


@pytest.fixture
def write_rows(tmp_path):
    """A function: write rows (dicts, or lines as they are) to a file, gzipped if its name says so; returns its path."""

    def write(rows, name="rows.jsonl"):
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(b"".join(lines)) if name.endswith(".gz") else b"".join(lines))
        return path

    return write


@pytest.fixture
def products():
    """A function: n rows that are all usable; no two are near-duplicates (L3 is a name, 3 would be a number)."""

    def make(n):
        return [
            {"uid": f"u{i}", "title": f"Lamp model L{i}", "content": f"A lamp with {i} bulbs and a cord."}
            for i in range(n)
        ]

    return make


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """The whole pipeline once, by the command that the README names, at smoke size; further workers get a copy."""
    from filelock import FileLock

    from ftlib.cli.entry import main
    from ftlib.pipeline.stage import Run
    from ftlib.runtime.files import runs_root

    folder = tmp_path_factory.getbasetemp()
    shared = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "smoke_run"
    with FileLock(shared.with_suffix(".lock")):
        if not shared.exists():
            assert main(["run"]) == 0
            shutil.copytree(runs_root() / "smoke", shared)
        else:
            shutil.copytree(shared, runs_root() / "smoke", dirs_exist_ok=True)
    return Run(runs_root() / "smoke")
